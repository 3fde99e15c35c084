"""Losses of prefixes against least squares by NumPy, and who reads whom."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from drnet_tf.graph import read_graph
from drnet_tf.importance import ChannelImportance
from drnet_tf.repair.elimination import reconstruction_importance
from drnet_tf.repair.readers import find_readers
from drnet_tf.repair.redundancy import reconstruction_losses
from drnet_tf.sites import gate_sites

NAMES = ("cat", "dog")


def _images(count: int = 30) -> np.ndarray:
    generator = np.random.default_rng(0)
    return generator.normal(size=(count, 6, 6, 2)).astype("float32")


def _chain() -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(5, 3, activation="relu", name="a"),
            layers.Conv2D(4, 3, name="b"),
            layers.ReLU(name="b_relu"),
            layers.Flatten(),
            layers.Dense(2, name="scores"),
        ]
    )


def _importance(
    model: keras.Model, coupling: str = "free"
) -> ChannelImportance:
    generator = np.random.default_rng(1)
    scores = {
        site.name: generator.random((2, site.channels))
        for site in gate_sites(model, coupling)
    }
    return ChannelImportance(scores, NAMES, "by hand")


def test_losses_are_those_of_least_squares() -> None:
    model, images = _chain(), _images()
    importance = _importance(model)
    found = reconstruction_losses(
        model, images, importance, ("dog",), samples=10**6
    )
    assert {k: x.shape for k, x in found.items()} == {"a": (6,), "b_relu": (5,)}
    maps, outputs = (
        np.asarray(
            keras.Model(model.layers[0].input, model.get_layer(name).output)(
                images
            )
        )
        for name in ("a", "b")
    )
    windows = np.lib.stride_tricks.sliding_window_view(maps, (3, 3), (1, 2))
    patches = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, 9, 5)
    goal = outputs.reshape(-1, 4)
    goal = goal - goal.mean(0)
    order = np.argsort(-importance.scores["a"][1])
    for k in range(6):
        x = patches[..., order[:k]].reshape(len(patches), -1)
        x = np.hstack([x, np.ones((len(x), 1))])
        rest = goal - x @ np.linalg.lstsq(x, goal, rcond=None)[0]
        expected = np.square(rest).sum() / np.square(goal).sum()
        assert found["a"][k] == pytest.approx(expected, abs=3e-3)
    assert (np.diff(found["b_relu"]) <= 1e-9).all()
    assert found["b_relu"][0] == pytest.approx(1)
    assert found["b_relu"][4] == pytest.approx(0, abs=3e-3)


def test_readers_are_found_behind_pools_and_flatten() -> None:
    model = _chain()
    readers = find_readers(read_graph(model), gate_sites(model))
    assert set(readers) == {"b", "scores"}
    assert readers["b"]["a"].tolist() == [0, 1, 2, 3, 4]
    assert readers["scores"]["b_relu"].tolist() == [0, 1, 2, 3] * 4


def test_readers_of_a_concatenation_tell_its_parts_apart() -> None:
    inputs = keras.Input((6, 6, 2))
    a = layers.Conv2D(3, 1, activation="relu", name="a")(inputs)
    b = layers.Conv2D(2, 1, activation="relu", name="b")(inputs)
    x = layers.Concatenate()([a, b])
    model = keras.Model(inputs, layers.Conv2D(4, 1, name="c")(x))
    readers = find_readers(read_graph(model), gate_sites(model))
    assert readers["c"]["a"].tolist() == [0, 1, 2, -1, -1]
    assert readers["c"]["b"].tolist() == [-1, -1, -1, 0, 1]


def test_a_depthwise_layer_is_no_reader_but_lets_through() -> None:
    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(3, 1, activation="relu", name="a")(inputs)
    x = layers.DepthwiseConv2D(3, activation="relu", name="dw")(x)
    model = keras.Model(inputs, layers.Conv2D(4, 1, name="c")(x))
    readers = find_readers(read_graph(model), gate_sites(model))
    assert set(readers) == {"c"}
    assert (
        readers["c"]["a"].tolist() == readers["c"]["dw"].tolist() == [0, 1, 2]
    )


def test_every_family_can_read() -> None:
    inputs = x = keras.Input((6, 6, 2))
    x = layers.Conv2D(4, 1, activation="relu", name="a")(x)
    x = layers.Conv2D(4, 3, groups=2, activation="relu", name="grouped")(x)
    x = layers.SeparableConv2D(
        3, 2, depth_multiplier=2, activation="relu", name="separable"
    )(x)
    x = layers.Conv2DTranspose(2, 2, name="up")(x)
    model = keras.Model(inputs, x)
    found = reconstruction_losses(
        model, _images(), _importance(model), ("cat",), samples=10**6
    )
    for site in ("a", "grouped", "separable"):
        assert found[site][0] == pytest.approx(1)
        assert found[site][-1] == pytest.approx(0, abs=3e-3)
        assert (np.diff(found[site]) <= 1e-9).all()


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_images_that_are_all_alike_tell_nothing(value: float) -> None:
    model, images = _chain(), np.full((30, 6, 6, 2), value, "float32")
    arguments = model, images, _importance(model), ("dog",)
    losses = reconstruction_losses(*arguments)
    _, others = reconstruction_importance(*arguments)
    for found in (*losses.values(), *others.values()):
        np.testing.assert_array_equal(found, 0)
