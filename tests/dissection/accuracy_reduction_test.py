"""Tests of drnet_tf/dissection/accuracy_reduction.py and removals.py."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from drnet_tf.channel_gate import ChannelGate
from drnet_tf.dissection import removals
from drnet_tf.dissection.accuracy_reduction import (
    AccuracyReduction,
    RemovalOrder,
    greedy_order,
)
from drnet_tf.dissection.dissect import dissect
from drnet_tf.dissection.removals import Removals
from drnet_tf.gates import apply_mask
from drnet_tf.masks import ChannelMask
from drnet_tf.sites import gate_sites

NAMES = ("red", "green", "blue")


def network(scores, name="by_hand"):
    """Means of four channels of the image, times the matrix of the scores."""
    image = keras.Input((2, 2, 4))
    x = keras.layers.Conv2D(4, 1, activation="relu", name="conv")(image)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, keras.layers.Dense(3)(x), name=name)
    eye = np.eye(4).reshape(1, 1, 4, 4)
    model.set_weights([eye, np.zeros(4), np.array(scores), np.zeros(3)])
    return model


def flat_images(rows):
    """`(N, 4)` -> images whose channels are flat."""
    return np.ones((len(rows), 2, 2, 4)) * np.array(rows)[:, None, None]


# Channel 0 is for red, 1 and 2 both for green, 3 for blue, but half as much.
_SCORES = [[4, 0, 0], [0, 2, 0], [0, 2, 0], [0.1, 0, 2]]
_ROWS = [
    [1, 0, 0, 0],
    [1, 0, 0, 1],
    [0, 1, 1, 0],
    [0.9, 1, 1, 0],
    [0, 0, 0, 1],
    [0.0, 0, 0.9, 1],
]
_LABELS = np.array([0, 0, 1, 1, 2, 2])


def by_numpy(scores, rows, keep):
    """Logits of the network by hand under each of some masks."""
    return (np.array(rows)[None] * keep[:, None]) @ np.array(scores)


def greedy_by_numpy(scores, rows, labels):
    """The procedure as the paper words it, one filter a time."""
    keep, order, correct = np.ones(4), [], []
    while keep.any():
        found = []
        for channel in np.flatnonzero(keep):
            tried = keep.copy()
            tried[channel] = 0
            logits = by_numpy(scores, rows, tried[None])[0]
            right = int((logits.argmax(1) == labels).sum())
            logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
            loss = -logs[np.arange(len(labels)), labels].mean()
            found.append((-right, round(loss, 6), channel))
        missed, _, channel = min(found)
        keep[channel] = 0
        order.append(int(channel))
        correct.append(-missed)
    return order, correct


def test_the_index_by_hand():
    """Without 0 no red is left, without 3 no blue; green has two channels."""
    importance = dissect(
        network(_SCORES),
        (flat_images(_ROWS)[[1, 2, 4]], np.array([0, 1, 2])),
        AccuracyReduction(greedy=False),
        class_names=NAMES,
        images_per_class=1,
        progress=False,
    )
    assert importance.method == "accuracy_reduction"
    assert importance.diagnostics["free"] == {"conv": [3, 4, 3]}
    # Red is surer without 3, and loses the same, nothing, without 1 or 2.
    # The green image shows neither 0 nor 3, the blue one 3 alone.
    np.testing.assert_allclose(
        importance.scores["conv"],
        [
            [1, 2.5e-9, 5e-9, 0],
            [0, 5e-9, 7.5e-9, 2.5e-9],
            [0, 2.5e-9, 5e-9, 1],
        ],
        rtol=1e-6,
    )


@pytest.mark.parametrize("step", [1, 3])
def test_greedy_removal_against_numpy(step):
    model = network(_SCORES)
    (site,) = gate_sites(model)
    images = flat_images(_ROWS)
    found = greedy_order(model, site, images, _LABELS, step=step)
    order, correct = greedy_by_numpy(_SCORES, _ROWS, _LABELS)
    logits = by_numpy(_SCORES, _ROWS, np.ones((1, 4)))[0]
    assert (found.full, found.images) == (
        (logits.argmax(1) == _LABELS).sum(),
        6,
    )
    if step == 1:
        assert found.order.tolist() == order
        assert found.correct.tolist() == correct
    assert sorted(found.order) == [0, 1, 2, 3]
    for count, right in enumerate(found.correct, start=1):
        keep = np.ones((1, 4))
        keep[0, found.order[:count]] = 0
        logits = by_numpy(_SCORES, _ROWS, keep)[0]
        assert right == (logits.argmax(1) == _LABELS).sum()


def test_random_networks_are_removed_as_by_numpy():
    random = np.random.default_rng(0)
    for _ in range(3):
        scores, rows = random.normal(size=(4, 3)), random.random((20, 4))
        labels = random.integers(0, 3, 20)
        model = network(scores)
        (site,) = gate_sites(model)
        found = greedy_order(model, site, flat_images(rows), labels)
        order, correct = greedy_by_numpy(scores, rows, labels)
        assert found.order.tolist() == order
        assert found.correct.tolist() == correct


def test_the_greedy_index_sees_what_stands_in_for_each_other():
    """Alone, neither of two equal channels is missed; together they are."""
    model = network(_SCORES)
    data = flat_images(_ROWS)[[1, 2, 4]], np.array([0, 1, 2])
    options = dict(class_names=NAMES, images_per_class=1, progress=False)
    once = dissect(model, data, AccuracyReduction(greedy=False), **options)
    greedy = dissect(model, data, AccuracyReduction(), **options)
    assert (once.scores["conv"][1] < 1e-8).all()
    # 0 and 3 go first, then 1, and 2 is left.
    np.testing.assert_allclose(
        greedy.scores["conv"][1], [0, 5e-9, 1, 2.5e-9], rtol=1e-6
    )
    assert greedy.diagnostics["free"]["conv"][1] == 3


def test_without_classes_all_rows_are_alike():
    data = flat_images(_ROWS)[[1, 2, 4]], np.array([0, 1, 2])
    scores = dissect(
        network(_SCORES),
        data,
        AccuracyReduction(class_wise=False),
        class_names=NAMES,
        images_per_class=1,
        progress=False,
    ).scores["conv"]
    np.testing.assert_array_equal(scores, np.tile(scores[:1], (3, 1)))
    assert sorted(scores[0].argsort()[:2])[0] in (1, 2)


def test_scores_are_the_images_lost_and_then_the_place():
    found = RemovalOrder(
        np.array([2, 0, 3, 1]), np.array([10, 8, 9, 2]), full=10, images=10
    )
    assert found.lost.tolist() == [0, 2, 2, 8]
    np.testing.assert_allclose(found.scores(), [0.15, 0.8, 0, 0.175])
    free = RemovalOrder(np.array([1, 0]), np.array([4, 5]), 4, 5)
    assert free.lost.tolist() == [0, 0]
    np.testing.assert_allclose(free.scores(), [5e-9, 0])


def residual():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    image = x = keras.Input((6, 6, 2))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="stem")(x)
    y = layers.Conv2D(5, 1, activation="relu", name="inner")(x)
    y = layers.Conv2D(4, 1, name="last")(y)
    x = layers.ReLU(name="relu")(x + y)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(3, activation="softmax", name="scores")(x)
    return keras.Model(image, x, name="residual")


@pytest.mark.parametrize("coupling", ["free", "tied"])
def test_removals_are_what_masks_make(coupling, monkeypatch):
    """Held or run again, in one batch or in many."""
    model, random = residual(), np.random.default_rng(0)
    images = random.normal(size=(7, 6, 6, 2)).astype("float32")
    labels = random.integers(0, 3, 7)
    sites = gate_sites(model, coupling)
    for site in sites:
        keep = random.random((5, site.channels)) < 0.5
        right, losses = Removals(model, site).on(images, labels)(keep)
        some = Removals(model, site)
        some.rows = 3
        monkeypatch.setattr(removals, "_KEPT_BYTES", 4000)
        again = some.on(images, labels)(keep)
        monkeypatch.undo()
        np.testing.assert_array_equal(again[0], right)
        np.testing.assert_allclose(again[1], losses, rtol=1e-5)
        expect_masks(model, sites, site, images, labels, keep, right, losses)


def expect_masks(model, sites, site, images, labels, keep, right, losses):
    for row, count, loss in zip(keep, right, losses, strict=True):
        mask = ChannelMask(
            {
                x.name: row if x == site else np.ones(x.channels, bool)
                for x in sites
            }
        )
        outputs = np.asarray(apply_mask(model, mask)(images))
        assert count == (outputs.argmax(1) == labels).sum()
        expected = -np.log(outputs[np.arange(len(labels)), labels]).mean()
        np.testing.assert_allclose(loss, expected, rtol=1e-4)


@pytest.mark.parametrize("branches", [1, 2])
def test_pooling_right_behind_the_site_runs_once(branches):
    keras.utils.set_random_seed(0)
    layers = keras.layers
    image = keras.Input((8, 8, 2))
    x = layers.Conv2D(6, 3, padding="same", activation="relu", name="a")(image)
    y = layers.MaxPooling2D(3, 2, padding="same", name="pool")(x)
    y = layers.AveragePooling2D(2, name="mean")(y)
    if branches == 2:  # another reader: the site stays where it is
        y = layers.Concatenate()([y, layers.Conv2D(2, 4, 4)(x)])
    y = layers.GlobalAveragePooling2D()(layers.Conv2D(5, 1, name="b")(y))
    model = keras.Model(image, layers.Dense(3, activation="softmax")(y))
    random = np.random.default_rng(0)
    images = random.normal(size=(5, 8, 8, 2)).astype("float32")
    labels = random.integers(0, 3, 5)
    sites = gate_sites(model)
    keep = random.random((4, 6)) < 0.5
    network = Removals(model, sites[0])
    (held, *others) = network.run_before(images)
    assert held.shape[1:] == ((2, 2, 6) if branches == 1 else (8, 8, 6))
    assert not others
    right, losses = network.on(images, labels)(keep)
    expect_masks(model, sites, sites[0], images, labels, keep, right, losses)


def test_what_lies_before_the_site_runs_once(monkeypatch):
    model = residual()
    site = gate_sites(model)[1]
    runs = []
    monkeypatch.setattr(
        Removals,
        "run_before",
        lambda self, images, run=Removals.run_before: (
            runs.append(len(images)) or run(self, images)
        ),
    )
    greedy_order(model, site, np.ones((4, 6, 6, 2)), np.zeros(4, int))
    assert runs == [4]


def test_refuses_what_it_cannot_do():
    with pytest.raises(ValueError) as error:
        AccuracyReduction(step=0)
    assert str(error.value) == (
        "AccuracyReduction: step: got 0, expected a whole number of channels, "
        "1 or more."
    )
    model = network(_SCORES)
    (site,) = gate_sites(model)
    with pytest.raises(ValueError, match=r"greedy_order: got 6 images and "):
        greedy_order(model, site, flat_images(_ROWS), np.arange(6))
    with pytest.raises(ValueError, match="greedy_order: step: got 0.5, expec"):
        greedy_order(model, site, flat_images(_ROWS), _LABELS, step=0.5)
    first, second = keras.Input((2, 2, 4)), keras.Input((2, 2, 4))
    two = keras.Model([first, second], model(ChannelGate()(first + second)))
    with pytest.raises(ValueError, match="has 2 inputs, expected one"):
        Removals(two, gate_sites(two)[0])
