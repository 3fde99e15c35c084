"""Confusions before and after, as maps and as a list."""

from __future__ import annotations

import numpy as np
import pytest

from drnet_tf.reporting.confusion import (
    MAX_DRAWN,
    confused_pairs,
    confusion_figure,
)
from tests.reporting.figures_test import texts

FULL = np.array([[48, 2, 0], [1, 1498, 1], [0, 0, 50]])
SMALL = np.array([[40, 10, 0], [3, 1490, 7], [0, 5, 45]])
NAMES = ("cat & <cow>", "dog", "hen")


def test_both_maps_state_all_images():
    shown = texts(confusion_figure(FULL, SMALL, NAMES))
    assert {"Full network", "Small network", *NAMES} <= set(shown)
    numbers = [text for text in shown if text.replace(",", "").isdigit()]
    assert numbers == [f"{x:,}" for x in [*FULL.flat, *SMALL.flat]]


def test_the_same_matrices_give_the_same_bytes():
    first = confusion_figure(FULL, SMALL, NAMES)
    assert first == confusion_figure(FULL.tolist(), SMALL.tolist(), NAMES)
    assert first != confusion_figure(SMALL, FULL, NAMES)


def _places(drawing):
    """Left edges of both titles."""
    lines = [x for x in drawing.splitlines() if "network</text>" in x]
    return [float(x.split('x="')[1].split('"')[0]) for x in lines]


@pytest.mark.parametrize(
    ("count", "beside"), [(1, True), (4, True), (5, False)]
)
def test_few_classes_stand_side_by_side(count, beside):
    names = [f"class {n}" for n in range(count)]
    drawing = confusion_figure(np.eye(count, dtype=int), np.eye(count), names)
    left, right = _places(drawing)
    # A title of 13 bold letters is some 90 pixels wide.
    assert right - left > 100 if beside else right == left


def test_too_many_classes_are_listed_instead():
    names = [f"c{n}" for n in range(MAX_DRAWN + 1)]
    matrix = np.eye(len(names), dtype=int)
    with pytest.raises(ValueError, match="got 11 classes, expected 10 at most"):
        confusion_figure(matrix, matrix, names)
    assert confused_pairs(matrix, matrix, names) == []


def test_what_is_confused_most_comes_first():
    pairs = confused_pairs(FULL, SMALL, NAMES)
    assert [tuple(pair.values()) for pair in pairs] == [
        ("cat & <cow>", "dog", 2, 10),
        ("dog", "hen", 1, 7),
        ("hen", "dog", 0, 5),
        ("dog", "cat & <cow>", 1, 3),
    ]
    assert confused_pairs(FULL, SMALL, NAMES, most=1) == pairs[:1]


def test_matrices_of_other_classes_are_refused():
    with pytest.raises(ValueError) as caught:
        confused_pairs(FULL, np.eye(2), NAMES)
    assert str(caught.value) == (
        "Confusion: got an array of shape (2, 2) and 3 class names, expected "
        "(k, k) and k names."
    )
