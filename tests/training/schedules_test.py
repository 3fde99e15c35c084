"""Learning rates against their formulas in NumPy."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from drnet_tf.training.schedules import SCHEDULES, learning_rates


def _rates(name, peak, updates):
    schedule = learning_rates(name, peak, updates)
    return np.array([float(schedule(t)) for t in range(updates)])


@pytest.mark.parametrize("updates", [1, 7, 40])
def test_half_a_cosine(updates):
    t = np.arange(updates)
    np.testing.assert_allclose(
        _rates("paper", 0.1, updates),
        0.1 * (1 + np.cos(np.pi * t / updates)) / 2,
        rtol=1e-4,
    )


@pytest.mark.parametrize(("updates", "rise"), [(1, 0), (3, 0), (40, 12)])
def test_one_cycle(updates, rise):
    t = np.arange(updates)
    fall = (1 + np.cos(np.pi * (t - rise) / (updates - rise))) / 2
    line = 0.02 + (0.5 - 0.02) * t / max(rise, 1)
    wanted = np.where(t < rise, line, 0.5 * ((1 - 4e-6) * fall + 4e-6))
    rates = _rates("one_cycle", 0.5, updates)
    np.testing.assert_allclose(rates, wanted, rtol=1e-4)
    assert rates.argmax() == rise


@pytest.mark.parametrize("name", SCHEDULES)
def test_they_are_keras_own(name):
    schedule = learning_rates(name, 0.1, 10)
    copy = keras.optimizers.schedules.deserialize(
        keras.optimizers.schedules.serialize(schedule)
    )
    assert copy.get_config() == schedule.get_config()
