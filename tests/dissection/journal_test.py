"""Tests of drnet_tf/dissection/journal.py."""

from __future__ import annotations

import json

import numpy as np
import pytest

from drnet_tf.dissection.journal import Journal
from drnet_tf.importance import Cdrps

PLAN = {"model": "abc", "method": {"iterations": 3, "clip": (0.0, 10.0)}}
IMAGES = np.random.default_rng(0).normal(size=(2, 4, 4, 3)).astype("float32")


def cdrps():
    random = np.random.default_rng(1)
    return Cdrps(
        {
            "block/relu": random.random((2, 3), "float32"),
            "a": random.random((2, 2), "float32"),
        },
        flipped=[True, False],
        kl=[0.1, 0.2],
        iteration=[3, 0],
    )


def check_equal(found, expected):
    assert list(found.gates) == list(expected.gates)  # and in their order
    for site, gates in expected.gates.items():
        assert found.gates[site].tobytes() == gates.tobytes()
    np.testing.assert_array_equal(found.flipped, expected.flipped)
    np.testing.assert_array_equal(found.kl, expected.kl)
    np.testing.assert_array_equal(found.iteration, expected.iteration)
    assert found.flipped.dtype == bool and found.iteration.dtype == np.int32


def test_a_batch_comes_back_bit_for_bit(tmp_path):
    journal = Journal(tmp_path / "new" / "folder", PLAN)
    assert journal.load(0, IMAGES) is None
    journal.save(0, IMAGES, cdrps())
    check_equal(journal.load(0, IMAGES), cdrps())
    assert journal.load(1, IMAGES) is None


def test_the_same_plan_goes_on(tmp_path):
    Journal(tmp_path, PLAN).save(7, IMAGES, cdrps())
    check_equal(Journal(tmp_path, PLAN).load(7, IMAGES), cdrps())
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "batch_00007.safetensors",
        "plan.json",
    ]


def test_another_plan_is_refused(tmp_path):
    Journal(tmp_path, PLAN)
    with pytest.raises(ValueError) as error:
        Journal(tmp_path, {**PLAN, "model": "x" * 100})
    assert str(error.value) == (
        f"work_dir '{tmp_path}' holds another run: its 'model' is \"abc\", "
        f"this run's is \"{'x' * 56}...; pass another folder, or empty this "
        "one."
    )
    assert json.loads((tmp_path / "plan.json").read_text())["model"] == "abc"


@pytest.mark.parametrize("text", ["", "{", "\xff"])
def test_a_damaged_plan_is_refused(tmp_path, text):
    (tmp_path / "plan.json").write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match="plan.json is damaged") as error:
        Journal(tmp_path, PLAN)
    assert "empty the folder or pass another one." in str(error.value)


@pytest.mark.parametrize("text", ["[]", "3", "null", "{}"])
def test_a_plan_json_of_something_else_is_another_run(tmp_path, text):
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(ValueError, match="holds another run: its 'model'"):
        Journal(tmp_path, PLAN)


def test_a_batch_of_other_images_is_refused(tmp_path):
    journal = Journal(tmp_path, PLAN)
    journal.save(0, IMAGES, cdrps())
    others = IMAGES.copy()
    others[1, 3, 3, 2] += 1e-6
    for images in (
        others,
        IMAGES.astype("float64"),
        IMAGES.reshape(4, 2, 4, 3),
    ):
        with pytest.raises(ValueError) as error:
            journal.load(0, images)
        assert str(error.value) == (
            f"'{tmp_path / 'batch_00000.safetensors'}' was made from other "
            "images than this run's; pass the same dataset as before, or "
            "another work_dir."
        )


@pytest.mark.parametrize("keep", [0, 5, 100, -1])
def test_a_damaged_batch_is_refused(tmp_path, keep):
    journal = Journal(tmp_path, PLAN)
    journal.save(0, IMAGES, cdrps())
    path = tmp_path / "batch_00000.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match="batch_00000.safetensors"):
        journal.load(0, IMAGES)


def test_images_of_any_layout_have_one_digest(tmp_path):
    journal = Journal(tmp_path, PLAN)
    journal.save(0, IMAGES, cdrps())
    assert journal.load(0, np.asfortranarray(IMAGES)) is not None


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("no folder")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ValueError) as error:
            Journal(path, PLAN)
        text = str(error.value)
        assert text.startswith(f"work_dir '{path}' cannot be made: ")
        assert text.endswith("pass a folder that can be written.")
