"""Bazel's targets follow the imports."""

from __future__ import annotations

from pathlib import Path

from tools.write_build_files import build_files

ROOT = Path(__file__).parents[1]


def test_the_build_files_are_up_to_date():
    stale = [
        path
        for path, text in build_files(ROOT).items()
        if not (ROOT / path).exists() or (ROOT / path).read_text() != text
    ]
    assert not stale, f"{stale} do not fit the imports; run `make build-files`."


def test_targets_of_modules_folders_and_programs(tmp_path: Path):
    sources = {
        "drnet_tf/masks.py": "import numpy",
        "drnet_tf/gates.py": "def f():\n    import drnet_tf.masks",
        "drnet_tf/pruning/report.py": "import drnet_tf.pruning.flow",
        "drnet_tf/pruning/flow.py": "from drnet_tf.gates import gate_model",
        "recipes/prune.py": 'if __name__ == "__main__":\n    import flags\n',
        "recipes/flags.py": "from drnet_tf.pruning import report",
    }
    for path, source in sources.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(source)

    files = build_files(tmp_path)

    assert sorted(files) == [
        "drnet_tf/BUILD",
        "drnet_tf/pruning/BUILD",
        "recipes/BUILD",
    ]
    assert files["drnet_tf/BUILD"].endswith(
        """
py_library(
    name = "gates",
    srcs = ["gates.py"],
    deps = [":masks"],
)

py_library(
    name = "masks",
    srcs = ["masks.py"],
)
"""
    )
    assert files["drnet_tf/pruning/BUILD"].endswith(
        """
py_library(
    name = "pruning",
    srcs = glob(["**/*.py"]),
    deps = ["//drnet_tf:gates"],
)
"""
    )
    assert files["recipes/BUILD"].endswith(
        """
py_library(
    name = "flags",
    srcs = ["flags.py"],
    imports = ["."],
    deps = ["//drnet_tf/pruning"],
)

py_binary(
    name = "prune",
    srcs = ["prune.py"],
    imports = ["."],
    deps = [":flags"],
)
"""
    )
