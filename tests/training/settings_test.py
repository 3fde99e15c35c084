"""What settings there are, and which are refused."""

from __future__ import annotations

import dataclasses

import pytest

from drnet_tf.training import Training


def test_the_defaults_are_the_papers():
    assert dataclasses.asdict(Training()) == {
        "epochs": 550,
        "batch_size": 256,
        "schedule": "paper",
        "learning_rate": 0.1,
        "momentum": 0.9,
        "weight_decay": 1e-5,
        "padding": 4,
        "flip": True,
        "dtype_policy": "float32",
        "jit": False,
        "seed": 0,
    }


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("epochs", 0, "1 or more"),
        ("batch_size", 0, "1 or more"),
        ("padding", -1, "0 or more"),
        ("seed", -1, "0 or more"),
        ("learning_rate", 0.0, "a finite number above 0"),
        ("learning_rate", float("nan"), "a finite number above 0"),
        ("learning_rate", float("inf"), "a finite number above 0"),
        ("momentum", 1.0, "0 to below 1"),
        ("weight_decay", -1e-5, "a finite number of 0 or more"),
        ("schedule", "linear", "one of paper, one_cycle"),
        ("dtype_policy", "bfloat16", "one that keeps weights in float32"),
        ("dtype_policy", "half", "one that keeps weights in float32"),
    ],
)
def test_a_setting_out_of_range_is_refused(name, value, expected):
    with pytest.raises(ValueError) as refused:
        Training(**{name: value})
    assert f"train: {name} is {value!r}, expected {expected}" in str(
        refused.value
    )
