"""The Android core: it is compiled for old devices, then its own tests run."""

from __future__ import annotations

import pathlib
import re
import shutil
import subprocess

import pytest
from drnet_tflite.bundles.bundle import Bundle
from drnet_tflite.bundles.errors import BundleError
from drnet_tflite.bundles.plan import FLOAT16, UINT8

from tests.tflite.made_bundles import made_bundle, made_plan

CORE = pathlib.Path(__file__).parents[2] / "tflite/android/core/src"
MAIN = sorted(CORE.glob("main/java/org/drnet/bundle/*.java"))
TESTS = sorted(CORE.glob("test/java/org/drnet/bundle/*.java"))


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    """The folder of the compiled core and its tests."""
    if not (shutil.which("javac") and shutil.which("java")):
        pytest.skip("there is no JDK; install one to test the Android core")
    folder = tmp_path_factory.mktemp("classes")
    # Warnings are errors; newer JDKs warn that Java 8 is old ("options").
    javac = ["javac", "--release", "8", "-Xlint:all,-options", "-Werror"]
    _run(*javac, "-d", folder, *MAIN, *TESTS)
    return folder


def _run(*command):
    run = subprocess.run(
        [str(x) for x in command], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def test_the_core_passes_its_own_tests(classes):
    java = ["java", "-ea", "-Xmx256m", "-cp", classes]
    lines = _run(*java, "org.drnet.bundle.TestMain").splitlines()
    assert re.fullmatch(r"\d{2,} passed, 0 failed", lines[-1])


def test_a_request_that_is_refused_leaves_its_message(classes, tmp_path):
    java = ["java", "-cp", classes]
    bundle = tmp_path / "animals.tflite"
    _run(*java, "org.drnet.bundle.AnimalsMain", bundle)
    requests = tmp_path / "requests.txt"
    requests.write_text(
        "one\tc%61t,dog\tunion\tkept\t1.0\t1\n"
        "two\tcow\tmean\tthreshold\tnan\t8\n"
    )
    _run(*java, "org.drnet.bundle.ExtractMain", bundle, requests, tmp_path)
    assert b"labels.txtcat\ndog\n" in (tmp_path / "one.tflite").read_bytes()
    assert "no class 'cow'" in (tmp_path / "two.error").read_text()
    assert not (tmp_path / "two.tflite").exists()


@pytest.mark.parametrize("encoding", [UINT8, FLOAT16])
def test_python_cuts_the_same_bytes(classes, tmp_path, encoding):
    path = tmp_path / "pets.tflite"
    path.write_bytes(made_bundle(made_plan(encoding)))
    bundle = Bundle(path)
    requests = [
        (names, rule, kind, value, round_to)
        for names in (["cat"], ["eel", "dog"], ["dog", "cat", "eel"])
        for rule in ("union", "mean", "xor")
        for kind, value in (
            ("threshold", 0.7),
            ("threshold", 50.0),
            ("kept_fraction", 0.5),
            ("kept_fraction", 1.0),
            ("max_parameters", 30),
        )
        for round_to in (1, 2, 8)
    ]
    kinds = {"kept_fraction": "kept", "max_parameters": "parameters"}
    lines = [
        f"{number}\t{','.join(names)}\t{rule}\t{kinds.get(kind, kind)}\t"
        f"{value}\t{round_to}\n"
        for number, (names, rule, kind, value, round_to) in enumerate(requests)
    ]
    listing = tmp_path / "requests.txt"
    listing.write_text("".join(lines))
    java = ["java", "-cp", classes, "org.drnet.bundle.ExtractMain"]
    _run(*java, path, listing, tmp_path)
    same = 0
    for number, (names, rule, kind, value, round_to) in enumerate(requests):
        cut = tmp_path / f"{number}.tflite"
        try:
            content = bundle.extract(
                names, rule=rule, round_to=round_to, **{kind: value}
            )
        except BundleError:
            assert not cut.exists() and cut.with_suffix(".error").exists()
            continue
        assert cut.read_bytes() == content
        same += 1
    assert same > 40


@pytest.mark.parametrize("path", MAIN, ids=lambda path: path.stem)
def test_the_core_stays_small_and_runs_on_android_6(path):
    source = path.read_text()
    assert source.count("\n") <= 300
    assert max(map(len, source.splitlines())) <= 100
    # dx knows no lambdas, Android 6 no java.nio.file, streams or Optional.
    for new in ("->", "::", "java.nio.file", "java.util.function", "Optional"):
        assert new not in source
