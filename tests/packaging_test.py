"""What gets installed: the wheel is built, unpacked and imported elsewhere."""

from __future__ import annotations

import ast
import email
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import drnet_tf
from drnet_tf.version import VERSION
from tools.module_imports import find_modules, imports_of

ROOT = Path(__file__).parents[1]
SOURCES = (
    "setup.py",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "drnet_tf",
    "tflite",
    # Must not be packaged, so they have to be there.
    "recipes",
    "tests",
    "tools",
)
# Distribution -> the name that imports it, where they differ.
IMPORT_NAMES = {"absl-py": "absl"}
# For programs beside this one, and for another package; see setup.py.
NOT_IMPORTED = {"importlib-resources"}
# Needed by what is run, not by what is imported.
TOOLS = {"pytest", "ruff", "mypy", "build", "setuptools"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel of a copy of the sources, so that no `build/` is left here."""
    folder = tmp_path_factory.mktemp("packaging")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name,
                folder / name,
                ignore=shutil.ignore_patterns("__pycache__", "*_cache"),
            )
        else:
            shutil.copy(ROOT / name, folder / name)
    # The backend itself, not pip: no network and no isolated environment.
    run = subprocess.run(
        [
            sys.executable,
            "-c",
            "from setuptools import build_meta; build_meta.build_wheel('dist')",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    (path,) = (folder / "dist").glob("*.whl")
    return zipfile.ZipFile(path)


def _read(wheel: zipfile.ZipFile, ending: str) -> str:
    (name,) = (name for name in wheel.namelist() if name.endswith(ending))
    return wheel.read(name).decode()


def test_only_the_two_packages_are_installed(wheel: zipfile.ZipFile):
    top_level = _read(wheel, ".dist-info/top_level.txt").split()
    assert sorted(top_level) == ["drnet_tf", "drnet_tflite"]
    folders = {name.split("/")[0] for name in wheel.namelist()}
    assert folders == {
        "drnet_tf",
        "drnet_tflite",
        f"drnet_tf-{VERSION}.dist-info",
    }


def test_every_module_is_installed(wheel: zipfile.ZipFile):
    """A folder without `__init__.py` would be left out without a word."""
    expected = {
        module.path.removeprefix("tflite/")
        for module in find_modules(ROOT)
        if module.path.startswith(("drnet_tf/", "tflite/"))
    }
    installed = {name for name in wheel.namelist() if name.endswith(".py")}
    assert installed == expected


def test_the_data_is_installed(wheel: zipfile.ZipFile):
    expected = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "drnet_tf" / "data").rglob("*")
        if path.is_file()
    }
    assert {*expected, "drnet_tf/py.typed"} <= set(wheel.namelist())


def test_the_wheel_works_away_from_the_checkout(
    wheel: zipfile.ZipFile, tmp_path: Path
):
    wheel.extractall(tmp_path)
    program = (
        "import drnet_tf, drnet_tflite\n"
        "from drnet_tf.digits import load_digits\n"
        "print(drnet_tf.__file__)\n"
        "print(drnet_tflite.__file__)\n"
        "print([x for x in drnet_tf.__all__ if not hasattr(drnet_tf, x)])\n"
        "print(len(load_digits('test').labels) > 0)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split("\n")[:4] == [
        str(tmp_path / "drnet_tf" / "__init__.py"),
        str(tmp_path / "drnet_tflite" / "__init__.py"),
        "[]",
        "True",
    ]


def test_the_version_is_stated_once(wheel: zipfile.ZipFile):
    metadata = email.message_from_string(_read(wheel, ".dist-info/METADATA"))
    assert metadata["Name"].replace("-", "_") == "drnet_tf"
    assert metadata["Version"] == VERSION == drnet_tf.__version__


def test_the_changelog_tells_of_the_version():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{VERSION}]" in changelog


def test_the_version_module_imports_nothing():
    """setup.py runs it before anything is installed."""
    tree = ast.parse((ROOT / "drnet_tf" / "version.py").read_text())
    imports = [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert imports == ["from __future__ import annotations"]


def test_the_licence_is_installed(wheel: zipfile.ZipFile):
    assert "Apache License" in _read(wheel, "/LICENSE")
    metadata = _read(wheel, ".dist-info/METADATA")
    assert re.search(r"^License(-Expression)?: Apache-2.0$", metadata, re.M)


def test_what_is_needed_is_what_is_imported(wheel: zipfile.ZipFile):
    metadata = email.message_from_string(_read(wheel, ".dist-info/METADATA"))
    needs = {
        re.match(r"[\w.-]+", need).group().replace("_", "-")
        for need in metadata.get_all("Requires-Dist")
    }
    declared = {
        IMPORT_NAMES.get(need, need.replace("-", "_"))
        for need in needs - NOT_IMPORTED - TOOLS
    }
    modules = find_modules(ROOT)
    known = {module.name for module in modules}
    imported = {
        name.split(".")[0]
        for module in modules
        for name in (found.name for found in imports_of(module, known))
    }
    # A benchmark reads which code its records depend on.
    own = {name.split(".")[0] for name in known} | {"tools"}
    foreign = imported - own - set(sys.stdlib_module_names)
    # JAX, another backend of Keras, and Torch, which a benchmark compares with,
    # are used where they are installed; tf_keras comes with tfmot.
    assert foreign - {"jax", "torch", "tf_keras"} == declared
