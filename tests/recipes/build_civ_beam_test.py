"""The recipe of the pipeline, against that of the local run."""

from __future__ import annotations

import json

import pytest

from drnet_tf.importance import ChannelImportance
from tests.recipes.in_process import COLOURS, colour_network, run, save_images

pytest.importorskip(
    "apache_beam", reason="apache_beam is not installed: drnet_tf[beam]"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("civ_beam")
    save_images(folder / "data")
    colour_network().save(folder / "colours.keras")
    return folder


@pytest.fixture
def build(capsys, monkeypatch, folder, tmp_path):
    def call(recipe, *extra):
        return run(
            capsys,
            monkeypatch,
            recipe,
            f"--model={folder / 'colours.keras'}",
            f"--data={folder / 'data'}",
            "--preprocessing=zero_one",
            f"--output={tmp_path / recipe}.safetensors",
            "--images_per_class=6",
            "--batch_size=5",
            "--balance=2",
            *extra,
        )

    return call


def test_both_recipes_write_one_file(build, tmp_path):
    done = build("build_civ_beam", "--beam=runner=DirectRunner")
    assert (done.code, done.err) == (0, "")
    assert "balance 2" in done.out
    assert build("build_civ").code == 0
    beam, local = (
        tmp_path / f"{recipe}.safetensors"
        for recipe in ("build_civ_beam", "build_civ")
    )
    assert beam.read_bytes() == local.read_bytes()
    assert ChannelImportance.load(beam).class_names == COLOURS
    beam, local = (
        json.loads(path.with_suffix(".json").read_text("utf-8"))
        for path in (beam, local)
    )
    assert beam["diagnostics"] == local["diagnostics"]
    assert beam["settings"]["images_per_class"] == 6
    assert "beam" not in beam["settings"]  # decides nothing


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--images_per_class=9", "Class 'blue' has 8 images in the dataset"),
        ("--split=val", "no split 'val'"),
        ("--output=no/such/civ.safetensors", "cannot be written: the folder"),
    ],
)
def test_bad_input_is_one_sentence(flag, words, build, tmp_path):
    assert words in build("build_civ_beam", flag).error
    assert list(tmp_path.iterdir()) == []
