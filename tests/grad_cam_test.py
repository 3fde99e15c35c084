"""Grad-CAM against numbers by hand, and what it refuses."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from drnet_tf.grad_cam import grad_cam, last_map_site, overlap, spread
from drnet_tf.masks import ChannelMask
from drnet_tf.pruning import prune

KERNEL = np.array([[1.0, -1.0, 2.0], [0.5, 1.0, -1.0]])  # 2 in, 3 maps
HEAD = np.array([[1.0, -2.0], [3.0, 0.5], [-1.0, 1.0]])


def network(pooled=True, activation=None):
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((4, 5, 2)),
            layers.Conv2D(3, 1, use_bias=False, name="conv"),
            layers.ReLU(name="relu"),
            layers.GlobalAveragePooling2D() if pooled else layers.Flatten(),
            layers.Dense(2, activation=activation, name="head"),
        ]
    )
    random = np.random.default_rng(1)
    head = HEAD if pooled else random.normal(size=(60, 2))
    model.set_weights([KERNEL.reshape(1, 1, 2, 3), head, np.zeros(2)])
    return model, head


def images(count=3):
    return np.random.default_rng(0).normal(size=(count, 4, 5, 2)).astype("f4")


def by_hand(weights, some):
    """L of maps that are max(x K, 0), α given for each image."""
    maps = np.maximum(some @ KERNEL, 0)
    return np.maximum((maps * weights[:, None, None, :]).sum(-1), 0)


def test_behind_a_mean_the_weights_are_those_of_the_head():
    some, wanted = images(), [1, 0, 1]
    model, _ = network()
    before = model.get_weights()
    found = grad_cam(model, some, wanted)
    # y = Σ_k w_k mean(A_k), so ∂y / ∂A_ijk = w_k / Z at all Z = 20 places.
    expected = by_hand(HEAD[:, wanted].T / 20, some)
    assert found.shape == (3, 4, 5)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_behind_a_flattening_they_are_the_mean_of_its_weights():
    some, wanted = images(), [0, 1, 0]
    model, head = network(pooled=False)
    weights = head.reshape(4, 5, 3, 2).mean((0, 1))[:, wanted].T
    np.testing.assert_allclose(
        grad_cam(model, some, wanted, site="relu"),
        by_hand(weights, some),
        rtol=1e-5,
        atol=1e-6,
    )


def test_a_softmax_is_left_out():
    """It is the logit that is derived, not the probability."""
    some, wanted = images(), [1, 0, 1]
    np.testing.assert_allclose(
        grad_cam(network(activation="softmax")[0], some, wanted),
        grad_cam(network()[0], some, wanted),
        rtol=1e-5,
    )


def test_many_images_are_read_in_parts():
    some, wanted = images(203), np.arange(203) % 2
    whole = grad_cam(network()[0], some, wanted)
    last = grad_cam(network()[0], some[200:], wanted[200:])
    np.testing.assert_allclose(whole[200:], last, rtol=1e-5, atol=1e-7)


def test_a_pruned_network_looks_by_the_channels_that_are_left():
    some = images()
    model, _ = network()
    mask = ChannelMask({"relu": np.array([True, False, True])})
    pruned = prune(model, mask, classes=[1])
    weights = np.tile(HEAD[:, 1] / 20 * [1, 0, 1], (3, 1))
    np.testing.assert_allclose(
        grad_cam(pruned.model, some, [0, 0, 0], "relu"),
        by_hand(weights, some),
        rtol=1e-5,
        atol=1e-6,
    )


def test_the_last_site_with_places_to_tell_apart_is_taken():
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((16, 16, 1)),
            layers.Conv2D(2, 3, padding="same", name="wide"),
            layers.MaxPooling2D(4),
            layers.Conv2D(2, 3, padding="same", name="four"),
            layers.MaxPooling2D(2),
            layers.Conv2D(2, 3, padding="same", name="two"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2),
        ]
    )
    assert last_map_site(model).name == "four"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"outputs": [0, 2, 0]}, "expected one for each, below 2"),
        ({"outputs": [0]}, "got 1 outputs for 3 images"),
        ({"outputs": [0, 0, 0], "site": "no"}, "has no site 'no', expected"),
    ],
)
def test_what_cannot_be_asked_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        grad_cam(network()[0], images(), **arguments)


def test_a_network_without_maps_is_refused():
    model = keras.Sequential(
        [
            keras.Input((2, 2, 1)),
            keras.layers.Conv2D(2, 1),
            keras.layers.Flatten(),
            keras.layers.Dense(2),
        ]
    )
    with pytest.raises(ValueError, match="no convolution with maps of 4 x 4"):
        last_map_site(model)


def test_overlap_and_spread_of_maps_by_hand():
    here, there = np.zeros((2, 4, 4)), np.zeros((2, 4, 4))
    here[0, 0, :2], there[0, 0, 1:3] = 3, 5  # one of two places is shared
    np.testing.assert_allclose(overlap(here, there), [0.5, np.nan])
    np.testing.assert_allclose(overlap(here, here), [1, np.nan])
    np.testing.assert_allclose(spread(here), [2 / 16, np.nan])
    np.testing.assert_allclose(spread(np.ones((1, 4, 4))), [1])
