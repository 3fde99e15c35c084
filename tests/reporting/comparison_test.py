"""Figures of a small network beside the full one."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from drnet_tf.masks import ChannelMask
from drnet_tf.pruning import prune
from drnet_tf.reporting.comparison import compare, masked_difference

NAMES = ("cat", "cow", "dog")


def network(activation=None):
    keras.utils.set_random_seed(3)
    image = keras.Input((6, 6, 1))
    x = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(image)
    x = keras.layers.Flatten()(x)
    return keras.Model(image, keras.layers.Dense(3, activation=activation)(x))


@pytest.fixture
def mask():
    return ChannelMask({"conv": np.array([True, False, True, False])})


@pytest.fixture
def data():
    random = np.random.default_rng(0)
    return random.normal(size=(30, 6, 6, 1)).astype(np.float32), np.arange(
        30
    ) % 3


@pytest.mark.parametrize("activation", [None, "softmax"])
def test_a_pruned_network_is_the_masked_one(activation, mask, data):
    model = network(activation)
    small = prune(model, mask, classes=("dog", "cat"), class_names=NAMES).model
    found = compare(model, small, data, ("dog", "cat"), NAMES, mask=mask)
    assert found.masked_difference < 1e-5
    figures = found.as_dict()
    assert figures["images"] == 20
    assert figures["channels"] == 0.5
    # Convolution 4 * 9 + 4, head 64 * 3 + 3; of it 2 * 9 + 2 and 32 * 2 + 2.
    assert figures["parameters"] == pytest.approx(86 / 235)
    assert (figures["full_parameters"], figures["small_parameters"]) == (
        235,
        86,
    )
    assert "proof" in str(found)
    assert "235 -> 86 (36.6%)" in str(found)


@pytest.mark.parametrize("activation", [None, "softmax"])
def test_the_difference_sees_a_wrong_network(activation, mask, data):
    model = network(activation)
    small = prune(model, mask, classes=(2, 0)).model
    weight = small.get_layer("conv").kernel
    weight.assign(1.01 * weight)
    wrong = masked_difference(model, mask, small, data[0], rows=(2, 0))
    assert 1e-4 < wrong < 0.1
    swapped = masked_difference(model, mask, small, data[0], rows=(0, 2))
    assert swapped > 0.1


def test_a_network_with_all_outputs_is_judged_by_its_own(data):
    model = network()
    found = compare(model, model, data, ("dog", "cat"), NAMES).as_dict()
    assert found["drop"] == 0.0
    assert found["parameters"] is None
    assert found["per_class"].keys() == {"dog", "cat"}
