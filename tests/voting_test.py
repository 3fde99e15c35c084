"""Tests of drnet_tf/voting.py."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from drnet_tf.costs import count_costs
from drnet_tf.pruning import prune
from drnet_tf.voting import class_sums, vote


def _model(first=10, second=10):
    """1x1 convolutions on one pixel: MACs are 1 a + a b + b 2."""
    image = keras.Input((1, 1, 1))
    x = keras.layers.Conv2D(first, 1, activation="relu", name="a")(image)
    x = keras.layers.Conv2D(second, 1, activation="relu", name="b")(x)
    x = keras.layers.Flatten()(x)
    return keras.Model(image, keras.layers.Dense(2)(x))


def _voted(scores, target, floor=0.3):
    """The authors' loop for the model above, one line after another."""
    a, b = scores["a"], scores["b"]
    pooled = np.sort(np.concatenate([a, b]))[::-1]
    full = len(a) + len(a) * len(b) + 2 * len(b)
    percent = 90
    while True:
        limit = pooled[len(pooled) * percent // 100 - 1]
        keep = []
        for own in (a, b):
            chosen = own >= limit
            if chosen.sum() < floor * len(own):
                best = np.argsort(-own)[: int(floor * len(own))]
                chosen = np.isin(np.arange(len(own)), best)
            keep.append(chosen)
        widths = [x.sum() for x in keep]
        macs = widths[0] + widths[0] * widths[1] + 2 * widths[1]
        if 1 - macs / full >= target:
            return {"a": keep[0], "b": keep[1]}, percent / 100
        percent -= 1


@pytest.mark.parametrize("target", [0.05, 0.3, 0.5, 0.75, 0.85])
@pytest.mark.parametrize("lift", [0, 0.6, 2])
def test_it_votes_as_the_paper_does(target, lift):
    model = _model()
    generator = np.random.default_rng(0)
    scores = {"a": generator.random(10) + lift, "b": generator.random(10)}
    expected, rate = _voted(scores, target)
    mask = vote(model, scores, target)
    np.testing.assert_array_equal(mask["a"], expected["a"])
    np.testing.assert_array_equal(mask["b"], expected["b"])
    assert mask.provenance["rate"] == rate
    small = prune(model, mask).model
    cut = 1 - count_costs(small).macs / count_costs(model).macs
    assert cut == pytest.approx(mask.provenance["macs_cut"]) and cut >= target


def test_a_site_keeps_its_floor_of_its_best():
    scores = {"a": np.arange(10) / 100, "b": 1 + np.arange(10.0)}
    mask = vote(_model(), scores, 0.55)
    assert mask.widths["a"] == 3 and mask["a"][7:].all()
    assert vote(_model(), scores, 0.8, floor=0).widths["a"] == 1


def test_sites_without_scores_keep_all():
    mask = vote(_model(), {"b": np.arange(10.0)}, 0.5, class_names=("x", "y"))
    assert mask["a"].all() and mask.class_names == ("x", "y")
    # 10 + 12 b <= 65 leaves 4; 40 % of the ten that vote.
    assert mask.widths["b"] == 4 and mask.provenance["rate"] == 0.49


def test_ties_go_to_the_first():
    mask = vote(_model(), {"a": np.ones(10), "b": np.ones(10)}, 0.1)
    assert mask["a"].all()
    assert mask["b"].tolist() == [True] * 8 + [False] * 2


def test_sums_are_absolute_and_signed_inside():
    masks = {"a": np.array([[1.0, -2], [-3, 1], [5, 5]])}
    np.testing.assert_array_equal(class_sums(masks)["a"], [3, 4])
    np.testing.assert_array_equal(class_sums(masks, [0, 1])["a"], [2, 1])


@pytest.mark.parametrize(
    ("scores", "cut", "options", "message"),
    [
        ({"a": np.ones(10)}, 0, {}, "macs_cut is 0"),
        ({"a": np.ones(10)}, 1, {}, "macs_cut is 1"),
        ({"a": np.ones(10)}, 0.5, {"floor": 1.1}, "floor is 1.1"),
        ({}, 0.5, {}, "got no scores"),
        ({"c": np.ones(10)}, 0.5, {}, "for site 'c'"),
        ({"a": np.ones(9)}, 0.5, {}, r"shape \(9,\) for site 'a'"),
        ({"a": np.full(10, np.nan)}, 0.5, {}, "NaN"),
        ({"a": np.ones(10)}, 0.9, {}, "pass a lower macs_cut or floor"),
    ],
)
def test_bad_arguments_are_refused(scores, cut, options, message):
    with pytest.raises(ValueError, match=message):
        vote(_model(), scores, cut, **options)
