"""Two checkpoints, of which one is always whole."""

from __future__ import annotations

import numpy as np
import pytest

from drnet_tf import artifacts
from drnet_tf.training.checkpoints import Checkpoints, Position

PLAN = {"seed": 0, "epochs": 5}
NAMES = ("checkpoint_a.safetensors", "checkpoint_b.safetensors")


def _state(number):
    return {"network/0": np.full(4, number, "float32")}


def _position(epoch, step=0):
    history = {"loss": [1 / 3] * epoch, "seconds": [2.0] * epoch}
    return Position(epoch, step, 0.1 + step, 1.5, history)


@pytest.fixture
def kept(tmp_path):
    kept = Checkpoints(tmp_path, PLAN)
    assert kept.load() is None
    for epoch in (1, 2, 3):
        kept.save(_state(epoch), _position(epoch))
    return kept


def _damage(path):
    """One bit of the weights, which safetensors does not see."""
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def test_the_newest_is_loaded_as_it_was(kept, tmp_path):
    kept.save(_state(9), _position(3, step=2))
    state, position = Checkpoints(tmp_path, PLAN).load()
    assert position == _position(3, step=2)
    np.testing.assert_array_equal(state["network/0"], _state(9)["network/0"])


def test_a_run_that_goes_on_replaces_the_older_one(kept, tmp_path):
    again = Checkpoints(tmp_path, PLAN)
    assert again.load()[1].epoch == 3
    again.save(_state(4), _position(4))
    (tmp_path / NAMES[1]).unlink()  # where epoch 2 was
    assert Checkpoints(tmp_path, PLAN).load()[1].epoch == 3


@pytest.mark.parametrize(
    "spoil",
    [_damage, lambda p: p.write_bytes(p.read_bytes()[:40])],
    ids=["bit", "cut"],
)
def test_a_damaged_one_falls_back_to_the_one_before_it(kept, tmp_path, spoil):
    spoil(tmp_path / NAMES[0])  # of epoch 3; epoch 2 is in the other
    again = Checkpoints(tmp_path, PLAN)
    state, position = again.load()
    assert (position.epoch, state["network/0"][0]) == (2, 2)
    again.save(_state(3), _position(3))  # in place of the damaged one
    (tmp_path / NAMES[1]).unlink()
    assert Checkpoints(tmp_path, PLAN).load()[1].epoch == 3


def test_both_damaged_are_refused(kept, tmp_path):
    for name in NAMES:
        _damage(tmp_path / name)
    with pytest.raises(ValueError, match="no checkpoint in it is whole") as no:
        kept.load()
    assert "empty the folder to start anew" in str(no.value)


def test_writing_that_fails_leaves_the_newest(kept, tmp_path, monkeypatch):
    def killed(source, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(artifacts.os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        kept.save(_state(4), _position(4))
    monkeypatch.undo()
    assert Checkpoints(tmp_path, PLAN).load()[1].epoch == 3


def test_the_folder_of_another_run_is_refused(kept, tmp_path):
    with pytest.raises(ValueError) as refused:
        Checkpoints(tmp_path, PLAN | {"epochs": 6})
    assert "its 'epochs' is 5, this run's is 6" in str(refused.value)


def test_they_are_due_after_some_seconds(tmp_path, monkeypatch):
    clock = [0.0]
    module = "drnet_tf.training.checkpoints.time.monotonic"
    monkeypatch.setattr(module, lambda: clock[0])
    kept = Checkpoints(tmp_path, PLAN, save_every=10)
    clock[0] = 9.9
    assert not kept.due()
    clock[0] = 10.0
    assert kept.due()
    kept.save(_state(1), _position(1))
    assert not kept.due()
    with pytest.raises(ValueError, match="save_every is -1"):
        Checkpoints(tmp_path, PLAN, save_every=-1)
