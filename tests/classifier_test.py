"""Tests of drnet_tf/classifier.py."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from drnet_tf.classifier import find_classifier, log_probabilities


def make_model(*tail, shape=(6, 6, 3)):
    inputs = keras.Input(shape)
    x = layers.Conv2D(5, 3, activation="relu", name="body")(inputs)
    for layer in tail:
        x = layer(x)
    return keras.Model(inputs, x, name="net")


def dense(units=4, activation=None):
    return layers.Dense(units, activation=activation, name="head")


def conv(activation=None, kernel=1):
    return layers.Conv2D(4, kernel, activation=activation, name="head")


GAP, FLAT = layers.GlobalAveragePooling2D, layers.Flatten
ACCEPTED = {
    "dense": ([GAP(), dense()], False),
    "dense_linear": ([GAP(), dense(), layers.Activation("linear")], False),
    "dense_softmax": ([GAP(), dense(activation="softmax")], True),
    "dense_then_softmax": ([FLAT(), dense(), layers.Softmax()], True),
    "dense_activation": ([GAP(), dense(), layers.Activation("softmax")], True),
    "softmax_operator": ([GAP(), dense(), keras.ops.softmax], True),
    "log_softmax": ([GAP(), dense(), keras.ops.log_softmax], False),
    "dense_dropout": ([GAP(), dense(), layers.Dropout(0.5)], False),
    "mobilenet_v1": (
        [
            GAP(),
            layers.Reshape((1, 1, 5)),
            conv(),
            layers.Activation("softmax"),
            layers.Reshape((4,)),
        ],
        True,
    ),
    "mobilenet_v2": (
        [GAP(keepdims=True), conv(), FLAT(), layers.Softmax()],
        True,
    ),
    "squeezenet": ([conv(), layers.ReLU(), GAP(), layers.Softmax()], True),
    "squeezenet_logits": ([conv("relu"), GAP()], False),
    "softmax_then_pool": ([conv("softmax"), GAP()], True),
    "dense_rank_4": ([dense(), GAP()], False),
    "mean_operator": (
        [conv(), lambda x: keras.ops.mean(x, axis=(1, 2))],
        False,
    ),
    "conv_to_one_pixel": ([conv(kernel=4), FLAT()], False),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_finds_the_head(name):
    tail, probabilities = ACCEPTED[name]
    classifier = find_classifier(make_model(*tail))
    assert classifier.call.name == "head"
    assert classifier.num_classes == 4
    assert classifier.probabilities is probabilities


def test_opens_nested_models():
    inner = keras.Sequential([keras.Input((5,)), dense()], name="inner")
    classifier = find_classifier(make_model(GAP(), inner, layers.Softmax()))
    assert classifier.call.name == "inner/head"
    assert classifier.probabilities


REFUSED = {
    "sigmoid": ([GAP(), dense(4, "sigmoid")], "the activation 'sigmoid'"),
    "sigmoid_layer": (
        [GAP(), dense(), layers.Activation("sigmoid")],
        "the activation 'sigmoid'",
    ),
    "sigmoid_operator": (
        [GAP(), dense(), keras.ops.sigmoid],
        "the activation 'sigmoid'",
    ),
    "features": ([GAP(), dense(4, "relu")], "the activation 'relu'"),
    "one_class": ([GAP(), dense(1)], "its output has 1 channel"),
    "image": ([conv()], r"has shape \(None, 4, 4, 4\)"),
    "a_dict": (
        [GAP(), lambda x: {"scores": dense()(x)}],
        "its output comes in a dict",
    ),
    "two_outputs": (
        [GAP(), lambda x: [dense()(x), layers.Dense(2)(x)]],
        "it has 2 outputs",
    ),
    "flattened_map": ([conv(), FLAT()], "'head' makes 4 channels, .* has 64"),
    "sum_of_heads": (
        [GAP(), lambda x: layers.Dense(4)(x) + layers.Dense(4)(x)],
        r"\(Add\) makes it",
    ),
    "norm": (
        [GAP(), layers.BatchNormalization(name="norm")],
        r"'norm' \(BatchNormalization\) makes it",
    ),
    "softmax_over_pixels": (
        [conv(kernel=2), layers.Softmax(axis=1), GAP()],
        r"runs along axis 1 of the shape \(None, 3, 3, 4\)",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refuses_with_the_reason(name):
    tail, reason = REFUSED[name]
    with pytest.raises(ValueError, match=reason) as error:
        find_classifier(make_model(*tail))
    assert str(error.value).startswith("Model 'net' outputs no class scores: ")
    assert "{" not in str(error.value)


def test_refuses_an_identity():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Flatten()(inputs))
    with pytest.raises(ValueError, match="its output is its input"):
        find_classifier(model)


def test_log_probabilities_of_logits():
    logits = np.log([[1.0, 3.0], [2.0, 2.0]])
    np.testing.assert_allclose(
        log_probabilities(logits, probabilities=False),
        np.log([[0.25, 0.75], [0.5, 0.5]]),
        atol=1e-6,
    )


def test_log_probabilities_of_probabilities():
    found = log_probabilities(np.array([[0.25, 0.75], [0.0, 1.0]]), True)
    np.testing.assert_allclose(
        found, [[np.log(0.25), np.log(0.75)], [np.log(1e-20), 0]], atol=1e-5
    )


@pytest.mark.parametrize("probabilities", [True, False])
def test_log_probabilities_are_float32_and_finite(probabilities):
    outputs = keras.ops.cast(np.array([[0.0, 1.0]]), "bfloat16")
    found = log_probabilities(outputs, probabilities)
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    assert np.isfinite(found).all()
