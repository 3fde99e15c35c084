from __future__ import annotations

import keras
import numpy as np
import pytest

from drnet_tf.dissection.baselines import random_importance
from drnet_tf.importance import ChannelImportance
from drnet_tf.labeled_images import LabeledImages
from drnet_tf.method_study import MethodStudy
from drnet_tf.nested_masks import masks_by_rank
from drnet_tf.subtask_trials import SubtaskTrials

NAMES = ("cat", "cow", "dog")
METHODS = ("cdrp", "random")


@pytest.fixture(scope="module")
def study():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            layers.Conv2D(12, 3, use_bias=False, name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(name="relu"),
            layers.Conv2D(8, 3, activation="relu", name="second"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, name="scores"),
        ]
    )
    generator = np.random.default_rng(0)
    images = generator.normal(size=(60, 6, 6, 3)).astype("float32")
    data = LabeledImages(images, np.arange(60) % 3, NAMES)
    importance = ChannelImportance(
        {
            "relu": generator.random((3, 12)),
            "second": generator.random((3, 8)),
        },
        NAMES,
        "by hand",
    )
    importances = {"cdrp": importance, "random": random_importance(importance)}
    return MethodStudy(model, importances, (0.9, 0.4)), model, data


def test_every_method_meets_the_budget_nearly(study):
    methods, model, data = study
    trials = SubtaskTrials(model, data, data, repair_images=10)
    row = methods.row(
        trials, ("dog", "cat"), {"cdrp": "mean", "random": "union"}
    )
    assert [point["budget"] for point in row["points"]] == [0.9, 0.4]
    for point in row["points"]:
        assert tuple(point["selections"]) == METHODS
        for network in point["selections"].values():
            # A channel of this small network is about a tenth of its MACs.
            assert point["budget"] - 0.15 < network["macs"] <= point["budget"]
            assert set(network["accuracy"]) == {
                "hard",
                "norms",
                "least_squares",
            }


def test_rules_are_ordered_by_their_accuracy_on_training_images(study):
    methods, _, data = study
    pairs = [("cat", "dog"), ("cat", "cow")]
    for method in METHODS:
        rules = methods.rules(method, data, pairs, ("mean", "union"))
        assert set(rules) == {"mean", "union"}
        assert list(rules.values()) == sorted(rules.values(), reverse=True)


def test_ranks_keep_the_best_of_each_site_and_break_ties_evenly():
    scores = {"a": np.zeros((1, 4)), "b": np.array([[0.0, 0.3]])}
    masks = masks_by_rank(ChannelImportance(scores, ("x",), "by hand"), ("x",))
    kept = [(m["a"].sum().item(), m["b"].sum().item()) for m in masks]
    assert kept == [(4, 2), (3, 2), (3, 1), (2, 1), (1, 1)]
    assert masks[4]["b"].tolist() == [False, True]
