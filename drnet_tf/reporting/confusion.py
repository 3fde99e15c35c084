"""Which classes a network takes for which, before and after it was cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from drnet_tf.reporting import heatmap, svg

MAX_DRAWN = 10
_SIDE = 40
_GAP = 36  # between two maps: room for a title
_TITLE = 92  # the width of "Small network"
# Two maps stand side by side if a phone can show both.
_MAX_BESIDE = 4


def confusion_figure(
    full: ArrayLike, small: ArrayLike, classes: Sequence[str]
) -> str:
    """Draws the confusions of the full and of the small network as two maps.

    Numbers are images by true class (row) and found class (column). Colours are
    shares of the true class's images, the same in both maps; those that are
    right have no colour, so that the colours spread over what is not.

    Args:
      full, small: `(k, k)` images, as `Evaluation.confusion`.
      classes: names of the k classes, `MAX_DRAWN` at most.

    Returns:
      The SVG document.

    Raises:
      ValueError: other shapes, or too many classes.
      ImportError: matplotlib is not installed.

    Example:
      >>> drawn = confusion_figure([[9, 1], [0, 8]], [[7, 3], [2, 6]], "ab")
      >>> ">Small network<" in drawn and ">7<" in drawn
      True
    """
    both = _matrices(full, small, classes)
    k = len(classes)
    if k > MAX_DRAWN:
        raise ValueError(
            f"confusion_figure: got {k} classes, expected {MAX_DRAWN} at most; "
            "list what is confused most with confused_pairs."
        )
    shares = [_wrong_shares(matrix) for matrix in both]
    most = max(float(np.nanmax(x, initial=0.0)) for x in shares) or 1.0
    beside = k <= _MAX_BESIDE
    step = (max(_SIDE * k, _TITLE) if beside else _SIDE * k) + _GAP
    with svg.style():
        figure = svg.new_figure()
        for number, name in enumerate(("Full network", "Small network")):
            panel = heatmap.draw(
                figure,
                shares[number],
                rows=classes,
                columns=classes,
                cell=(_SIDE, _SIDE),
                texts=[[f"{x:,}" for x in row] for row in both[number]],
                label=name,
                bar_format="",
                origin=(number * step, 0) if beside else (0, number * step),
                limits=(0.0, most),
            )
            if beside and number:
                panel.set_yticks([])
            if not beside and not number:
                panel.set_xticks([])
        return svg.to_svg(figure)


def confused_pairs(
    full: ArrayLike, small: ArrayLike, classes: Sequence[str], most: int = 20
) -> list[dict[str, Any]]:
    """What the networks confuse most, for a table.

    Args:
      full, small, classes: as for `confusion_figure`, any number of classes.
      most: rows at most.

    Returns:
      Rows with "true" and "found", names of different classes, and "full" and
      "small", the images that each network takes so; most images of both
      networks first, of equal ones in the order of the classes.

    Example:
      >>> confused_pairs([[9, 1], [0, 8]], [[7, 3], [0, 8]], ("cat", "dog"))
      [{'true': 'cat', 'found': 'dog', 'full': 1, 'small': 3}]
    """
    before, after = _matrices(full, small, classes)
    total = before + after
    np.fill_diagonal(total, 0)
    order = np.argsort(-total, axis=None, kind="stable")[:most]
    places = np.unravel_index(order, total.shape)
    return [
        {
            "true": classes[row],
            "found": classes[column],
            "full": int(before[row, column]),
            "small": int(after[row, column]),
        }
        for row, column in zip(*map(np.ndarray.tolist, places), strict=True)
        if total[row, column]
    ]


def _matrices(
    full: ArrayLike, small: ArrayLike, classes: Sequence[str]
) -> list[np.ndarray]:
    matrices = [np.asarray(full), np.asarray(small)]
    for matrix in matrices:
        if matrix.shape != (len(classes),) * 2 or not len(classes):
            raise ValueError(
                f"Confusion: got an array of shape {matrix.shape} and "
                f"{len(classes)} class names, expected (k, k) and k names."
            )
    return matrices


def _wrong_shares(matrix: np.ndarray) -> np.ndarray:
    """Shares of each row's sum; NaN on the diagonal."""
    images = np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    own = np.eye(len(matrix), dtype=bool)
    return np.where(own, np.nan, matrix / images)
