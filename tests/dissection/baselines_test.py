"""Tests of drnet_tf/dissection/baselines.py, channel_weights.py, taylor.py."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from drnet_tf.dissection.baselines import (
    BatchNormScale,
    Magnitude,
    MeanActivation,
    Random,
    activation_importance,
    magnitude_importance,
    random_importance,
)
from drnet_tf.dissection.method import DrawnImages, Problem
from drnet_tf.dissection.taylor import Taylor
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


def _problem(model, images, labels, coupling="free"):
    drawn = [np.flatnonzero(labels == k) for k in range(2)]
    return Problem(
        model,
        gate_sites(model, coupling),
        coupling,
        NAMES,
        DrawnImages((images, labels), drawn, 5),
        seed=1,
        batch_size=5,
        work_dir=None,
        progress=False,
    )


def _data():
    generator = np.random.default_rng(0)
    images = generator.normal(size=(12, 6, 6, 2)).astype("float32")
    return images, np.arange(12) % 2


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


@pytest.mark.parametrize("coupling", ["free", "tied"])
def test_methods_and_functions_give_the_same(coupling):
    model, (images, labels) = _network(), _data()
    problem = _problem(model, images, labels, coupling)
    like = _like(model, coupling)
    data = LabeledImages(images, labels, NAMES)
    for method, importance in (
        (Random(), random_importance(like, seed=1)),
        (Magnitude(), magnitude_importance(model, like)),
        (MeanActivation(), activation_importance(model, like, data)),
    ):
        scores, told = method.scores(problem)
        assert told == {}
        for site, expected in importance.scores.items():
            np.testing.assert_allclose(scores[site], expected, rtol=1e-4)


def test_a_class_keeps_its_random_scores_wherever_it_stands():
    like = _like(_network())
    swapped = ChannelImportance(like.scores, NAMES[::-1], "by hand")
    for site, scores in random_importance(like).scores.items():
        other = random_importance(swapped).scores[site]
        np.testing.assert_array_equal(scores, other[::-1])


def _normed(scale=True):
    """A residual sum of a stem with norm and a branch that ends in one."""
    layers = keras.layers
    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(3, 1, name="stem")(inputs)
    x = layers.BatchNormalization(name="stem_bn", scale=scale)(x)
    y = layers.ReLU(name="early")(x)
    y = layers.Conv2D(3, 1, name="last")(y)
    y = layers.BatchNormalization(name="last_bn")(y)
    x = layers.ReLU(name="late")(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, layers.Dense(2)(x))
    if scale:
        model.get_layer("stem_bn").gamma.assign([1.0, -2.0, 3.0])
    model.get_layer("last_bn").gamma.assign([10.0, 20.0, -30.0])
    return model


def test_norm_scales_by_hand():
    scores, _ = BatchNormScale().scores(_problem(_normed(), *_data()))
    assert list(scores) == ["early", "late"]
    assert scores["early"].tolist() == [[1, 2, 3]] * 2
    assert scores["late"].tolist() == [[11, 22, 33]] * 2


def test_a_norm_behind_two_places_of_a_tied_site_counts_once():
    problem = _problem(_normed(), *_data(), coupling="tied")
    (scores,) = BatchNormScale().scores(problem)[0].values()
    assert scores.tolist() == [[11, 22, 33]] * 2


def test_a_site_without_the_scale_of_a_norm_is_refused():
    with pytest.raises(ValueError) as error:
        BatchNormScale().scores(_problem(_normed(scale=False), *_data()))
    assert str(error.value) == (
        "Site 'early': found no batch norm with a scale before it (behind "
        "'stem'), expected one at every site; use Magnitude or Taylor, which "
        "need none."
    )


@pytest.mark.parametrize("activation", [None, "softmax"])
def test_taylor_by_hand(activation):
    """Of logits m W, m the means of the maps: dL/dλ_c = m_c (W (p - t))_c."""
    layers = keras.layers
    inputs = keras.Input((2, 2, 3))
    x = layers.Conv2D(3, 1, activation="relu", name="conv")(inputs)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, layers.Dense(2, activation=activation)(x))
    generator = np.random.default_rng(0)
    head = generator.normal(size=(3, 2))
    eye = np.eye(3).reshape(1, 1, 3, 3)
    model.set_weights([eye, np.zeros(3), head, np.zeros(2)])
    images = generator.normal(size=(12, 2, 2, 3)).astype("float32")
    labels = np.arange(12) % 2
    means = np.maximum(images, 0).mean((1, 2))
    p = np.exp(means @ head)
    p /= p.sum(1, keepdims=True)
    slopes = np.abs(means * ((p - np.eye(2)[labels]) @ head.T))
    expected = np.stack([slopes[labels == k].mean(0) for k in range(2)])
    problem = _problem(model, images, labels)
    plain = Taylor(normalize=False).scores(problem)[0]["conv"]
    np.testing.assert_allclose(plain, expected, rtol=1e-4)
    unit = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    found = Taylor().scores(problem)[0]["conv"]
    np.testing.assert_allclose(found, unit, rtol=1e-4)


def test_taylor_of_silent_channels_is_zero():
    model = _network()
    for layer in ("stem", "inner", "last"):
        weights = model.get_layer(layer).get_weights()
        model.get_layer(layer).set_weights([0 * x for x in weights])
    for scores in Taylor().scores(_problem(model, *_data()))[0].values():
        assert (scores == 0).all()
