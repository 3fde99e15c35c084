"""Evaluation of a sub-network by the recipe, and what it refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest

from drnet_tf.fingerprints import fingerprint
from drnet_tf.masks import ChannelMask
from drnet_tf.pruning import prune
from tests.recipes.in_process import COLOURS, colour_network, run, save_images

KEEP = {"relu": np.array([True, False, True, False, False, False])}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluate")
    save_images(folder / "data")
    model = colour_network()
    model.save(folder / "colours.keras")
    mask = ChannelMask(
        KEEP, ("red", "blue"), {"fingerprint": fingerprint(model)}
    )
    mask.save(folder / "mask.safetensors")
    small = prune(model, mask, classes=("red", "blue"), class_names=COLOURS)
    # Blue always wins: half of the images are right.
    head = small.model.get_layer("head")
    head.bias.assign(np.array([-100.0, 100.0], np.float32))
    small.model.save(folder / "blue.keras")
    return folder


@pytest.fixture
def evaluate(capsys, monkeypatch, folder, tmp_path):
    def call(*extra):
        return run(
            capsys,
            monkeypatch,
            "evaluate",
            f"--model={folder / 'colours.keras'}",
            f"--data={folder / 'data'}",
            "--preprocessing=zero_one",
            f"--output={tmp_path / 'pair.json'}",
            *extra,
        )

    return call


def test_a_mask_gives_accuracy_costs_and_proof(evaluate, folder, tmp_path):
    done = evaluate(f"--mask={folder / 'mask.safetensors'}")
    assert (done.code, done.err) == (0, "")
    written = json.loads((tmp_path / "pair.json").read_text("utf-8"))
    assert written["settings"]["split"] == "test"
    assert (written["classes"], written["images"]) == (["red", "blue"], 8)
    assert written["per_class"] == {"red": 1.0, "blue": 1.0}
    assert written["full_accuracy"] == written["accuracy"] == 1.0
    # Convolution 27 * 6 + 6, head 6 * 3 + 3; of it 27 * 2 + 2 and 2 * 2 + 2.
    assert written["parameters"] == pytest.approx(62 / 189)
    assert (written["full_parameters"], written["small_parameters"]) == (
        189,
        62,
    )
    assert written["channels"] == pytest.approx(1 / 3)
    assert written["masked_difference"] < 1e-5
    assert "parameters   189 -> 62 (32.8%)" in done.out
    assert "running      33.3% of the channels" in done.out


def test_a_small_network_of_any_origin(evaluate, folder, tmp_path):
    done = evaluate(f"--pruned={folder / 'blue.keras'}", "--classes=red,blue")
    assert (done.code, done.err) == (0, "")
    written = json.loads((tmp_path / "pair.json").read_text("utf-8"))
    assert written["per_class"] == {"red": 0.0, "blue": 1.0}
    assert written["drop"] == 50.0
    assert written["parameters"] is written["masked_difference"] is None


def test_bad_input_is_one_sentence(evaluate, folder, tmp_path):
    mask = f"--mask={folder / 'mask.safetensors'}"
    pruned = f"--pruned={folder / 'blue.keras'}"
    assert "got none, expected exactly one of them" in evaluate().error
    assert "got both, expected" in evaluate(mask, pruned).error
    assert "--classes: expected with --pruned" in evaluate(pruned).error
    done = evaluate(pruned, "--classes=red,cow")
    assert "unknown class 'cow'; known: blue, green, red" in done.error
    done = evaluate(pruned, "--classes=red")
    assert "has 2 outputs, expected" in done.error
    assert "no split 'val'" in evaluate(mask, "--split=val").error
    assert "is a folder" in evaluate(mask, f"--output={tmp_path}").error
    other = colour_network()
    other.get_layer("head").bias.assign([0.0, 1.0, 0.0])
    other.save(folder / "other.keras")
    done = evaluate(mask, f"--model={folder / 'other.keras'}")
    assert "it was made for a model with the fingerprint" in done.error
    assert list(tmp_path.iterdir()) == []
