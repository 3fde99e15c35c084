from __future__ import annotations

import numpy as np
import pytest

from drnet_tf.importance import ChannelImportance
from drnet_tf.rules import subtask_scores

_IMPORTANCE = ChannelImportance(
    {
        "a": np.array([[0.75, 0.0], [0.5, 0.25], [0.0, 1.0]]),
        "b": np.array([[0.0], [1.5], [2.0]]),
    },
    ("cat", "cow", "dog"),
    "by hand",
)


def _lists(scores):
    return {site: x.tolist() for site, x in scores.items()}


def test_union_is_the_maximum_over_the_classes():
    assert _lists(subtask_scores(_IMPORTANCE, ("cow", "cat"))) == {
        "a": [0.75, 0.25],
        "b": [1.5],
    }
    assert _lists(subtask_scores(_IMPORTANCE, ("cow",))) == {
        "a": [0.5, 0.25],
        "b": [1.5],
    }


def test_xor_is_the_absolute_difference():
    for classes in (("cat", "dog"), ("dog", "cat")):
        assert _lists(subtask_scores(_IMPORTANCE, classes, "xor")) == {
            "a": [0.75, 1.0],
            "b": [2.0],
        }


def test_bad_rules():
    with pytest.raises(ValueError, match="got 'and', expected one of union, x"):
        subtask_scores(_IMPORTANCE, ("cat",), "and")
    with pytest.raises(ValueError, match="'xor': got 3 classes, expected two"):
        subtask_scores(_IMPORTANCE, ("cat", "cow", "dog"), "xor")
    with pytest.raises(ValueError, match="unknown class 'pig'"):
        subtask_scores(_IMPORTANCE, ("cat", "pig"), "xor")
