from __future__ import annotations

import keras
import numpy as np
import pytest

from drnet_tf.costs import count_costs
from drnet_tf.head_study import HeadStudy
from drnet_tf.importance import ChannelImportance
from drnet_tf.labeled_images import LabeledImages
from drnet_tf.nested_masks import masks_by_threshold
from drnet_tf.pruning import prune

NAMES = ("cat", "dog")
ROWS = (3, 1)  # of five outputs


@pytest.fixture(scope="module")
def found():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            layers.Conv2D(10, 3, name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(name="relu"),
            layers.Conv2D(8, 3, activation="relu", name="last"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(5, activation="softmax", name="scores"),
        ]
    )
    generator = np.random.default_rng(0)
    images = generator.normal(size=(60, 6, 6, 3)).astype("float32")
    labels = np.arange(60) % 2
    importance = ChannelImportance(
        {"relu": generator.random((2, 10)), "last": generator.random((2, 8))},
        NAMES,
        "by hand",
    )
    data = LabeledImages(images, labels, NAMES)
    study = HeadStudy(model, importance, ROWS, data, data)
    full = model.predict(images, verbose=0)
    return study.rows(("dog", "cat"), (0.8, 0.4)), full, labels


def test_every_budget_selection_and_head_has_a_row(found):
    rows, _, _ = found
    assert {(x["selection"], x["budget"], x["head"]) for x in rows} == {
        (selection, budget, head)
        for selection in ("threshold", "layers", "reconstruction")
        for budget in (0.8, 0.4)
        for head in ("own", "all")
    }
    for row in rows:
        assert row["macs"] <= row["budget"]
        assert 0 <= row["hard"] <= 1 and 0 <= row["repaired"] <= 1


def test_accuracies_are_of_two_outputs_and_of_all(found):
    rows, full, labels = found
    goal = np.array(ROWS)[labels]
    best = np.array(ROWS)[full[:, list(ROWS)].argmax(1)]
    expected = {
        "own": (best == goal).mean(),
        "all": (full.argmax(1) == goal).mean(),
    }
    for row in rows:
        assert row["full"] == pytest.approx(expected[row["head"]])


def test_a_budget_is_of_what_is_left_not_of_what_runs():
    """Around a depthwise convolution a cut takes more than a mask silences."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            layers.Conv2D(12, 3, activation="relu", name="first"),
            layers.DepthwiseConv2D(3, activation="relu", name="deep"),
            layers.Conv2D(6, 1, activation="relu", name="last"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(5, name="scores"),
        ]
    )
    generator = np.random.default_rng(0)
    images = generator.normal(size=(40, 6, 6, 3)).astype("float32")
    importance = ChannelImportance(
        {
            name: generator.random((2, count))
            for name, count in (("first", 12), ("deep", 12), ("last", 6))
        },
        NAMES,
        "by hand",
    )
    data = LabeledImages(images, np.arange(40) % 2, NAMES)
    study = HeadStudy(model, importance, ROWS, data, data)
    (row,) = (
        x
        for x in study.rows(NAMES, (0.5,))
        if (x["selection"], x["head"]) == ("threshold", "all")
    )
    left = [
        prune(model, mask, dry_run=True).report.macs_after
        for mask in masks_by_threshold(importance, NAMES, rule="mean")
    ]
    full = count_costs(model).macs
    assert row["macs"] == max(x for x in left if x <= full / 2) / full
