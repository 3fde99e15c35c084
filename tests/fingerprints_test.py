"""Tests of drnet_tf/fingerprints.py."""

from __future__ import annotations

import time

import keras
import numpy as np
import pytest

from drnet_tf.fingerprints import fingerprint


def make_model(seed=0, filters=4, activation="relu", skip=True):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((8, 8, 3), name="image")
    layer = keras.layers.Conv2D(3, 3, padding="same", name="conv")
    x = keras.layers.BatchNormalization(name="norm")(layer(inputs))
    x = layer(x) + inputs if skip else layer(x) + x
    x = keras.layers.Activation(activation, name="act")(x)
    x = keras.layers.Dropout(0.5, name="drop")(x)
    x = keras.layers.Conv2D(filters, 1, name="head")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, x, name=f"net{seed}")


@pytest.fixture
def model():
    return make_model()


def test_is_a_sha256(model):
    value = fingerprint(model)
    assert len(value) == 64
    assert set(value) <= set("0123456789abcdef")


def test_survives_saving_and_two_loads(model, tmp_path):
    model.save(tmp_path / "model.keras")
    keras.backend.clear_session()
    loads = [
        keras.models.load_model(tmp_path / "model.keras") for _ in range(2)
    ]
    assert {fingerprint(x) for x in loads} == {fingerprint(model)}


@pytest.mark.parametrize("position", [(0, 0, 0, 0), (2, 2, 2, 2)])
def test_one_changed_weight_changes_it(model, position):
    before = fingerprint(model)
    kernel = model.get_layer("conv").kernel
    value = kernel.numpy()
    value[position] = np.nextafter(value[position], np.float32(9))
    kernel.assign(value)
    assert fingerprint(model) != before


def test_moving_statistics_count(model):
    before = fingerprint(model)
    norm = model.get_layer("norm")
    norm.moving_mean.assign(norm.moving_mean + 1e-3)
    assert fingerprint(model) != before


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"filters": 5}, {"activation": "tanh"}, {"skip": False}],
)
def test_other_structure_changes_it(model, change):
    assert fingerprint(make_model(**change)) != fingerprint(model)


def test_what_is_no_part_of_the_network_leaves_it_alone(model):
    before = fingerprint(model)
    model.compile("sgd", "mse")
    model.get_layer("norm").trainable = False
    model(np.ones((2, 8, 8, 3)), training=True)  # moves the dropout's seed
    assert fingerprint(model) == before


def test_training_call_of_a_live_norm_changes_it(model):
    before = fingerprint(model)
    model(np.ones((2, 8, 8, 3)), training=True)
    assert fingerprint(model) != before


def test_swapped_weights_of_two_layers_change_it():
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(3, name="a", use_bias=False),
            keras.layers.Dense(3, name="b", use_bias=False),
        ]
    )
    before = fingerprint(model)
    first, second = model.get_weights()
    model.set_weights([second, first])
    assert fingerprint(model) != before


def test_bfloat16_weights():
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(2, dtype="bfloat16")]
    )
    assert len(fingerprint(model)) == 64


def test_is_fast():
    model = keras.Sequential([keras.Input((2000,)), keras.layers.Dense(2000)])
    fingerprint(model)
    start = time.perf_counter()
    fingerprint(model)  # 16 MB
    assert time.perf_counter() - start < 0.5


def test_refuses_a_subclassed_model():
    class Subclassed(keras.Model):
        pass

    with pytest.raises(TypeError, match="got the subclass Subclassed"):
        fingerprint(Subclassed())
