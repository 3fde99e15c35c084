"""The small network of a sub-task by the recipe, and what it refuses."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest

from drnet_tf.masks import ChannelMask
from tests.recipes.in_process import colour_network, run, save_colours


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_colours(tmp_path_factory.mktemp("cciv"))


@pytest.fixture
def build_cciv(capsys, monkeypatch, folder, tmp_path):
    def call(*extra):
        return run(
            capsys,
            monkeypatch,
            "build_cciv",
            f"--model={folder / 'colours.keras'}",
            f"--civ={folder / 'civ.safetensors'}",
            "--classes=red,blue",
            f"--output={tmp_path / 'small'}",
            *extra,
        )

    return call


@pytest.mark.parametrize(
    "criterion",
    ["--threshold=0.5", "--max_macs=0.34", "--max_parameters=70"],
)
def test_the_small_network_keeps_what_its_classes_need(
    criterion, build_cciv, tmp_path
):
    done = build_cciv(criterion)
    assert (done.code, done.err) == (0, "")
    assert "Sub-task red, blue of 'colours'" in done.out
    small = tmp_path / "small"
    mask = ChannelMask.load(small / "mask.safetensors")
    assert mask["relu"].tolist() == [True, False, True] + 3 * [False]
    assert mask.class_names == ("red", "blue")
    model = keras.models.load_model(small / "model.keras")
    assert model.get_layer("conv").filters == 2
    assert model.output_shape == (None, 2)
    written = json.loads((small / "subtask.json").read_text("utf-8"))
    assert written["settings"]["classes"] == ["red", "blue"]
    assert written["running"]["channels"] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


def test_a_drop_is_measured_on_training_images(build_cciv, folder, tmp_path):
    done = build_cciv(
        "--max_drop=0",
        "--rule=xor",
        f"--data={folder / 'data'}",
        "--preprocessing=zero_one",
        "--validation_images=5",
    )
    assert (done.code, done.err) == (0, "")
    written = json.loads((tmp_path / "small/subtask.json").read_text("utf-8"))
    assert written["settings"]["split"] == "train"
    assert written["criterion"]["accuracy"] == 1.0
    assert written["mask"]["rule"] == "xor"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "got no criterion, expected exactly one of threshold"),
        (["--threshold=1", "--max_macs=0.5"], "got threshold, max_macs"),
        (["--max_drop=1"], "--max_drop: got no --data"),
        (["--max_parameters=half"], "--max_parameters: got 'half', expected a"),
        (["--max_parameters=1.5"], "max_parameters: got 1.5, expected"),
        (["--threshold=2"], "keeps no channel at any site"),
        (["--threshold=0"], "threshold: got 0.0, expected a finite number"),
        (["--threshold=1", "--classes=red,cow"], "unknown class 'cow'; known"),
        (["--threshold=1", "--rule=or"], "rule: got 'or', expected one of"),
        (["--threshold=1", "--round_to=0"], "round_to: got 0, expected"),
        (["--threshold=1", "--output=no/such/x"], "'no/such' does not exist"),
        (["--threshold=1", "--civ=no.safetensors"], "no such file"),
    ],
)
def test_bad_input_is_one_sentence(flags, words, build_cciv, tmp_path):
    assert words in build_cciv(*flags).error
    assert list(tmp_path.iterdir()) == []


def test_foreign_and_damaged_files_are_refused(build_cciv, folder, tmp_path):
    whole = (folder / "civ.safetensors").read_bytes()
    damaged = folder / "damaged.safetensors"
    damaged.write_bytes(whole[: len(whole) // 2])
    assert "damaged" in build_cciv("--threshold=1", f"--civ={damaged}").error
    mask = folder / "mask.safetensors"
    ChannelMask({"relu": np.ones(6, bool)}).save(mask)
    done = build_cciv("--threshold=1", f"--civ={mask}")
    assert "holds a channel mask, expected a channel importance" in done.error
    other = colour_network()
    other.get_layer("head").bias.assign([0.0, 1.0, 0.0])
    other.save(folder / "other.keras")
    done = build_cciv("--threshold=1", f"--model={folder / 'other.keras'}")
    assert "are not those of the model that was dissected" in done.error
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_place_of_the_folder_is_refused(build_cciv, tmp_path):
    (tmp_path / "small").write_text("mine", "utf-8")
    assert "cannot be written" in build_cciv("--threshold=1").error
    assert (tmp_path / "small").read_text("utf-8") == "mine"


def test_the_small_network_is_repaired_with_images(
    build_cciv, folder, tmp_path
):
    done = build_cciv(
        "--max_drop=0",
        "--repair=least_squares",
        "--repair_images=4",
        "--validation_images=4",
        f"--data={folder / 'data'}",
        "--preprocessing=zero_one",
    )
    assert done.code == 0
    assert "repaired     by least_squares with 8 images" in done.out
    written = json.loads((tmp_path / "small/subtask.json").read_text("utf-8"))
    assert written["repair"]["images"] == 8
    assert written["settings"]["repair"] == "least_squares"


def test_a_repair_needs_images(build_cciv, tmp_path):
    done = build_cciv("--threshold=0.5", "--repair=norms")
    assert "got no --data, and the CIVs hold no images" in done.error
    assert list(tmp_path.iterdir()) == []


def test_the_file_may_have_so_many_bytes(build_cciv, tmp_path):
    assert build_cciv("--max_bytes=1.0").code == 0
    path = tmp_path / "small/subtask.json"
    written = json.loads(path.read_text("utf-8"))["criterion"]
    assert written["max_bytes"] == 1.0 and written["bytes"] > 1000


def test_channels_are_allocated_with_images(build_cciv, folder, tmp_path):
    done = build_cciv(
        "--max_parameters=0.5",
        "--allocation=layers",
        f"--data={folder / 'data'}",
        "--preprocessing=zero_one",
    )
    assert done.code == 0
    assert "channels allocated to layers" in done.out
