"""Dissection by the recipe, and what it refuses."""

from __future__ import annotations

import json

import keras
import pytest

from drnet_tf.importance import ChannelImportance
from tests.recipes.in_process import COLOURS, colour_network, run, save_images


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("civ")
    save_images(folder / "data")
    colour_network().save(folder / "colours.keras")
    return folder


@pytest.fixture
def build_civ(capsys, monkeypatch, folder, tmp_path):
    def call(*extra, model=folder / "colours.keras"):
        return run(
            capsys,
            monkeypatch,
            "build_civ",
            f"--model={model}",
            f"--data={folder / 'data'}",
            "--preprocessing=zero_one",
            f"--output={tmp_path / 'civ.safetensors'}",
            "--images_per_class=6",
            "--batch_size=6",
            *extra,
        )

    return call


def test_civs_and_figures_are_written(build_civ, tmp_path):
    done = build_civ("--balance=2")
    assert (done.code, done.err) == (0, "")
    assert "balance 2" in done.out
    importance = ChannelImportance.load(tmp_path / "civ.safetensors")
    assert importance.class_names == COLOURS
    written = json.loads((tmp_path / "civ.json").read_text("utf-8"))
    assert written["settings"]["images_per_class"] == 6
    assert written["settings"]["preprocessing"] == "zero_one"
    assert written["fingerprint"] == importance.fingerprint
    assert sum(written["diagnostics"]["iterate_histogram"]) == 18
    # A class needs the channel of its colour more than the idle ones.
    scores = importance.scores["relu"]
    for row in range(3):
        assert scores[row, row] > scores[row, 3:].max()


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--images_per_class=9", "Class 'blue' has 8 images in the dataset"),
        (
            "--data=no/folder",
            "Data 'no/folder': neither a folder nor a dataset",
        ),
        ("--split=val", "no split 'val'"),
        ("--devices=CPU:0,GPU:9", "devices: got CPU:0, GPU:9, expected"),
        ("--balance=-1", "CDRP: balance: got -1.0, expected"),
        ("--preprocessing=0..1", "Preprocessing '0..1': not known"),
        ("--output=no/such/civ.safetensors", "cannot be written: the folder"),
        ("--output=civ.json", "expected a file that ends in .safetensors"),
        ("--model=no.keras", "no.keras"),
    ],
)
def test_bad_input_is_one_sentence(flag, words, build_civ, tmp_path):
    assert words in build_civ(flag).error
    assert list(tmp_path.iterdir()) == []


def test_bad_networks_are_refused(build_civ, tmp_path, folder):
    image = keras.Input((8, 8, 3))
    flat = keras.layers.Flatten()(image)
    pooled = keras.layers.GlobalAveragePooling2D()(
        keras.layers.Conv2D(4, 3)(image)
    )
    bad = {
        "no convolution": keras.Model(image, keras.layers.Dense(3)(flat)),
        "no class scores": keras.Model(
            image, keras.layers.Dense(3, activation="sigmoid")(pooled)
        ),
        "4 outputs": keras.Model(image, keras.layers.Dense(4)(pooled)),
    }
    for number, (words, model) in enumerate(bad.items()):
        path = folder / f"bad{number}.keras"
        model.save(path)
        assert words in build_civ(model=path).error
    path = folder / "damaged.keras"
    path.write_bytes((folder / "colours.keras").read_bytes()[:500])
    assert "damaged.keras" in build_civ(model=path).error
    assert list(tmp_path.iterdir()) == []
