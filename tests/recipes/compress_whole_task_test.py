"""Compression of a whole task by the recipe."""

from __future__ import annotations

import json

import keras
import pytest

from drnet_tf.masks import ChannelMask
from tests.recipes.in_process import colour_network, run, save_images


@pytest.fixture
def compress(capsys, monkeypatch, tmp_path):
    save_images(tmp_path / "data")
    colour_network().save(tmp_path / "colours.keras")

    def call(*extra):
        return run(
            capsys,
            monkeypatch,
            "compress_whole_task",
            f"--model={tmp_path / 'colours.keras'}",
            f"--data={tmp_path / 'data'}",
            "--preprocessing=zero_one",
            f"--output={tmp_path / 'small.keras'}",
            "--mask_epochs=1",
            "--epochs=1",
            "--batch_size=8",
            "--images_per_class=6",
            *extra,
        )

    return call


@pytest.mark.parametrize("frozen", [False, True])
def test_a_small_network_of_all_classes(compress, tmp_path, frozen):
    done = compress("--macs_cut=0.5", *(["--frozen"] if frozen else []))
    assert (done.code, done.err) == (0, "")
    # 1 % less of six channels at a time: the first three that are left.
    small = keras.models.load_model(tmp_path / "small.keras")
    assert small.get_layer("conv").filters == 3
    assert small.output_shape == (None, 3)
    mask = ChannelMask.load(tmp_path / "small.mask.safetensors")
    assert mask.kept == 3 and mask.class_names == ("blue", "green", "red")
    report = json.loads((tmp_path / "small.json").read_text("utf-8"))
    assert report["accuracy"]["full"] == 1
    assert report["macs"]["trained"] * 2 == report["macs"]["full"]
    assert report["settings"]["frozen"] is frozen
    assert "50.0% of the macs saved" in done.out


def test_masks_alone_need_a_trained_network(compress):
    done = compress("--frozen", "--from_scratch")
    assert "expected one at most" in done.error


def test_channels_are_ranked_by_what_is_lost_without_them(compress, tmp_path):
    done = compress(
        "--method=accuracy_reduction", "--removal_images=4", "--macs_cut=0.5"
    )
    assert (done.code, done.err) == (0, "")
    mask = ChannelMask.load(tmp_path / "small.mask.safetensors")
    assert mask.kept == 3
    report = json.loads((tmp_path / "small.json").read_text("utf-8"))
    assert report["settings"]["method"] == "accuracy_reduction"
    # One channel of each colour tells them apart: none of these was taken.
    assert report["accuracy"]["pruned"] == 1


def test_removals_are_of_the_network_as_it_is(compress):
    done = compress("--method=accuracy_reduction", "--from_scratch")
    assert "expected neither" in done.error
