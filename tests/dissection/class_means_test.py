"""Tests of drnet_tf/dissection/class_means.py: sums worked out by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from drnet_tf.dissection.cdrp import CDRP
from drnet_tf.dissection.class_means import ClassMeans, sum_batch
from drnet_tf.importance import Cdrps

NAMES = ("cat", "dog")


def cdrps(gates, flipped, kl, iteration):
    return Cdrps({"a": np.array(gates)}, flipped, kl, iteration)


def add(means, method, classes, found):
    images = np.full((len(classes), 1, 1, 1), 3, np.uint8)
    sums, notes = sum_batch(np.array(classes), images, found, method)
    means.add(sums, [notes])


def two_batches(method):
    """Classes 0, 1, 0 and then 1."""
    means = ClassMeans(method.iterations)
    add(
        means,
        method,
        [0, 1, 0],
        cdrps(
            [[1.0, 0.0], [0.5, 0.5], [0.0, 0.5]],
            [False, True, False],
            [0.1, 0.2, 0.3],
            [3, 0, 2],
        ),
    )
    add(means, method, [1], cdrps([[1.5, 0.0]], [False], [0.4], [3]))
    return means


def test_the_row_of_a_class_is_the_mean_of_its_images():
    means = two_batches(CDRP(iterations=3))
    scores = means.scores(NAMES)["a"]
    np.testing.assert_array_equal(scores, [[0.5, 0.25], [1.0, 0.25]])
    assert scores.dtype == np.float32 and means.images == 4


def test_excluded_images_leave_sum_and_count():
    means = two_batches(CDRP(iterations=3, on_flip="exclude"))
    scores = means.scores(NAMES)["a"]
    np.testing.assert_array_equal(scores, [[0.5, 0.25], [1.5, 0.0]])
    assert means.diagnostics(NAMES)["images_used"] == {"cat": 2, "dog": 1}


def test_diagnostics_are_those_counted_by_hand():
    found = two_batches(CDRP(iterations=3)).diagnostics(NAMES)
    assert found == {
        "images_used": {"cat": 2, "dog": 2},
        "flipped_rate": 0.25,
        "fallback_rate": 0.25,
        "fallback_rate_by_class": {"cat": 0.0, "dog": 0.5},
        "iterate_histogram": [1, 0, 1, 2],
        "kl": {
            "median": pytest.approx(0.25),
            "quantile_95": pytest.approx(0.385),
            "largest": pytest.approx(0.4),
        },
        "zero_gates": 3 / 8,
        "pixels": {"mean": 3.0, "std": 0.0},
    }
    json.dumps(found)


def test_sums_lose_nothing_over_many_images():
    """0.1 is no float32: a float32 sum of 100,000 of them is off by 1e-2."""
    method = CDRP()
    means = ClassMeans(method.iterations)
    gates = np.full((1000, 1), 0.1, "float32")
    for _ in range(100):
        add(
            means,
            method,
            [0] * 1000,
            cdrps(gates, np.zeros(1000), np.zeros(1000), np.zeros(1000)),
        )
    np.testing.assert_array_equal(means.scores(("x",))["a"], gates[:1])


def test_a_class_without_any_image_left_is_named():
    method = CDRP(iterations=3, on_flip="exclude")
    means = ClassMeans(method.iterations)
    add(
        means,
        method,
        [0, 1],
        cdrps([[1.0], [1.0]], [False, True], [0, 0], [3, 0]),
    )
    with pytest.raises(ValueError) as error:
        means.scores(NAMES)
    assert str(error.value) == (
        "Class 'dog': every image lost its class while its gates were "
        'learned, and on_flip="exclude" leaves none; pass balance="auto" or '
        'on_flip="best_iterate".'
    )
