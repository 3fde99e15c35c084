"""The optimizer against its formula in NumPy."""

from __future__ import annotations

import keras
import numpy as np

from drnet_tf.training.optimizer import CoupledDecaySGD


def test_weight_decay_goes_through_the_momentum():
    generator = np.random.default_rng(0)
    weight = generator.normal(size=5).astype("float32")
    variable = keras.Variable(weight)
    rates = keras.optimizers.schedules.PolynomialDecay(0.2, 4, 0.05)
    optimizer = CoupledDecaySGD(rates, 0.9, 0.3)
    velocity = 0
    for t in range(4):
        gradient = generator.normal(size=5).astype("float32")
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
        rate = 0.2 + (0.05 - 0.2) * t / 4
        velocity = 0.9 * velocity - rate * (gradient + 0.3 * weight)
        weight = weight + velocity
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(variable.value), weight, rtol=1e-5
        )


def test_it_is_saved_as_other_optimizers_are():
    optimizer = CoupledDecaySGD(0.1, 0.9, 1e-5)
    copy = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert isinstance(copy, CoupledDecaySGD)
    assert copy.get_config() == optimizer.get_config()
    assert (copy.momentum, copy.coupled_decay) == (0.9, 1e-5)
