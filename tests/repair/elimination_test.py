"""Backward elimination against least squares by NumPy, set by set."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from drnet_tf.importance import ChannelImportance
from drnet_tf.repair.elimination import (
    System,
    eliminate,
    reconstruction_importance,
    systems_of,
)
from drnet_tf.repair.redundancy import loss_of_prefixes
from drnet_tf.repair.samples import Moments
from drnet_tf.sites import gate_sites

RIDGE = 1e-3


def _moments(x: np.ndarray, y: np.ndarray) -> Moments:
    moments = Moments.zeros(len(x), x.shape[-1], y.shape[-1])
    moments.add(x, y)
    return moments


def _reader(channels: int, taps: int, seed: int) -> tuple[Moments, np.ndarray]:
    """A layer that reads all channels, which hang together, and one more."""
    generator = np.random.default_rng(seed)
    unknowns = channels * taps + 1
    mixed = generator.normal(size=(unknowns, unknowns)) / 3 + np.eye(unknowns)
    x = generator.normal(size=(1, 300, unknowns)) @ mixed
    y = x @ generator.normal(size=(1, unknowns, 3))
    gates = np.append(np.tile(np.arange(channels), taps), -1)
    return _moments(x, y + 2), gates[None]


def _system(moments: Moments, gates: np.ndarray) -> System:
    (system,) = systems_of(moments)
    return system.owned(gates[0])


def _loss(moments: Moments, gates: np.ndarray, kept: list[int]) -> float:
    """Share of y that ridge regression on some channels leaves, by NumPy."""
    n = moments.count
    x, y = moments.x[0] / n, moments.y[0] / n
    gram = moments.xx[0] / n - np.outer(x, x)
    cross = moments.xy[0] / n - np.outer(x, y)
    total = (moments.yy[0] / n - y**2).sum()
    damped = gram + RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
    own = np.flatnonzero(np.isin(gates[0], [*kept, -1]))
    found = np.linalg.solve(damped[np.ix_(own, own)], cross[own])
    return float(1 - (cross[own] * found).sum() / total)


def test_the_channel_goes_that_least_squares_misses_least() -> None:
    readers = [_reader(6, 2, seed=0), _reader(6, 1, seed=1)]
    systems = [_system(*reader) for reader in readers]
    order, losses = eliminate(systems, np.arange(6))
    kept = list(range(6))
    for count in range(6, 0, -1):
        assert losses[count] == pytest.approx(
            sum(_loss(*reader, kept) for reader in readers), abs=1e-9
        )
        worst = min(
            kept,
            key=lambda channel: sum(
                _loss(*reader, [x for x in kept if x != channel])
                for reader in readers
            ),
        )
        assert order[count - 1] == worst
        kept.remove(worst)
    assert losses[0] == pytest.approx(
        sum(_loss(*reader, []) for reader in readers), abs=1e-9
    )


def test_losses_are_those_of_the_order() -> None:
    """Of a site whose channels go two at a time."""
    moments, gates = _reader(130, 1, seed=2)
    order, losses = eliminate([_system(moments, gates)], np.arange(130))
    assert sorted(order.tolist()) == list(range(130))
    expected = loss_of_prefixes(moments, gates, order)
    np.testing.assert_allclose(losses, expected, rtol=0, atol=1e-8)


def test_of_two_alike_one_goes_first_and_the_other_stays() -> None:
    generator = np.random.default_rng(3)
    x = generator.normal(size=(1, 400, 256))
    x[..., 7] = x[..., 200]
    kernel = generator.normal(size=(1, 256, 4))
    kernel[0, 200] = 3
    systems = systems_of(_moments(x, x @ kernel))
    order, _ = eliminate(systems, np.arange(256))
    first, other = order[-1], order[0]
    assert {first, other} == {7, 200}


def test_equal_prices_go_by_the_order_given() -> None:
    ties = np.array([2, 0, 3, 1])
    order, losses = eliminate([], ties)
    np.testing.assert_array_equal(order, ties[::-1])
    np.testing.assert_array_equal(losses, np.zeros(5))


def _network() -> keras.Model:
    keras.utils.set_random_seed(0)
    image = keras.Input((6, 6, 2))
    x = layers.Conv2D(5, 3, name="a")(image)
    x = layers.ReLU(name="a_relu")(x)
    x = layers.DepthwiseConv2D(3, padding="same", name="depth")(x)
    x = layers.ReLU(name="depth_relu")(x)
    y = layers.Conv2D(5, 1, name="b")(x)
    x = layers.ReLU(name="sum")(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(2, name="scores")(x))


@pytest.mark.parametrize("coupling", ["free", "tied"])
def test_every_site_of_a_network_is_ordered(coupling: str) -> None:
    model, generator = _network(), np.random.default_rng(0)
    sites = {x.name: x.channels for x in gate_sites(model, coupling)}
    importance = ChannelImportance(
        {name: generator.random((3, n)) for name, n in sites.items()},
        ("cat", "dog", "pig"),
        "by hand",
    )
    images = generator.normal(size=(20, 6, 6, 2)).astype("float32")
    before = model.get_weights()
    found, losses = reconstruction_importance(
        model, images, importance, ("pig", "cat"), progress=False
    )
    assert found.channels == importance.channels == sites
    assert found.class_names == ("pig", "cat")
    assert found.method == "reconstruction"
    for site, channels in sites.items():
        row = found.scores[site]
        np.testing.assert_array_equal(row[0], row[1])
        steps = np.arange(1, channels + 1) / channels
        np.testing.assert_allclose(np.sort(row[0]), steps, rtol=1e-6)
        assert losses[site].shape == (channels + 1,)
        assert (np.diff(losses[site]) <= 0).all()
        assert 0 <= losses[site][-1] < 0.01 < losses[site][0]
    again, _ = reconstruction_importance(
        model, images, importance, ("pig", "cat"), progress=False
    )
    for site in sites:
        np.testing.assert_array_equal(found.scores[site], again.scores[site])
    for mine, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, old)
