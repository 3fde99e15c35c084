from __future__ import annotations

import keras
import numpy as np
import pytest

from drnet_tf.fronts import non_dominated, trace_front
from drnet_tf.importance import ChannelImportance
from drnet_tf.reporting.front_figure import front_figure
from drnet_tf.subtasks import DRNet


@pytest.fixture(scope="module")
def drnet():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            layers.Conv2D(16, 3, activation="relu", name="conv"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, name="scores"),
        ]
    )
    scores = np.random.default_rng(0).random((3, 16))
    importance = ChannelImportance(
        {"conv": scores}, ("cat", "cow", "dog"), "by hand"
    )
    return DRNet(model, importance)


@pytest.fixture(scope="module")
def data():
    generator = np.random.default_rng(1)
    images = generator.normal(size=(60, 6, 6, 3)).astype("float32")
    return images, np.arange(60) % 3


def test_points_rise_in_size_and_tell_which_are_best(drnet, data):
    points = trace_front(
        drnet,
        ("dog", "cat"),
        data,
        budgets=(0.7, 0.001, 0.3, 0.5),
        repair="least_squares",
        images=data[0],
    )
    sizes = [point.parameters for point in points]
    assert len(points) == 3  # none is as small as a thousandth
    assert sizes == sorted(sizes) and sizes[-1] <= 0.7
    for point in points:
        assert point.subtask.evaluate(data).accuracy == point.accuracy
        beaten = any(
            x.parameters <= point.parameters
            and x.accuracy >= point.accuracy
            and (x.parameters, x.accuracy) != (point.parameters, point.accuracy)
            for x in points
        )
        assert point.best["parameters"] == (not beaten)
    drawing = front_figure(points, 0.9)
    assert "Pareto front" in drawing and "network above" not in drawing
    assert "network above" in front_figure(points, 0.9, (0.4, 0.5))
    assert points[0].as_dict()["criterion"] == {"max_parameters": 0.3}


def test_budgets_that_nothing_meets_are_refused(drnet, data):
    with pytest.raises(ValueError, match="pass a higher limit"):
        trace_front(drnet, ("dog", "cat"), data, budgets=(0.001,))
    with pytest.raises(ValueError, match="unknown class"):
        trace_front(drnet, ("dog", "pig"), data)


def test_equal_points_are_both_best():
    costs = np.array([1.0, 1.0, 2.0, 2.0])
    accuracies = np.array([0.5, 0.5, 0.5, 0.6])
    assert non_dominated(costs, accuracies).tolist() == [
        True,
        True,
        False,
        True,
    ]
