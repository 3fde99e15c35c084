"""The recipe that joins networks, on networks of three colours."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest

from drnet_tf.assembly.competition import competition
from tests.recipes.in_process import COLOURS, run, save_colours


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_colours(tmp_path_factory.mktemp("joined"))


@pytest.fixture
def recipe(capsys, monkeypatch, folder, tmp_path):
    def call(*extra):
        model = folder / "colours.keras"
        return run(
            capsys,
            monkeypatch,
            "assemble_networks",
            f"--data={folder / 'data'}",
            f"--models={model},{model}",
            "--preprocessings=zero_one",
            "--preprocessings=zero_one",
            f"--output={tmp_path / 'joined.keras'}",
            "--scale_images=6",
            *extra,
        )

    return call


def test_figures_are_those_of_the_file(recipe, folder, tmp_path):
    blue, *others = COLOURS
    done = recipe(
        f"--classes={','.join(others)}", f"--classes={blue}", "--epochs=0"
    )
    assert done.code == 0, done.err
    report = json.loads((tmp_path / "joined.json").read_text("utf-8"))
    assert set(report["assembled"]) == {"joined", "scaled"}
    assert report["components"][0]["classes"] == others
    assert report["components"][1]["accuracy"] == 1  # of one class
    model = keras.models.load_model(tmp_path / "joined.keras", compile=False)
    test = keras.utils.image_dataset_from_directory(
        folder / "data" / "test",
        label_mode="int",
        image_size=model.input_shape[1:3],
        shuffle=False,
        verbose=False,
    )
    outputs = np.concatenate([model(x) for x, _ in test])
    labels = np.concatenate([y for _, y in test])
    own = np.array([*others, blue])[outputs.argmax(1)]
    expected = (own == np.array(test.class_names)[labels]).mean()
    found = report["assembled"]["scaled"]["accuracy"]
    assert found == pytest.approx(expected)
    page = (tmp_path / "joined.md").read_text("utf-8")
    lines = [x.replace(" ", "").split("|") for x in page.splitlines()]
    (row,) = [x for x in lines if "scaled" in x]
    best = max(x["accuracy"] for x in report["networks"])
    assert row[3:5] == [f"{found:.2%}", f"{100 * (found - best):+.2f}"]
    assert page.count("component of colours.keras") == 2


def test_smaller_components_are_cut_and_tuned(recipe, folder, tmp_path):
    civ = folder / "civ.safetensors"
    done = recipe(
        f"--classes={COLOURS[0]},{COLOURS[1]}",
        f"--classes={COLOURS[2]}",
        f"--civs={civ},{civ}",
        "--max_macs=0.7",
        "--align",
    )
    assert done.code == 0, done.err
    report = json.loads((tmp_path / "joined.json").read_text("utf-8"))
    for part in report["components"]:
        assert part["macs"] <= 0.75 * report["networks"][0]["macs"]
    tuned = report["assembled"]["fine-tuned"]
    assert tuned["within_part"] >= tuned["accuracy"]
    assert "fine-tuned" in done.out


def test_as_many_of_each_list_as_networks(recipe):
    error = recipe(f"--classes={COLOURS[0]}").error
    assert "--classes: got 1, expected 2, one for each network" in error


def test_competition_refuses_other_sizes():
    with pytest.raises(ValueError, match="parts of .1, 1. classes for 3"):
        competition(np.zeros((1, 3)), np.array([0]), [1, 1])
