"""The conversion recipe, run as a user runs it."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import keras
import pytest

ROOT = pathlib.Path(__file__).parents[2]


def recipe(*arguments):
    return subprocess.run(
        [sys.executable, ROOT / "recipes" / "convert_tflite.py", *arguments],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tflite'}"},
    )


@pytest.fixture(scope="module")
def model_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "net.keras"
    image = keras.Input((6, 6, 3))
    x = keras.layers.GlobalMaxPooling2D()(keras.layers.Conv2D(2, 3)(image))
    keras.Model(image, x).save(path)
    return path


def test_file_labels_and_figures_are_written(model_path, tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("cat\ndog\n", "utf-8")
    output = tmp_path / "net.tflite"
    done = recipe(
        f"--model={model_path}", f"--output={output}", f"--labels={names}"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "greatest difference to Keras" in done.stdout
    written = json.loads((tmp_path / "net.json").read_text("utf-8"))
    assert written["settings"] == {
        "model": str(model_path),
        "output": str(output),
        "labels": str(names),
        "quantization": "float32",
    }
    assert written["report"]["bytes"] == output.stat().st_size
    assert written["report"]["labels"] == ["cat", "dog"]
    assert (tmp_path / "net.labels.txt").read_text("utf-8") == "cat\ndog\n"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--labels=cat, dog,cow"], "labels: got 3, but model"),
        (["--labels=no/names.txt"], "--labels: no such file 'no/names.txt'"),
        (["--quantization=int8"], "quantization: got 'int8', expected 'float3"),
        (["stray"], "got the argument 'stray', expected flags only"),
    ],
)
def test_errors_are_one_line(flags, words, model_path, tmp_path):
    output = tmp_path / "net.tflite"
    done = recipe(f"--model={model_path}", f"--output={output}", *flags)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {words}")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_help_says_what_is_read_and_written():
    done = recipe("--help")
    for word in ("Reads:", "Writes:", "--labels", "--quantization", ".json"):
        assert word in done.stdout
