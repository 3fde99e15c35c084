from __future__ import annotations

import keras
import numpy as np
import pytest

from drnet_tf.dissection.baselines import (
    activation_importance,
    magnitude_importance,
    random_importance,
)
from drnet_tf.importance import ChannelImportance
from drnet_tf.labeled_images import LabeledImages
from drnet_tf.sites import gate_sites

NAMES = ("cat", "dog")


def _network():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    inputs = x = keras.Input((6, 6, 2))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="stem")(x)
    y = layers.Conv2D(5, 1, activation="relu", name="inner")(x)
    y = layers.Conv2D(4, 1, name="last")(y)
    x = layers.ReLU(name="relu")(layers.Add(name="add")([x, y]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(2, name="scores")(x))


def _like(model, coupling="free"):
    scores = {
        site.name: np.ones((2, site.channels))
        for site in gate_sites(model, coupling)
    }
    return ChannelImportance(scores, NAMES, "by hand", fingerprint="f" * 64)


def test_random_scores_follow_their_seed():
    like = _like(_network())
    first, again, other = (random_importance(like, seed) for seed in (1, 1, 2))
    assert first.channels == like.channels and first.method == "random"
    assert first.fingerprint == like.fingerprint
    for site, scores in first.scores.items():
        np.testing.assert_array_equal(scores, again.scores[site])
        assert not np.array_equal(scores, other.scores[site])
        assert not np.array_equal(scores[0], scores[1])


def test_magnitude_is_the_filters_mean_absolute_weight():
    model = _network()
    found = magnitude_importance(model, _like(model)).scores
    for site, layer in (("stem", "stem"), ("inner", "inner")):
        kernel = model.get_layer(layer).get_weights()[0]
        expected = np.abs(kernel).mean((0, 1, 2))
        np.testing.assert_allclose(found[site][0], expected, rtol=1e-6)
        np.testing.assert_array_equal(found[site][0], found[site][1])
    kernel = model.get_layer("last").get_weights()[0]
    expected = np.abs(kernel).mean((0, 1, 2))
    np.testing.assert_allclose(found["relu"][0], expected, rtol=1e-6)


def test_magnitudes_of_a_tied_site_are_summed():
    model = _network()
    like = _like(model, "tied")
    (name,) = (x for x, width in like.channels.items() if width == 4)
    found = magnitude_importance(model, like).scores[name]
    kernels = [model.get_layer(x).get_weights()[0] for x in ("stem", "last")]
    expected = sum(np.abs(x).mean((0, 1, 2)) for x in kernels)
    np.testing.assert_allclose(found[0], expected, rtol=1e-6)


@pytest.mark.parametrize("coupling", ["free", "tied"])
def test_activation_is_the_mean_over_the_images_of_a_class(coupling):
    model = _network()
    generator = np.random.default_rng(0)
    images = generator.normal(size=(12, 6, 6, 2)).astype("float32")
    labels = np.arange(12) % 2
    like = _like(model, coupling)
    found = activation_importance(
        model, like, LabeledImages(images, labels, NAMES)
    ).scores
    probe = keras.Model(model.input, model.get_layer("inner").output)
    maps = np.asarray(probe(images))
    for number in range(2):
        expected = maps[labels == number].mean((0, 1, 2))
        np.testing.assert_allclose(
            found["inner"][number], expected, rtol=1e-4, atol=1e-6
        )
