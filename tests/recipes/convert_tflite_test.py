"""The conversion recipe, run as a user runs it."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import drnet_tflite
import keras
import pytest

from tests.recipes.in_process import colour_network, run, save_images

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
    assert "compared with Keras on 4 images" in done.stdout
    written = json.loads((tmp_path / "net.json").read_text("utf-8"))
    assert written["settings"] == {
        "model": str(model_path),
        "output": str(output),
        "labels": str(names),
        "quantization": "float32",
        "representative_images": 50,
        "split": "train",
        "seed": 0,
        "data": "",
        "data_dir": None,
        "preprocessing": "none",
    }
    assert written["report"]["bytes"] == output.stat().st_size
    assert written["report"]["labels"] == ["cat", "dog"]
    found = drnet_tflite.read_metadata(output)
    assert found.labels == ("cat", "dog")
    assert (found.mean, found.std) == ((), ())
    assert {path.name for path in tmp_path.iterdir()} == {
        "names.txt", "net.json", "net.tflite",
    }  # fmt: skip


def test_int8_by_images_of_the_sub_task(capsys, monkeypatch, tmp_path):
    save_images(tmp_path / "data")
    model = colour_network()
    model = keras.Model(model.inputs, model.outputs[0][:, 1:])
    model.save(tmp_path / "net.keras")
    output = tmp_path / "net.tflite"
    done = run(
        capsys,
        monkeypatch,
        "convert_tflite",
        f"--model={tmp_path / 'net.keras'}",
        f"--output={output}",
        "--labels=green,red",
        "--quantization=int8",
        f"--data={tmp_path / 'data'}",
        "--preprocessing=zero_one",
        "--representative_images=6",
    )
    assert (done.code, done.err) == (0, "")
    assert "compared with Keras on 12 images: the same class first on 100" in (
        done.out
    )
    found = drnet_tflite.read_metadata(output)
    assert found.labels == ("green", "red")
    assert (found.mean, found.std) == ((0.0,), (255.0,))
    report = json.loads((tmp_path / "net.json").read_text("utf-8"))["report"]
    assert report["quantization"] == "int8"
    assert report["input"]["scale"] == pytest.approx(1 / 255, rel=0.1)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--labels=cat, dog,cow"], "labels: got 3, but model"),
        ([f"--labels={'cat,' * 100}dog"], "labels: got 101, but model"),
        (["--labels=no/names.txt"], "--labels: no such file 'no/names.txt'"),
        (["--quantization=int4"], "quantization: got 'int4', expected one of "),
        (["--quantization=int8"], "representative_images: got None, but 'int8"),
        (["--preprocessing=1,2/3"], "mean: got (1.0, 2.0), expected one fini"),
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
