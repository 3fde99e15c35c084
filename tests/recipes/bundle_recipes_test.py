"""The recipes that write a bundle and cut sub-networks out of it."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import drnet_tflite
import numpy as np
import pytest

from drnet_tf.importance import ChannelImportance
from tests.recipes.in_process import COLOURS, colour_network, run, save_images

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def inputs(tmp_path):
    model = colour_network()
    model.save(tmp_path / "net.keras")
    scores = np.eye(3, 6)  # a channel of its own for each
    importance = ChannelImportance({"relu": scores}, COLOURS, "by hand")
    importance.save(tmp_path / "civ.safetensors")
    return tmp_path


def build(capsys, monkeypatch, folder, *arguments):
    return run(
        capsys,
        monkeypatch,
        "build_bundle",
        f"--model={folder / 'net.keras'}",
        f"--civ={folder / 'civ.safetensors'}",
        f"--output={folder / 'bundle.tflite'}",
        *arguments,
    )


def cut(*arguments):
    """As a user would, in a process of its own."""
    return subprocess.run(
        [sys.executable, ROOT / "recipes" / "cut_subtask.py", *arguments],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tflite'}"},
    )


def test_a_bundle_is_written_and_cut(capsys, monkeypatch, inputs):
    done = build(capsys, monkeypatch, inputs, "--preprocessing=unit")
    assert done.code == 0, done.err
    assert "6 channels that may go" in done.out
    figures = json.loads((inputs / "bundle.json").read_text())
    assert figures["settings"]["quantization"] == "float32"
    assert figures["report"]["max_difference"] == 0
    output = inputs / "small.tflite"
    done = cut(
        f"--bundle={inputs / 'bundle.tflite'}",
        "--classes=red,blue",
        "--threshold=0.5",
        "--round_to=1",
        f"--output={output}",
    )
    assert done.returncode == 0, done.stderr
    assert "2 of 6 channels, 60 parameters, for red, blue" in done.stdout
    assert drnet_tflite.read_labels(output) == ("red", "blue")
    image = np.zeros((2, 8, 8, 3), np.float32)
    image[0, ..., 0] = image[1, ..., 2] = 1  # red, blue
    assert drnet_tflite.run(output, image).argmax(-1).tolist() == [0, 1]


def test_images_make_a_bundle_of_bytes(capsys, monkeypatch, inputs):
    data = save_images(inputs / "images")
    done = build(
        capsys,
        monkeypatch,
        inputs,
        "--quantization=int8",
        f"--data={data}",
        "--preprocessing=unit",
        "--encoding=float16",
        "--representative_images=8",
    )
    assert done.code == 0, done.err
    assert "int8" in done.out
    bundle = drnet_tflite.Bundle(inputs / "bundle.tflite")
    assert bundle.plan.encoding == 1


def test_requests_that_do_not_fit_are_told_in_a_line(
    capsys, monkeypatch, inputs
):
    assert build(capsys, monkeypatch, inputs).code == 0
    output = inputs / "small.tflite"
    done = cut(
        f"--bundle={inputs / 'bundle.tflite'}",
        "--classes=red,pink",
        "--threshold=0.5",
        f"--output={output}",
    )
    assert done.returncode == 2
    assert done.stderr == (
        "error: extract: unknown class 'pink', the bundle has blue, green, "
        "red.\n"
    )
    assert not output.exists()
