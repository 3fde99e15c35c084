"""Tests of drnet_tf/mask_families.py: which channels which way keeps."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from drnet_tf.costs import CostModel
from drnet_tf.importance import ChannelImportance
from drnet_tf.mask_families import mask_family


@pytest.fixture(scope="module")
def network():
    """Channels 0 and 1 are alike and the loudest, 2 tells something new."""
    kernel = np.array([[[3, 3, 1, 0]], [[0, 0, 0, 1]]], "float32")
    model = keras.Sequential(
        [
            keras.Input((2, 2)),
            layers.Conv1D(4, 1, use_bias=False, activation="relu", name="conv"),
            layers.GlobalAveragePooling1D(),
            layers.Dense(2, name="scores"),
        ]
    )
    model.get_layer("conv").set_weights([kernel.transpose(1, 0, 2)])
    weights = np.array([[1, 0], [1, 0], [0, 0.1], [0, 1]], "float32")
    model.get_layer("scores").set_weights([weights, np.zeros(2, "float32")])
    importance = ChannelImportance(
        {"conv": np.array([[0.9, 0.8, 0.2, 0.1]] * 2)}, ("a", "b"), "by hand"
    )
    images = np.random.default_rng(0).random((40, 2, 2)).astype("float32")
    return model, importance, images


def _widest(network, allocation, kept, **options):
    model, importance, images = network
    costs = CostModel(model)
    masks = mask_family(
        allocation,
        model,
        importance,
        ("b", "a"),
        lambda mask: costs.masked(mask).parameters,
        images,
        progress=False,
        **options,
    )
    assert masks.classes == ("b", "a")
    mask = next(x for x in masks if x.kept == kept)
    return mask["conv"].tolist(), mask.provenance["method"]


def test_the_importance_or_the_reconstruction_orders(network):
    for allocation in ("threshold", "layers"):
        found = _widest(network, allocation, 2)
        assert found == ([True, True, False, False], "by hand")
    keep, method = _widest(network, "reconstruction", 2)
    # One of the three that see the first input, and the one of the second.
    assert sum(keep[:3]) == 1 and keep[3]
    assert method == "reconstruction"


def test_channels_come_in_multiples(network):
    for allocation in ("threshold", "layers", "reconstruction"):
        keep, _ = _widest(network, allocation, 2, round_to=2)
        assert sum(keep) == 2


def test_what_cannot_be_is_refused(network):
    model, importance, images = network
    with pytest.raises(ValueError, match="'magic', expected one of threshold"):
        mask_family("magic", model, importance, ("a",), len, images)
    with pytest.raises(ValueError, match="got none for the allocation by lay"):
        mask_family("layers", model, importance, ("a",), len, None)
