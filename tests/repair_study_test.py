from __future__ import annotations

import keras
import numpy as np
import pytest

from drnet_tf.dissection.baselines import random_importance
from drnet_tf.importance import ChannelImportance
from drnet_tf.labeled_images import LabeledImages
from drnet_tf.repair_study import RepairStudy, StudySettings
from drnet_tf.reporting.repair_report import repair_curves, repair_tables
from drnet_tf.subtask_trials import summarise

NAMES = ("cat", "cow", "dog")


@pytest.fixture(scope="module")
def row():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            layers.Conv2D(12, 3, use_bias=False, name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(name="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, name="scores"),
        ]
    )
    generator = np.random.default_rng(0)
    images = generator.normal(size=(90, 6, 6, 3)).astype("float32")
    labels = np.arange(90) % 3
    importance = ChannelImportance(
        {"relu": generator.random((3, 12))}, NAMES, "by hand"
    )
    study = RepairStudy(
        model,
        importance,
        {"random": random_importance(importance)},
        LabeledImages(images, labels, NAMES),
        LabeledImages(images[:45], labels[:45], NAMES),
        StudySettings((0.9, 0.5), repair_images=20, distil=True),
    )
    full = model.predict(images[:45], verbose=0)
    return study.row(("dog", "cat")), full, labels[:45]


def test_a_row_holds_every_selection_and_method(row):
    found, full, labels = row
    assert found["classes"] == ["dog", "cat"]
    own = labels != 1
    expected = full[own][:, [2, 0]].argmax(1) == np.where(
        labels[own] == 2, 0, 1
    )
    assert found["full_accuracy"] == pytest.approx(expected.mean())
    assert [x["budget"] for x in found["points"]] == [0.9, 0.5]
    for point in found["points"]:
        selections = point["selections"]
        own = {"civ", "civ by layers", "reconstruction"}
        assert set(selections) == {*own, "random"}
        for network in selections.values():
            assert 0 < network["parameters"] <= point["budget"]
            assert all(0 <= x <= 1 for x in network["accuracy"].values())
        methods = {"hard", "least_squares"}
        assert set(selections["random"]["accuracy"]) == methods
        methods |= {"norms", "distilled", "least_squares, distilled"}
        for name in own:
            assert set(selections[name]["accuracy"]) == methods


def _of_one_selection(accuracy):
    network = {"parameters": 0.08, "macs": 0.2, "accuracy": {"hard": accuracy}}
    return {
        "classes": ["a", "b"],
        "full_accuracy": 1.0,
        "points": [{"budget": 0.1, "selections": {"civ": network}}],
    }


def test_means_and_drops_are_over_the_sub_tasks():
    (found,) = summarise([_of_one_selection(x) for x in (0.7, 0.9)])
    assert found["subtasks"] == 2 and found["classes"] == 2
    assert found["mean"] == pytest.approx(0.2)
    assert found["worst"] == pytest.approx(0.3)
    assert found["standard_error"] == pytest.approx(0.1)
    assert found["accuracy"] == pytest.approx(0.8)


def test_tables_show_the_means_and_the_differences(row):
    means = summarise([row[0]])
    text = repair_tables("net", means, [row[0]])
    head, table, heading, _, differing = text.rstrip().split("\n\n")
    assert head == "# net"
    assert table.count("\n") == 1 + len(means)
    assert "| least_squares, distilled |" in table
    assert heading == "## Differences from civ on the same sub-tasks"
    others = [x for x in means if x["selection"] != "civ"]
    assert differing.count("\n") == 1 + len(others)


def test_one_selection_has_no_differences():
    row = _of_one_selection(0.7)
    assert "Differences" not in repair_tables("net", summarise([row]), [row])


def test_curves_show_the_means(row):
    means = summarise([row[0]])
    assert "civ, least_squares" in repair_curves(means)
