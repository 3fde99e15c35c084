"""Tests of drnet_tf/dissection/relevance.py and what it stands on."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from drnet_tf.dissection.contributions import Contributions
from drnet_tf.dissection.dissect import dissect
from drnet_tf.dissection.relevance import Relevance
from drnet_tf.masks import union

NAMES = ("cat", "cow", "dog")
layers = keras.layers


def _dissect(model, method=None, seed=0, names=NAMES, **kwargs):
    images = np.random.default_rng(1).normal(size=(60, *model.input_shape[1:]))
    images = images.astype("float16").astype("float32")  # as they are kept
    labels = np.argmax(model.predict(images, verbose=0), 1)  # all correct
    return dissect(
        model,
        (images, labels),
        method or Relevance(),
        class_names=names,
        images_per_class=2,
        seed=seed,
        keep_images=2,
        progress=False,
        **kwargs,
    )


def _finished(image, x, classes=3):
    """The head, with scores whose largest is each class' now and then."""
    x = layers.Dense(classes, name="scores")(x)
    model = keras.Model(image, x)
    probe = np.random.default_rng(1).normal(size=(60, *model.input_shape[1:]))
    kernel, bias = model.get_layer("scores").get_weights()
    bias = -model.predict(probe, verbose=0).mean(0) + bias
    model.get_layer("scores").set_weights([kernel, bias])
    return model


def _chain():
    keras.utils.set_random_seed(0)
    image = keras.Input((5, 5, 2))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="a")(image)
    x = layers.Conv2D(5, 3, strides=2, padding="same", name="b")(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU(name="relu")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return _finished(image, x)


def _min_max(x, axis):
    low, high = x.min(axis, keepdims=True), x.max(axis, keepdims=True)
    return (x - low) / (high - low + 1e-5)


def _single_kernel_sums(maps, kernel, stride):
    """s `(n, q, p)`, place by place; "same" padding of 3x3 on 5x5."""
    padded = np.pad(maps, [(0, 0), (1, 1), (1, 1), (0, 0)])
    sums = np.zeros((len(maps), kernel.shape[3], kernel.shape[2]))
    for row in range(0, 5, stride):
        for column in range(0, 5, stride):
            patch = padded[:, row : row + 3, column : column + 3]
            sums += np.einsum("nhwp,hwpq->nqp", patch, kernel)
    return sums


def _walk(sums, outputs, alpha, beta, mode):
    """r_p `(p,)` of one class: V `(q, p)`, relevance `(q,)` of the outputs."""
    shares = _min_max(sums, 1)
    if mode == "soft":
        return _min_max(outputs @ shares, 0)
    votes = (shares[outputs > 0] > alpha).sum(0)
    scaled = _min_max(votes.astype(float), 0)
    return np.where(scaled > beta, scaled, 0)


@pytest.mark.parametrize("mode", ["hard", "soft"])
def test_scores_are_those_by_hand(mode):
    model = _chain()
    before = model.get_weights()
    importance = _dissect(model, Relevance(mode))
    weights = {x.name: x.get_weights() for x in model.layers}
    probe = keras.Model(
        model.input, [model.get_layer("a").output, model.layers[-2].output]
    )
    for number in range(3):
        images = importance.images[number].astype("float32")
        maps, vector = (np.asarray(x) for x in probe(images))
        scores = vector[:, None] * weights["scores"][0].T
        by_dense = _walk(
            np.maximum(scores, 0).sum(0), np.eye(3)[number], 0.4, 0.3, mode
        )
        found = importance.scores["relu"][number]
        np.testing.assert_allclose(found, by_dense, atol=1e-4)
        sums = _single_kernel_sums(maps, weights["b"][0], 2)
        by_conv = _walk(np.maximum(sums, 0).sum(0), by_dense, 0.3, 0.2, mode)
        found = importance.scores["a"][number]
        np.testing.assert_allclose(found, by_conv, atol=1e-4)
    assert len(np.unique(importance.scores["a"])) > 2
    assert importance.diagnostics["reset"] == []
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_same_bytes_for_the_same_seed():
    first, again = (_dissect(_chain(), seed=4).scores for _ in range(2))
    for site, scores in first.items():
        assert scores.tobytes() == again[site].tobytes()


def test_permuted_classes_permute_the_rows():
    model = _chain()
    images = np.random.default_rng(1).normal(size=(60, 5, 5, 2))
    labels = np.argmax(model.predict(images, verbose=0), 1)
    first = [np.flatnonzero(labels == number)[:2] for number in range(3)]
    images, labels = images[np.concatenate(first)], np.repeat(range(3), 2)
    kernel, bias = model.get_layer("scores").get_weights()
    scores = []
    for order in ([0, 1, 2], [2, 0, 1]):
        model.get_layer("scores").set_weights([kernel[:, order], bias[order]])
        data = (images.astype("float32"), np.argsort(order)[labels])
        names = [NAMES[x] for x in order]
        found = dissect(
            model,
            data,
            Relevance(),
            class_names=names,
            images_per_class=2,
            progress=False,
        )
        scores.append(found.scores["a"])
    np.testing.assert_allclose(scores[1], scores[0][[2, 0, 1]], rtol=1e-5)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.Conv2D(4, 3, strides=2, padding="same"), (7, 6, 4)),
        (layers.Conv2D(4, (3, 2), strides=(2, 1), groups=2), (7, 6, 4)),
        (layers.Conv2D(3, 3, dilation_rate=2, padding="same"), (7, 6, 2)),
        (layers.Conv1D(3, 3, padding="causal", dilation_rate=2), (7, 4)),
        (layers.SeparableConv2D(3, 3, depth_multiplier=2), (7, 6, 2)),
        (layers.Dense(3), (5,)),
    ],
)
def test_contributions_add_up_to_the_outputs(layer, shape):
    """Of positive kernels and inputs: Σ over inputs and places is Σ y."""
    keras.utils.set_random_seed(0)
    inputs = np.random.default_rng(0).random((2, *shape)).astype("float32")
    layer.build((None, *shape))
    layer.set_weights([np.abs(x) for x in layer.get_weights()])
    found = Contributions(layer, classes=2)
    found.add(inputs, np.array([1, 0]))
    outputs = np.asarray(layer(inputs))
    expected = outputs.reshape(2, -1, outputs.shape[-1]).sum(1)[::-1]
    sums = found.sums.sum(2).reshape(2, -1)
    np.testing.assert_allclose(sums, expected, rtol=1e-4)


def test_a_residual_stream_is_relevant_to_all_that_read_it():
    keras.utils.set_random_seed(0)
    image = keras.Input((4, 4, 2))
    x = layers.Conv2D(4, 1, activation="relu", name="stem")(image)
    y = layers.Conv2D(6, 3, padding="same", activation="relu", name="in")(x)
    y = layers.Conv2D(4, 3, padding="same", name="out")(y)
    x = layers.ReLU(name="relu")(layers.Add()([x, y]))
    model = _finished(image, layers.GlobalAveragePooling2D()(x))
    scores = _dissect(model).scores
    assert (scores["stem"] >= scores["relu"]).all()  # by the skip alone
    assert (scores["stem"] > scores["relu"]).any()  # by the branch, too
    (tied,) = (
        x
        for site, x in _dissect(model, coupling="tied").scores.items()
        if site != "in"
    )
    np.testing.assert_array_equal(
        tied, np.maximum(scores["stem"], scores["relu"])
    )


def test_a_depthwise_convolution_hands_relevance_on():
    keras.utils.set_random_seed(0)
    image = keras.Input((4, 4, 2))
    x = layers.Conv2D(4, 1, activation="relu", name="expand")(image)
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.ReLU(6.0, name="relu")(x)
    x = layers.Conv2D(3, 1, name="project")(x)
    model = _finished(image, layers.GlobalAveragePooling2D()(x))
    importance = _dissect(model)
    np.testing.assert_array_equal(
        importance.scores["expand"], importance.scores["relu"]
    )
    assert importance.diagnostics["reset"] == []


def test_a_flattened_channel_is_as_relevant_as_its_best_place():
    keras.utils.set_random_seed(0)
    image = keras.Input((2, 2, 1))
    x = layers.Conv2D(3, 1, activation="relu", name="conv")(image)
    model = _finished(image, layers.Flatten()(x))
    kernel = np.zeros((12, 3))
    for channel in range(3):  # class k reads channel k, at place k only
        kernel[3 * channel + channel, channel] = 1
    model.get_layer("scores").set_weights([kernel, np.zeros(3)])
    model.get_layer("conv").set_weights([np.ones((1, 1, 1, 3)), np.zeros(3)])
    scores = _dissect(model).scores["conv"]
    np.testing.assert_allclose(scores, np.eye(3), atol=1e-3)


def test_nested_models_are_opened():
    model = _chain()
    image = keras.Input((5, 5, 2))
    body = keras.Model(model.input, model.layers[-2].output, name="body")
    nested = keras.Model(image, model.get_layer("scores")(body(image)))
    flat, inside = _dissect(model).scores, _dissect(nested).scores
    for site, scores in flat.items():
        np.testing.assert_allclose(inside[f"body/{site}"], scores)


def test_what_cannot_be_followed_is_fully_relevant_and_named():
    keras.utils.set_random_seed(0)
    image = keras.Input((4, 4, 2))
    x = layers.Conv2D(4, 1, activation="relu", name="conv")(image)
    x = layers.Conv2DTranspose(5, 2, activation="relu", name="up")(x)
    model = _finished(image, layers.GlobalAveragePooling2D()(x))
    importance = _dissect(model)
    assert importance.diagnostics["reset"] == ["up"]
    assert (importance.scores["conv"] > 0.999).all()
    assert (importance.scores["up"] == 0).any()


def test_a_small_threshold_keeps_what_is_relevant():
    importance = _dissect(_chain())
    mask = union(importance, NAMES[:2], 0.01)
    expected = (importance.scores["a"][:2] > 0.2).any(0)
    np.testing.assert_array_equal(mask["a"], expected)


def test_settings_are_checked():
    with pytest.raises(ValueError, match="mode is 'loud'.*'hard'"):
        Relevance(mode="loud")
    with pytest.raises(ValueError, match="beta_fc is 1.0.*below 1.*0.3"):
        Relevance(beta_fc=1.0)
