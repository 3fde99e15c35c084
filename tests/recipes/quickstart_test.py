"""The quickstart on a user's network, and what it refuses."""

from __future__ import annotations

import json

import drnet_tflite
import keras
import numpy as np
import pytest

from drnet_tf.importance import ChannelImportance
from tests.recipes.in_process import COLOURS, colour_network, run, save_images


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quickstart")
    save_images(folder / "data")
    colour_network().save(folder / "colours.keras")
    return folder


@pytest.fixture
def quickstart(capsys, monkeypatch, folder, tmp_path):
    def call(*extra):
        return run(
            capsys,
            monkeypatch,
            "quickstart",
            f"--model={folder / 'colours.keras'}",
            f"--data={folder / 'data'}",
            "--preprocessing=zero_one",
            f"--output={tmp_path / 'out'}",
            "--images_per_class=6",
            *extra,
        )

    return call


def test_one_command_gives_networks_files_and_page(quickstart, tmp_path):
    done = quickstart("--classes=red,blue", "--classes=green, blue")
    assert (done.code, done.err) == (0, "")
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {
        "civ.safetensors", "full.tflite", "green-blue",
        "index.html", "quickstart.json", "red-blue",
    }  # fmt: skip
    assert {path.name for path in (out / "red-blue").iterdir()} == {
        "model.keras",
        "mask.safetensors",
        "subtask.json",
        "model.tflite",
    }
    labels = drnet_tflite.read_labels(out / "green-blue" / "model.tflite")
    assert labels == ("green", "blue")
    written = json.loads((out / "quickstart.json").read_text("utf-8"))
    assert written["settings"]["classes"] == ["red,blue", "green, blue"]
    assert written["unreached"] == []
    for row in written["rows"]:
        assert row["accuracy"] == 1.0
        assert row["parameters"] < 1.0
        assert row["masked_difference"] < 1e-5
        assert row["tflite_difference"] < 1e-4
        assert 0 < row["tflite_bytes"]
        assert 0 < row["milliseconds"]
        assert row["images"] == 8
    model = keras.models.load_model(out / "red-blue" / "model.keras")
    assert model.output_shape == (None, 2)
    page = (out / "index.html").read_text("utf-8")
    assert page.count("<svg") == 4
    assert "recipes/build_cciv.py --model=my.keras" in page
    assert "red, blue" in done.out
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_failures_leave_other_files_alone(quickstart, folder, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "index.html").write_text("mine", "utf-8")
    civ = folder / "civ.safetensors"
    # Red and blue only share channels that cannot tell them apart.
    scores = np.zeros((3, 6), np.float32)
    scores[:, 3:] = 1
    ChannelImportance({"relu": scores}, COLOURS, "by hand").save(civ)
    done = quickstart(f"--civ={civ}", "--classes=red,blue", "--max_drop=0.5")
    assert "no sub-network is within 0.5 points of 100.00 %" in done.error
    assert (out / "index.html").read_text("utf-8") == "mine"
    assert [path.name for path in out.iterdir()] == ["index.html"]
    other = ChannelImportance(
        {"relu": scores}, COLOURS, "by hand", fingerprint="of another"
    )
    other.save(civ)
    done = quickstart(f"--civ={civ}", "--classes=red,blue")
    assert "are not those of the model that was dissected" in done.error
    assert [path.name for path in out.iterdir()] == ["index.html"]


def test_missing_civs_are_refused(quickstart, tmp_path):
    done = quickstart("--classes=red,blue", "--civ=no.safetensors")
    assert "'no.safetensors': no such file" in done.error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "--classes: got none, expected the classes of each small"),
        (["--classes=red,cow"], "unknown class 'cow'; known: blue, green, red"),
        (["--classes=red,red"], "'red' stands twice"),
        (["--classes=red,blue", "--max_drop=-1"], "max_drop: got -1.0"),
        (["--classes=red,blue", "--rule=or"], "rule: got 'or', expected"),
        (["--classes=red", "--rule=xor"], "rule 'xor': got 1 classes"),
        (["--classes=red,blue", "--test_split=val"], "no split 'val'"),
        (["--classes=red,blue", "--output=no/such/x"], "'no/such' does not"),
        (["--classes=red,blue", "--images_per_class=9"], "has 8 images"),
        (["--classes=1,7", "--data=digits"], "3 outputs, got 10 class names"),
    ],
)
def test_bad_input_is_one_sentence(flags, words, quickstart, tmp_path):
    assert words in quickstart(*flags).error
    assert list(tmp_path.iterdir()) == []


def test_a_network_without_class_scores_is_refused(
    quickstart, folder, tmp_path
):
    image = keras.Input((8, 8, 3))
    conv = keras.layers.Conv2D(4, 3, activation="relu")(image)
    keras.Model(image, conv).save(folder / "features.keras")
    done = quickstart(
        f"--model={folder / 'features.keras'}", "--classes=red,blue"
    )
    assert "outputs no class scores" in done.error
    assert list(tmp_path.iterdir()) == []
