"""Cuts a sub-network's file out of a bundle."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from drnet_tflite.bundles.archive import LABELS, labels_text, stored_archive
from drnet_tflite.bundles.plan import (
    HALF_WEIGHTS,
    INT8_WEIGHTS,
    Fold,
    Plan,
    Vector,
)
from drnet_tflite.bundles.selection import Selection

_BLOCK = 1 << 20  # bytes that gathering holds beside its output
_DTYPES = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


def cut(data: memoryview, plan: Plan, selection: Selection) -> bytes:
    """The bytes of a sub-network's `.tflite` file.

    Args:
      data: of the bundle.
      plan: of the bundle.
      selection: the channels to keep.
    """
    kept = [selection.of_axis(plan, x) for x in range(len(plan.axes))]
    shapes = [tuple(len(kept[x]) for x in v.axes) for v in plan.vectors]
    places, end = _places(plan, shapes)
    end += -end % 4
    labels = labels_text(selection.class_names)
    archive = stored_archive({LABELS: labels}, end)
    file = io.BytesIO()
    file.seek(end)
    file.write(archive)  # what lies before becomes zeros
    with file.getbuffer() as view:
        view[: plan.skeleton_bytes] = data[: plan.skeleton_bytes]
        _patch(view, plan, kept)
        written = []
        for vector, shape, place in zip(
            plan.vectors, shapes, places, strict=True
        ):
            target = _array(view, place, shape, vector.element_bytes)
            size = target.size if vector.counts_elements else target.nbytes
            _put(view, place - 4, size)
            _put(view, vector.field, place - 4 - vector.field)
            source = _source(data, plan, vector)
            _gather(source, [kept[x] for x in vector.axes], target)
            written.append(target)
        for fold in plan.folds:
            _fold(data, plan, fold, kept, written[fold.biases])
        del written, target  # they hold the buffer
    return file.getvalue()


def _places(
    plan: Plan, shapes: Sequence[tuple[int, ...]]
) -> tuple[list[int], int]:
    """Where every vector's elements start, and the end of the last."""
    places, end = [], plan.skeleton_bytes
    for vector, shape in zip(plan.vectors, shapes, strict=True):
        place = end + 4
        place += -place % 16
        places.append(place)
        end = place + int(np.prod(shape)) * vector.element_bytes
    return places, end


def _patch(view: memoryview, plan: Plan, kept: Sequence[np.ndarray]) -> None:
    lengths = np.array([len(x) for x in kept], np.int64)
    position, factor, axis = plan.patches.T
    words = np.frombuffer(view, "<u4", plan.skeleton_bytes // 4)
    words[position // 4] = (factor * lengths[axis]) & 0xFFFFFFFF


def _put(view: memoryview, position: int, number: int) -> None:
    view[position : position + 4] = number.to_bytes(4, "little")


def _array(
    view: memoryview, position: int, shape: tuple[int, ...], size: int
) -> np.ndarray:
    return np.ndarray(shape, _DTYPES[size], view, position)


def _source(data: memoryview, plan: Plan, vector: Vector) -> np.ndarray:
    shape = tuple(plan.axis_length(x) for x in vector.axes)
    return _array(data, vector.data, shape, vector.element_bytes)


def _gather(
    source: np.ndarray, kept: Sequence[np.ndarray], target: np.ndarray
) -> None:
    """Takes the kept positions along every axis, in blocks of rows."""
    rows, *others = kept
    inner = [
        (axis, x)
        for axis, x in enumerate(others, 1)
        if len(x) < source.shape[axis] or (np.diff(x) != 1).any()
    ]
    step = max(1, _BLOCK // max(1, source[0].nbytes))
    for start in range(0, len(rows), step):
        block = source[rows[start : start + step]]
        for axis, positions in inner:
            block = np.take(block, positions, axis)
        target[start : start + step] = block


def _fold(
    data: memoryview,
    plan: Plan,
    fold: Fold,
    kept: Sequence[np.ndarray],
    biases: np.ndarray,
) -> None:
    """Adds what the dropped channels say, term after term, as in Java."""
    vector = plan.vectors[fold.weights]
    rows, columns = kept[vector.axes[0]], kept[vector.axes[-1]]
    dropped = np.flatnonzero(fold.constants != 0)
    dropped = np.setdiff1d(dropped, columns, assume_unique=True)
    if not dropped.size:
        return
    whole = fold.kind == INT8_WEIGHTS
    dtype, wide = (np.int32, np.int64) if whole else (np.float32, np.float64)
    stored = {HALF_WEIGHTS: np.float16, INT8_WEIGHTS: np.int8}
    source = _source(data, plan, vector).view(stored.get(fold.kind, np.float32))
    source = source.reshape(len(source), -1, source.shape[-1])
    constants = fold.constants[dropped].astype(wide)[:, None]
    bias = biases.view(dtype)
    for place, row in enumerate(rows.tolist()):
        terms = source[row][:, dropped].T.astype(wide) * constants
        first = np.array([bias[place]], wide)
        terms = np.concatenate([first, terms.ravel()])
        # A cumulative sum adds in order; `sum` would not.
        bias[place] = np.cumsum(terms)[-1].astype(dtype)
