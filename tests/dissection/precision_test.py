"""Tests of drnet_tf/dissection/precision.py."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from drnet_tf.dissection.precision import copied_network
from drnet_tf.sites import gate_sites


def images(count=4):
    random = np.random.default_rng(0)
    return random.normal(size=(count, 8, 8, 3)).astype("float32")


def net():
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3))
    conv = layers.Conv2D(3, 3, padding="same", name="conv")
    x = conv(layers.BatchNormalization(name="norm")(conv(image)))
    x = layers.Dropout(0.5)(keras.ops.relu(x + image))
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, layers.Dense(4, name="head")(x), name="net")
    for variable in model.variables:
        if variable.name == "moving_mean":
            variable.assign(np.full(variable.shape, 0.1))
    return model


def test_layers_compute_in_bfloat16_with_the_same_float32_weights():
    model = net()
    copy = copied_network(model, "mixed_bfloat16")
    assert [x.name for x in copy.layers if x.weights] == [
        "conv",
        "norm",
        "head",
    ]
    for name in ("conv", "norm", "head"):
        old, new = model.get_layer(name), copy.get_layer(name)
        assert new is not old and new.compute_dtype == "bfloat16"
        for one, other in zip(old.weights, new.weights, strict=True):
            assert other.dtype == "float32" and one is not other
            np.testing.assert_array_equal(one, other)
    assert copy.name == "net"
    assert [s.name for s in gate_sites(copy)] == [
        s.name for s in gate_sites(model)
    ]
    np.testing.assert_allclose(
        keras.ops.cast(copy(images()), "float32"), model(images()), atol=0.05
    )


def test_same_policy_gives_the_same_outputs_bit_for_bit():
    model = net()
    copy = copied_network(model, "float32")
    np.testing.assert_array_equal(copy(images()), model(images()))


def test_the_callers_model_is_left_as_it_is():
    model = net()
    before = model.get_weights()
    copy = copied_network(model, "mixed_bfloat16")
    for variable in copy.variables:
        variable.assign(np.zeros(variable.shape))
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}


def test_nested_models_that_share_names():
    def inner(name):
        image = keras.Input((8, 8, 3))
        x = layers.Conv2D(4, 3, name="conv")(image)
        return keras.Model(image, keras.ops.relu(x), name=name)

    image = keras.Input((8, 8, 3))
    x = layers.Concatenate()([inner("a")(image), inner("b")(image)])
    model = keras.Model(image, layers.Flatten()(x))
    copy = copied_network(model, "float32")
    np.testing.assert_array_equal(copy(images()), model(images()))


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_softmax_heads_still_give_probabilities(policy):
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(3, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(4, activation="softmax"),
        ]
    )
    found = keras.ops.cast(copied_network(model, policy)(images()), "float32")
    np.testing.assert_allclose(np.sum(found, axis=1), 1, atol=0.02)
