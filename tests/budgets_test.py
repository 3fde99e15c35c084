from __future__ import annotations

import math

import numpy as np
import pytest

from drnet_tf.budgets import (
    largest_mask_within,
    smallest_mask_within_drop,
)
from drnet_tf.importance import ChannelImportance
from drnet_tf.masks import build_mask, union
from drnet_tf.nested_masks import candidate_thresholds, masks_by_threshold


def _of(importance, **settings):
    return masks_by_threshold(importance, ("x",), **settings)


def _random(channels=(40, 25), classes=3):
    generator = np.random.default_rng(0)
    return ChannelImportance(
        {
            f"site{i}": np.maximum(generator.normal(size=(classes, c)), 0)
            for i, c in enumerate(channels)
        },
        tuple("abcdefg"[:classes]),
        "random",
    )


def _ladder(channels):
    """Scores 1/C, 2/C, ..., 1: threshold t/C keeps C - t + 1 channels."""
    scores = np.arange(1, channels + 1) / channels
    return ChannelImportance({"s": scores[None]}, ("x",), "by hand")


def test_candidates_by_hand():
    importance = ChannelImportance(
        {
            "a": np.array([[0.5, 0.0, 0.25], [0.0, 0.0, 0.75]]),
            "b": np.array([[1.0, 0.25], [0.0, -2.0]]),
        },
        ("x", "y"),
        "by hand",
    )
    union_ = candidate_thresholds(importance, ("x", "y"))
    assert union_.tolist() == [0.25, 0.5, 0.75, 1.0]
    xor = candidate_thresholds(importance, ("x", "y"), "xor")
    assert xor.tolist() == [0.5, 1.0, 2.25]
    with pytest.raises(ValueError, match="unknown class 'z'"):
        candidate_thresholds(importance, ("z",))


def test_no_score_above_zero():
    importance = ChannelImportance({"a": np.zeros((1, 3))}, ("x",), "by hand")
    with pytest.raises(
        ValueError, match=r"\('x',\): no channel has a union score above 0"
    ):
        candidate_thresholds(importance, ("x",))


@pytest.mark.parametrize("round_to", [1, 4])
@pytest.mark.parametrize("rule", ["union", "xor"])
def test_largest_mask_equals_trying_all_thresholds(rule, round_to):
    importance = _random()
    classes = ("c", "a")

    def cost(mask):
        a, b = mask.widths.values()
        return 3 * a + a * b

    calls = []

    def counted(mask):
        calls.append(mask)
        return cost(mask)

    thresholds = candidate_thresholds(importance, classes, rule)
    masks = [
        build_mask(importance, classes, float(t), rule=rule, round_to=round_to)
        for t in thresholds
    ]
    for limit in (30, 100, 101.5, 400, 1e6):
        calls.clear()
        found = largest_mask_within(
            masks_by_threshold(
                importance, classes, rule=rule, round_to=round_to
            ),
            counted,
            limit,
        )
        expected = next(mask for mask in masks if cost(mask) <= limit)
        assert found.same_channels(expected)
        assert found.provenance == expected.provenance
        assert len(calls) <= math.log2(len(thresholds)) + 2


def test_limit_that_nothing_meets():
    with pytest.raises(
        ValueError,
        match=r"\('x',\): the limit is 4, the smallest sub-network \(1 of 10 "
        r"channels\) costs 7; pass a higher limit",
    ):
        largest_mask_within(
            _of(_ladder(10)),
            lambda mask: 6 + mask.kept,
            limit=4,
        )


def test_rising_accuracy_gives_the_smallest_mask():
    importance = _ladder(100)
    calls = []

    def accuracy(mask):
        calls.append(mask.kept)
        return mask.kept / 100

    mask = smallest_mask_within_drop(
        _of(importance),
        accuracy,
        full_accuracy=1.0,
        max_drop=63.0,
    )
    assert mask.kept == 37
    assert mask["s"].tolist() == [False] * 63 + [True] * 37
    # From small to large, then between 32 and 38 or so; never twice.
    assert calls[0] < calls[1] < calls[2]
    assert len(calls) == len(set(calls)) <= 16 + 6


def test_uneven_accuracy_gives_the_smallest_mask_that_was_tried():
    importance = _ladder(64)
    values = np.random.default_rng(2).random(65)
    tried = {}

    def accuracy(mask):
        tried[mask.kept] = values[mask.kept]
        return values[mask.kept]

    mask = smallest_mask_within_drop(
        _of(importance),
        accuracy,
        full_accuracy=0.8,
        max_drop=10.0,
    )
    assert values[mask.kept] >= 0.7
    assert all(v < 0.7 for kept, v in tried.items() if kept < mask.kept)


def test_a_small_mask_that_is_good_at_once_needs_one_call():
    calls = []

    def accuracy(mask):
        calls.append(mask.kept)
        return 1.0

    mask = smallest_mask_within_drop(
        _of(_ladder(64)),
        accuracy,
        1.0,
        0.5,
        candidates=8,
    )
    assert calls == [mask.kept] == [8]


def test_drop_of_exactly_the_limit_passes():
    mask = smallest_mask_within_drop(
        _of(_ladder(2)),
        lambda mask: {1: 0.5, 2: 0.895}[mask.kept],
        full_accuracy=0.9,
        max_drop=0.5,
    )
    assert mask.kept == 2


def test_no_mask_within_the_drop():
    with pytest.raises(
        ValueError,
        match=r"\('x',\): no sub-network is within 0.5 points of 95.00 %; the "
        r"best of 4 tried reached 90.00 % with 3 of 4 channels; allow",
    ):
        smallest_mask_within_drop(
            _of(_ladder(4)),
            lambda mask: 0.9 if mask.kept == 3 else 0.6,
            full_accuracy=0.95,
            max_drop=0.5,
        )


def test_the_largest_mask_is_always_tried():
    for channels in (1, 2, 7, 50):
        mask = smallest_mask_within_drop(
            _of(_ladder(channels)),
            lambda mask: float(mask.kept == mask.total),
            full_accuracy=1.0,
            max_drop=0.0,
            candidates=3,
        )
        assert mask.kept == channels


def test_round_to_reaches_the_masks():
    for find in (
        lambda i: largest_mask_within(_of(i, round_to=8), lambda m: m.kept, 21),
        lambda i: smallest_mask_within_drop(
            _of(i, round_to=8),
            lambda m: m.kept / 64,
            1.0,
            80.0,
        ),
    ):
        assert find(_ladder(64)).kept == 16
    assert union(_ladder(64), ("x",), 0.75, round_to=8).kept == 24


@pytest.mark.parametrize("max_drop", [-1, 101, np.nan])
def test_bad_drop(max_drop):
    with pytest.raises(ValueError, match="max_drop: got .*percentage points"):
        smallest_mask_within_drop(
            _of(_ladder(4)),
            lambda mask: 1.0,
            1.0,
            max_drop,
        )


@pytest.mark.parametrize("settings", [{"candidates": 0}, {"refinements": -1}])
def test_bad_settings(settings):
    with pytest.raises(ValueError, match="expected at least 1 and at least 0"):
        smallest_mask_within_drop(
            _of(_ladder(4)),
            lambda mask: 1.0,
            1.0,
            1.0,
            **settings,
        )
