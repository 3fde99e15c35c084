"""Layers with functions and weights that their config does not tell."""

from __future__ import annotations

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from drnet_tf import apply_mask, finetune, gate_sites, prune, repair
from drnet_tf.assembly import Component, assemble
from drnet_tf.graph_building import config_of, copied, remade
from drnet_tf.masks import ChannelMask


def relu(x):
    """Not the one that Keras has under this name."""
    return ops.maximum(x, 0.3 * x)


def network(activation, make=layers.Conv2D):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    x = make(6, 3, activation=activation, name="first")(inputs)
    x = layers.Conv2D(4, 3, name="second")(x)
    x = layers.Activation(activation, name="own")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(3, name="scores")(x))


def images(count=4):
    generator = np.random.default_rng(0)
    return generator.normal(size=(count, 8, 8, 3)).astype("float32")


def half(model):
    return ChannelMask(
        {
            site.name: np.arange(site.channels) % 2 == 0
            for site in gate_sites(model)
        }
    )


def answers(model):
    return ops.convert_to_numpy(model(images(), training=False))


@pytest.mark.parametrize(
    "activation",
    [
        relu,
        lambda x: x * ops.sigmoid(2 * x),
        tf.nn.relu,
        tf.nn.silu,
        ops.silu,
    ],
)
def test_pruned_is_masked_with_functions_of_ones_own(activation):
    model = network(activation)
    mask = half(model)
    small = prune(model, mask, verify=True)
    expected = answers(apply_mask(model, mask))
    np.testing.assert_allclose(answers(small.model), expected, atol=1e-5)
    np.testing.assert_allclose(
        answers(copied(model)), answers(model), atol=1e-6
    )


@pytest.mark.parametrize("activation", [tf.nn.relu, tf.nn.silu, ops.silu])
def test_functions_that_are_known_let_channels_go(activation):
    model = network(activation)
    assert prune(model, half(model)).model.get_layer("first").filters == 3


@pytest.mark.parametrize(
    "activation", [layers.LeakyReLU(0.2), layers.ReLU(6.0), layers.ELU()]
)
def test_layers_as_activations_let_channels_go(activation):
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, activation=activation, name="first")(inputs)
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(x))
    model = keras.Model(inputs, layers.Dense(3)(x))
    mask = half(model)
    small = prune(model, mask, verify=True)
    expected = answers(apply_mask(model, mask))
    np.testing.assert_allclose(answers(small.model), expected, atol=1e-5)
    assert small.model.get_layer("first").filters == 3


def test_weights_of_an_activation_stay_its_own():
    keras.utils.set_random_seed(1)
    inputs = keras.Input((8, 8, 3))
    slopes = layers.PReLU(alpha_initializer="normal", shared_axes=[1, 2])
    x = layers.Conv2D(6, 3, activation="relu", name="before")(inputs)
    x = layers.Conv2D(5, 3, activation=slopes, name="first")(x)
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(x))
    model = keras.Model(inputs, layers.Dense(3)(x))
    answers(model)
    mask = half(model)
    small = prune(model, mask, verify=True)
    expected = answers(apply_mask(model, mask))
    np.testing.assert_allclose(answers(small.model), expected, atol=1e-5)


def test_repair_and_finetuning_keep_functions_of_ones_own():
    model = network(relu)
    everything = ChannelMask(
        {x.name: np.ones(x.channels, bool) for x in gate_sites(model)}
    )
    small = prune(model, everything)
    repaired = repair(small, model, images(40), progress=False)
    np.testing.assert_allclose(
        answers(repaired.model), answers(model), atol=1e-3
    )
    student = finetune(small, model, images(8), progress=False)
    assert student.model.get_layer("first").activation is relu


def test_assembled_parts_keep_functions_of_ones_own():
    model = network(relu)
    parts = [
        Component(model, ("a", "b", "c")),
        Component(model, ("d", "e", "f")),
    ]
    with pytest.raises(ValueError, match="its activation 'relu' may read all"):
        assemble(parts, align=True)
    joined = assemble(parts, align=False)
    both = np.concatenate([answers(model)] * 2, 1)
    np.testing.assert_allclose(answers(joined.model), both, atol=1e-5)


def test_lambdas_are_copied_with_their_function():
    shift = 2.0
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, activation="relu", name="first")(inputs)
    x = layers.Lambda(lambda x: tf.nn.relu(x - shift / 10))(x)
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(x))
    model = keras.Model(inputs, layers.Dense(3)(x))
    mask = half(model)
    small = prune(model, mask)
    expected = answers(apply_mask(model, mask))
    np.testing.assert_allclose(answers(small.model), expected, atol=1e-5)


class Silent(layers.Layer):
    """Has an argument that its config lacks."""

    def __init__(self, own, **kwargs):
        super().__init__(**kwargs)
        self.own = own

    def get_config(self):
        return super().get_config()

    def call(self, x):
        return x * self.own


def test_a_function_that_keras_cannot_write_is_refused():
    partial = functools.partial(ops.leaky_relu, negative_slope=0.3)
    model = network(partial)
    with pytest.raises(ValueError, match="^Layer 'first': its Conv2D cannot"):
        prune(model, half(model))


def test_a_layer_without_config_is_named():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, activation="relu")(inputs)
    x = Silent(3.0, name="odd")(x)
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(x))
    model = keras.Model(inputs, layers.Dense(3)(x))
    with pytest.raises(
        ValueError, match=r"^Layer 'odd': its Silent cannot"
    ) as e:
        prune(model, half(model))
    assert "\n" not in str(e.value)
    assert "register_keras_serializable" in str(e.value)


def test_values_of_a_config_that_were_changed_are_taken():
    layer = layers.Dense(3, activation=relu)
    assert remade(layer, config_of(layer)).activation is relu
    linear = remade(layer, {**config_of(layer), "activation": None})
    assert linear.activation is keras.activations.linear
