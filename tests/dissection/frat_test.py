"""Tests of drnet_tf/dissection/frat.py."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from drnet_tf.dissection.dissect import dissect
from drnet_tf.dissection.frat import FRAT

NAMES = ("red", "green")
KERNEL = np.array([[1, 0, 2], [0, 1, 1]], "float32")  # (in, out)
HEAD = np.array([[3, -1], [-1, 3], [0.5, 1]], "float32")  # (in, classes)


def _network(softmax=None, head=HEAD):
    """1x1 convolution, ReLU, mean over the places, Dense."""
    layers = keras.layers
    image = keras.Input((2, 2, 2))
    x = layers.Conv2D(3, 1, activation="relu", name="conv")(image)
    x = layers.GlobalAveragePooling2D()(x)
    fused = "softmax" if softmax == "fused" else None
    x = layers.Dense(2, activation=fused, name="scores")(x)
    if softmax == "layer":
        x = layers.Softmax()(x)
    model = keras.Model(image, x)
    none = np.zeros(3)
    model.set_weights([KERNEL.reshape(1, 1, 2, 3), none, head, none[:2]])
    return model


def _data():
    labels = np.array([0, 1, 0, 1])
    strength = np.array([1.0, 0.5, 0.4, 0.2])
    images = strength[:, None] * np.eye(2)[labels]
    images = np.tile(images[:, None, None], (1, 2, 2, 1)).astype("float32")
    return images, labels


def _dissect(model, method, **kwargs):
    return dissect(
        model,
        _data(),
        method,
        class_names=NAMES,
        images_per_class=2,
        progress=False,
        **kwargs,
    )


def _by_hand(of):
    """Places are equal, so the sum over them is the slope by the mean."""
    images, labels = _data()
    means = np.zeros((2, 3))
    for image, label in zip(images, labels, strict=True):
        logits = np.maximum(image[0, 0] @ KERNEL, 0) @ HEAD
        p = np.exp(logits) / np.exp(logits).sum()
        # dp_k / dz_j = p_k (1[k = j] - p_j); d mean / d place = 1/4, 4 places
        by_logits = p[label] * (np.eye(2)[label] - p)
        if of == "logit":
            by_logits = np.eye(2)[label]
        means[label] += np.maximum(HEAD @ by_logits, 0) / 2
    low, high = means.min(1, keepdims=True), means.max(1, keepdims=True)
    return (means - low) / (high - low + 1e-5)


@pytest.mark.parametrize("softmax", [None, "layer", "fused"])
@pytest.mark.parametrize("of", ["probability", "logit"])
def test_scores_are_those_by_hand(of, softmax):
    model = _network(softmax)
    before = model.get_weights()
    importance = _dissect(model, FRAT(of))
    expected = _by_hand(of)
    assert not np.allclose(expected, _by_hand("logit")) or of == "logit"
    np.testing.assert_allclose(importance.scores["conv"], expected, atol=1e-5)
    assert importance.method == "frat" and importance.config["of"] == of
    assert importance.diagnostics["vanished"] == {"red": 0.0, "green": 0.0}
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_only_positive_slopes_count():
    """Of channel 0 green's probability falls everywhere: nothing is left."""
    scores = _dissect(_network(), FRAT()).scores["conv"]
    assert scores[1, 0] == 0 and scores[0, 1] == 0
    assert scores[0, 0] > 0.99 and scores[1, 1] > 0.99


def test_same_bytes_for_the_same_seed():
    first, again = (_dissect(_network(), FRAT(), seed=3) for _ in range(2))
    assert first.scores["conv"].tobytes() == again.scores["conv"].tobytes()


def test_permuted_classes_permute_the_rows():
    images, labels = _data()
    turned = dissect(
        _network(head=HEAD[:, ::-1]),
        (images, 1 - labels),
        FRAT(),
        class_names=NAMES[::-1],
        images_per_class=2,
        progress=False,
    )
    straight = _dissect(_network(), FRAT()).scores["conv"]
    np.testing.assert_allclose(turned.scores["conv"], straight[::-1], rtol=1e-5)


def test_all_places_of_a_tied_site_count():
    layers = keras.layers
    keras.utils.set_random_seed(0)
    image = keras.Input((2, 2, 2))
    x = layers.Conv2D(3, 1, activation="relu", name="stem")(image)
    y = layers.Conv2D(3, 1, name="branch")(x)
    x = layers.ReLU(name="relu")(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, layers.Dense(2, name="scores")(x))
    stem, branch = KERNEL.reshape(1, 1, 2, 3), 0.1 * np.ones((1, 1, 3, 3))
    none = np.zeros(3)
    model.set_weights([stem, none, branch, none, HEAD, none[:2]])
    tied = _dissect(model, FRAT("logit"), coupling="tied")
    (scores,) = tied.scores.values()
    # At the ReLU the slope is HEAD; at the stem HEAD + 0.1 sum(HEAD).
    both = np.maximum(HEAD, 0) + np.maximum(HEAD + 0.1 * HEAD.sum(0), 0)
    expected = (both - both.min(0)) / (both.max(0) - both.min(0))
    np.testing.assert_allclose(scores, expected.T, atol=1e-4)


def test_saturated_probabilities_are_refused():
    with pytest.raises(ValueError, match="class 'red'.*of='logit'"):
        _dissect(_network(head=1000 * HEAD), FRAT())
    _dissect(_network(head=1000 * HEAD), FRAT("logit"))


def test_an_unknown_of_is_refused():
    with pytest.raises(ValueError, match="of is 'loss'.*'probability'"):
        FRAT("loss")
