import keras
import numpy as np
import pytest

from drnet_tf.costs import CostModel
from drnet_tf.importance import ChannelImportance
from drnet_tf.labeled_images import LabeledImages
from drnet_tf.masked_network import MaskedNetwork
from drnet_tf.survey import (
    Survey,
    SurveyRow,
    all_subtasks,
    smallest_within_drop,
    summarise,
    thresholds_for,
)

NAMES = ("a", "b", "c")


def pass_through_net():
    """Three channels, one a class: class k wins where channel k is largest."""
    model = keras.Sequential(
        [
            keras.Input((1, 1, 3)),
            keras.layers.Conv2D(3, 1, use_bias=False, name="conv"),
            keras.layers.Flatten(),
            keras.layers.Dense(3, use_bias=False),
        ]
    )
    model.set_weights([np.eye(3).reshape(1, 1, 3, 3), np.eye(3)])
    return model


def importance():
    scores = {"conv": np.array([[0.9, 0.1, 0], [0, 0.5, 0.1], [0, 0.1, 0.2]])}
    return ChannelImportance(scores, NAMES, "by hand")


def survey():
    model = pass_through_net()
    images = np.eye(3, dtype="float32").reshape(3, 1, 1, 3)
    return Survey(
        MaskedNetwork(model),
        CostModel(model),
        importance(),
        LabeledImages(images, np.arange(3), NAMES),
    )


def row(classes=("a", "b"), accuracy=0.9, parameters=0.5):
    return SurveyRow(classes, 0.1, 1.0, accuracy, 0.5, parameters, 0.5)


def test_rows_hold_accuracies_and_running_costs_worked_out_by_hand():
    first, second = survey().run({("a", "b"): 0.3, ("b", "c"): 0.3}, "union")
    # Channels 0 and 1 stay: both classes are still told apart.
    assert (first.full_accuracy, first.accuracy, first.drop) == (1.0, 1.0, 0.0)
    assert first.channels == pytest.approx(2 / 3)
    # Of 9 + 9 weights run 3 x 2 and 2 x 2.
    assert first.parameters == pytest.approx(10 / 18)
    # Channel 1 alone stays; c scores 0 for both, and argmax takes the first.
    assert second.accuracy == 0.5 and second.drop == 0.5


def test_all_pairs_and_triples_of_ten_classes():
    names = [str(i) for i in range(10)]
    assert len(all_subtasks(names, 2)) == 45
    assert len(all_subtasks(names, 3)) == 120


def test_one_threshold_keeps_more_of_classes_with_larger_gates():
    pairs = (("a", "b"), ("b", "c"))
    shared = thresholds_for(importance(), pairs, 0.5, "union", shared=True)
    assert len(set(shared.values())) == 1
    own = thresholds_for(importance(), pairs, 0.5, "union", shared=False)
    # The medians of (0.9, 0.5, 0.1) and (0, 0.5, 0.2).
    assert own == pytest.approx({("a", "b"): 0.5, ("b", "c"): 0.2})


def test_thresholds_stay_above_zero():
    found = thresholds_for(importance(), (("a",),), 0.99, "union", shared=False)
    assert found[("a",)] == pytest.approx(0.1)


def test_summary_is_mean_least_and_greatest():
    found = summarise([row(accuracy=0.9), row(accuracy=0.8)])
    assert found["accuracy"] == pytest.approx(
        {"mean": 0.85, "min": 0.8, "max": 0.9}
    )
    assert found["drop"]["max"] == pytest.approx(0.2)


def test_smallest_within_the_drop_is_chosen():
    large = [row(accuracy=1.0, parameters=0.9)]
    small = [row(accuracy=0.996, parameters=0.3)]
    broken = [row(accuracy=0.5, parameters=0.1)]
    assert smallest_within_drop([large, small, broken], 0.005) == 1
    assert smallest_within_drop([broken, small], 0.001) == 1
