"""What full and cut networks look at, in numbers."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from drnet_tf.attention_study import (
    FULL,
    RANDOM,
    SUB,
    Attention,
    AttentionStudy,
    mean_figures,
    measure,
)
from drnet_tf.importance import ChannelImportance
from drnet_tf.labeled_images import LabeledImages
from drnet_tf.masks import ChannelMask
from drnet_tf.reporting.attention_report import attention_report

NAMES = ("a", "b", "c")


def network():
    """Channel k shows colour k, and speaks for class k alone."""
    model = keras.Sequential(
        [
            keras.Input((4, 4, 3)),
            keras.layers.Conv2D(3, 1, use_bias=False, name="conv"),
            keras.layers.ReLU(name="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, use_bias=False),
        ]
    )
    model.set_weights([np.eye(3).reshape(1, 1, 3, 3), 16 * np.eye(3)])
    return model


IMPORTANCE = ChannelImportance({"relu": np.eye(3)}, NAMES, "by hand")


def images():
    """One of each class: the colour of the class k in row k alone."""
    found = np.zeros((3, 4, 4, 3), np.float32)
    for k in range(3):
        found[k, k, :, k] = 1
    return LabeledImages(found, np.arange(3), NAMES)


def keep(*channels):
    return ChannelMask({"relu": np.isin(np.arange(3), channels)})


def test_a_sub_network_of_the_right_channels_looks_where_the_full_one_does():
    study = AttentionStudy(network(), IMPORTANCE, images())
    found = study.attentions(("c", "a"), keep(0, 2))
    assert study.site == "relu"
    assert set(found) == {FULL, SUB, RANDOM}
    # The images of a and c, in their order: rows 0 and 2 of the maps.
    for name in (FULL, SUB):
        places = np.zeros((2, 4, 4))
        places[0, 0], places[1, 2] = 1, 1
        np.testing.assert_allclose(found[name].maps, places, rtol=1e-6)
        assert found[name].right.all()
        # Logits 4 and 0 under the masked softmax.
        expected = np.exp(4) / (np.exp(4) + 1)
        np.testing.assert_allclose(
            found[name].probabilities, expected, rtol=1e-5
        )
    told = measure(found)
    assert told[SUB]["overlap"] == pytest.approx(1)
    assert told[SUB]["spread"] == pytest.approx(1 / 4)
    assert told[SUB]["empty"] == 0


def test_without_its_channel_a_class_has_no_map():
    study = AttentionStudy(network(), IMPORTANCE, images(), seed=3)
    told = measure(study.attentions(("a", "c"), keep(0, 1)))
    assert told[SUB]["empty"] == 0.5
    assert told[SUB]["probability"] < told[FULL]["probability"]
    assert told[FULL]["empty"] == 0


def test_figures_of_nothing_are_left_out_of_means():
    nothing = Attention(np.zeros((1, 4, 4)), np.ones(1), np.array([True]))
    something = Attention(np.ones((1, 4, 4)), np.ones(1), np.array([True]))
    empty = measure({FULL: nothing, SUB: something})
    assert empty[SUB]["overlap"] is None and empty[SUB]["spread"] is None
    whole = measure({FULL: something, SUB: something})
    means = mean_figures([empty, whole])
    assert [row["network"] for row in means] == [FULL, SUB]
    assert means[1]["overlap"] == pytest.approx(1)
    assert mean_figures([empty])[1]["overlap"] is None


def test_a_report_draws_some_and_measures_all():
    data = images()
    study = AttentionStudy(
        network(),
        IMPORTANCE,
        data,
        repair_images=data,
        repair="least_squares",
    )
    report = attention_report(
        study,
        data,
        {("a", "b"): keep(0, 1), ("a", "c"): keep(0, 2)},
        [("a", "c")],
        lambda x: (255 * x).astype(np.uint8),
        images_shown=2,
    )
    assert ">a, c<" in report.picture and ">a, b<" not in report.picture
    assert [row["images"] for row in report.rows] == [2, 2]
    assert "sub-network" in report.table
    assert "a, c, 1 images of a" in report.description
