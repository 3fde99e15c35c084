from __future__ import annotations

import keras
import numpy as np
import pytest

from drnet_tf.head_study import HeadStudy
from drnet_tf.importance import ChannelImportance
from drnet_tf.labeled_images import LabeledImages

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
        for selection in ("threshold", "layers")
        for budget in (0.8, 0.4)
        for head in ("own", "all")
    }
    for row in rows:
        assert row["macs"] <= row["budget"] + 0.02  # a small head costs less
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
