"""Training by the recipe, and what is left of it when it is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import pytest

from drnet_tf.artifacts import load_arrays
from drnet_tf.fingerprints import fingerprint
from tests.recipes.in_process import run, save_images

ROOT = Path(__file__).parents[2]
PATIENCE = 600  # seconds until a process is thought to hang


def _arguments(folder):
    """Six epochs of eight updates, the last of 24 images in place of 32."""
    return [
        "--network=convnet",
        "--data=digits",
        "--images_per_class=27",
        "--validation_images=2",
        "--epochs=6",
        "--batch_size=32",
        "--padding=2",
        "--noflip",
        "--save_every=0",
        f"--output={folder / 'digits.keras'}",
    ]


def _start(folder):
    path = [ROOT / "recipes", ROOT / "tflite", ROOT]
    return subprocess.Popen(
        [sys.executable, ROOT / "recipes" / "train.py", *_arguments(folder)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path))},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _weights(folder):
    model = keras.models.load_model(folder / "digits.keras")
    return [w.tobytes() for w in model.get_weights()]


def _kill_in_the_third_epoch(folder):
    """Kills a run where it cannot know of it."""
    process = _start(folder)
    try:
        deadline = time.monotonic() + PATIENCE
        while _epochs_kept(folder) < 2:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (folder / "digits.keras").exists()


def _epochs_kept(folder):
    paths = list((folder / "digits.work").glob("checkpoint_*"))
    kept = [load_arrays(p, "training_checkpoint")[1]["epoch"] for p in paths]
    return max(kept, default=0)


def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
    out, err = _start(whole).communicate(timeout=PATIENCE)
    assert err == "" and "epoch 6/6" in out

    _kill_in_the_third_epoch(killed)
    out, err = _start(killed).communicate(timeout=PATIENCE)
    assert err == "" and "Checkpoints are in" in out
    assert "epoch 6/6" in out and "epoch 2/6" not in out

    assert _weights(killed) == _weights(whole)
    first, second = (
        json.loads((folder / "digits.json").read_text("utf-8"))
        for folder in (whole, killed)
    )
    for report in (first, second):
        del report["history"]["seconds"]
    assert first == second


@pytest.fixture
def train(capsys, monkeypatch, tmp_path):
    def call(*extra):
        return run(
            capsys,
            monkeypatch,
            "train",
            f"--output={tmp_path / 'small.keras'}",
            *extra,
        )

    return call


def test_what_is_written(train, tmp_path):
    save_images(tmp_path / "data")
    done = train(
        "--network=convnet",
        "--image_shape=8,8,3",
        f"--data={tmp_path / 'data'}",
        "--schedule=one_cycle",
        "--epochs=2",
        "--batch_size=6",
        "--padding=1",
        "--validation_images=2",
        "--work_dir=",
    )
    assert (done.code, done.err) == (0, "")
    assert "epoch 2/2  loss " in done.out
    assert not (tmp_path / "small.work").exists()
    report = json.loads((tmp_path / "small.json").read_text("utf-8"))
    model = keras.models.load_model(tmp_path / "small.keras")
    assert report["fingerprint"] == fingerprint(model)
    assert report["class_names"] == ["blue", "green", "red"]
    assert report["images"] == {"train": 18, "validation": 6, "test": 12}
    assert set(report["history"]) == {"loss", "accuracy", "seconds"}
    assert f"{report['accuracy']:.2%} of 12 test images right" in done.out
    settings = report["settings"]
    assert settings["network"] == "convnet" and settings["epochs"] == 2
    assert settings["weight_decay"] == 5e-4
    assert report["versions"]["keras"] == keras.__version__


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--network=vgg16"], "vgg16: got input_shape=(28, 28, 1)"),
        (["--image_shape=28"], "--image_shape: got '28', expected height,"),
        (["--image_shape=32,32,3"], "the network reads (32, 32, 3)"),
        (["--validation_images=150"], "expected 0 to 149, as class '0' has"),
        (["--epochs=0"], "train: epochs is 0, expected 1 or more"),
        (["--output=network.h5"], "expected a name that ends in .keras"),
        (["--test_split=none"], "no split 'none'"),
    ],
)
def test_flags_that_do_not_suit_are_refused(train, tmp_path, arguments, words):
    done = train("--network=convnet", "--data=digits", *arguments)
    assert words in done.error
    assert not (tmp_path / "small.keras").exists()
