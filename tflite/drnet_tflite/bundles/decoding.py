"""Reads a slice plan and refuses what breaks a rule of the format."""

from __future__ import annotations

import itertools
import math
import struct
import zlib

import numpy as np

from drnet_tflite.bundles.byte_reader import ByteReader, require
from drnet_tflite.bundles.errors import BundleError
from drnet_tflite.bundles.plan import (
    FIXED,
    FLOAT16,
    FOOTER_BYTES,
    HALF_WEIGHTS,
    INT8_WEIGHTS,
    MAGIC,
    MAX_DIMENSIONS,
    UINT8,
    VERSION,
    Axis,
    Fold,
    Plan,
    Segment,
    Vector,
)

_FLOATS = float(np.finfo(np.float32).max)


def read_plan(data: memoryview) -> Plan:
    """The plan of a bundle's bytes, checked.

    Raises:
      BundleError: no bundle, a newer version, or damaged; the message says
        what, not in which file.
    """
    position, length = _footer(data)
    plan = decode_plan(data[position : position + length], position)
    if zlib.crc32(data[: plan.skeleton_bytes]) != plan.skeleton_crc:
        raise BundleError("its skeleton is damaged (wrong checksum)")
    return plan


def _footer(data: memoryview) -> tuple[int, int]:
    footer = bytes(data[-FOOTER_BYTES:])
    if len(data) < FOOTER_BYTES or not footer.startswith(MAGIC):
        raise BundleError(
            "it does not end as a bundle does: not one, or cut short"
        )
    version, position, length, checksum = struct.unpack("<4I", footer[8:])
    if version != VERSION:
        raise BundleError(
            f"its format is version {version}, this package reads {VERSION}; "
            "update it, or write the bundle anew"
        )
    if position + length > len(data):
        raise BundleError("its plan points outside of the file")
    if zlib.crc32(data[position : position + length]) != checksum:
        raise BundleError("its plan is damaged (wrong checksum)")
    return position, length


def decode_plan(data: memoryview, position: int) -> Plan:
    """Reads a plan's bytes.

    Args:
      data: of the plan.
      position: of the plan in the file, which ends what it may point to.

    Raises:
      BundleError: a rule of the format is broken.
    """
    reader = ByteReader(data)
    skeleton_bytes, skeleton_crc, end, vectors_crc = reader.u32s(4)
    encoding, groups, classes, outputs = reader.u32s(4)
    require(skeleton_bytes <= end <= position, "parts of the file overlap")
    require(encoding in (UINT8, FLOAT16), "unknown encoding of the scores")
    require(min(groups, classes, outputs) > 0, "no groups, classes or outputs")
    widths, steps = _groups(reader, groups, encoding)
    names, numbers = _classes(reader, classes, outputs)
    scores = [_scores(reader, encoding, classes, width) for width in widths]
    sizes = [*widths, outputs]
    axes = tuple(reader.list(14, lambda: _axis(reader, sizes)))
    patches = _patches(reader, skeleton_bytes, axes)
    vectors = tuple(reader.list(15, lambda: _vector(reader, axes)))
    _check_vectors(vectors, axes, skeleton_bytes, end)
    folds = tuple(reader.list(9, lambda: _fold(reader, vectors, axes)))
    require(
        len({x.biases for x in folds}) == len(folds)
        and len({x.weights for x in folds}) == len(folds),
        "vectors folded twice",
    )
    require(not reader.left, "bytes behind its end")
    return Plan(
        skeleton_bytes=skeleton_bytes,
        skeleton_crc=skeleton_crc,
        vectors_end=end,
        vectors_crc=vectors_crc,
        encoding=encoding,
        outputs=outputs,
        steps=steps,
        class_names=names,
        class_outputs=numbers,
        scores=scores,
        axes=axes,
        patches=patches,
        vectors=vectors,
        folds=folds,
    )


def _groups(
    reader: ByteReader, count: int, encoding: int
) -> tuple[list[int], np.ndarray]:
    """Widths and steps."""
    table = np.frombuffer(reader.take(8 * count), "<u4,<f4")
    widths, steps = table["f0"].tolist(), table["f1"]
    require(all(widths), "a group without channels")
    greatest = (255 * steps.astype(float)).max()
    require(
        bool((steps >= 0).all() and greatest < _FLOATS),
        "a step below 0, or too great",
    )
    require(encoding == UINT8 or not steps.any(), "a step of half scores")
    return widths, steps


def _classes(
    reader: ByteReader, count: int, outputs: int
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Names and outputs."""
    named = [reader.named() for _ in reader.counted(count, 6)]
    numbers, names = zip(*named, strict=True)
    lines = all(x and "\n" not in x and "\r" not in x for x in names)
    require(
        lines and len(set(names)) == len(names),
        "a class name twice, or one that is not a line",
    )
    require(
        len(set(numbers)) == len(numbers) and max(numbers) < outputs,
        "a class of no output, or of one that another has",
    )
    return names, numbers


def _scores(
    reader: ByteReader, encoding: int, classes: int, width: int
) -> np.ndarray:
    if encoding == UINT8:
        raw = np.frombuffer(reader.take(classes * width), "u1")
    else:
        raw = np.frombuffer(reader.take(2 * classes * width), "<f2")
        # The bits of halves that are finite and not below 0.
        require(
            not raw.size or int(raw.view("<u2").max()) < 0x7C00,
            "a score that is below 0 or not finite",
        )
    return raw.reshape(classes, width)


def _axis(reader: ByteReader, sizes: list[int]) -> Axis:
    (count,) = reader.unpack("<H")
    require(count > 0, "an axis without segments")
    axis = tuple(Segment(*reader.u32s(3)) for _ in reader.counted(count, 12))
    for segment in axis:
        require(segment.length > 0, "an empty segment")
        if segment.group == FIXED:
            require(segment.start == 0, "a fixed segment that starts late")
            continue
        require(segment.group < len(sizes), "a segment of an unknown group")
        size = sizes[segment.group]
        require(
            segment.start + segment.length <= size, "a segment past its group"
        )
        if segment.group == len(sizes) - 1:
            require(segment.length == size, "a part of the outputs")
    return axis


def _patches(
    reader: ByteReader, skeleton_bytes: int, axes: tuple[Axis, ...]
) -> np.ndarray:
    (count,) = reader.u32s(1)
    table = np.frombuffer(reader.take(12 * count), "<u4").reshape(-1, 3)
    patches = table.astype(np.int64)
    positions = patches[:, 0]
    require(
        bool((positions <= skeleton_bytes - 4).all())
        and not (positions % 4).any()
        and bool((patches[:, 2] < len(axes)).all()),
        "a number to patch outside of the skeleton",
    )
    lengths = np.array([sum(x.length for x in axis) for axis in axes] or [0])
    require(
        bool((patches[:, 1] * lengths[patches[:, 2]] < 1 << 31).all()),
        "a number to patch that is too great",
    )
    return patches


def _vector(reader: ByteReader, axes: tuple[Axis, ...]) -> Vector:
    field, data, size, flags, dimensions = reader.unpack("<IIBBB")
    require(size in (1, 2, 4, 8) and flags < 4, "a vector of unknown form")
    require(1 <= dimensions <= MAX_DIMENSIONS, "a vector of unknown form")
    numbers = reader.u32s(dimensions)
    require(max(numbers) < len(axes), "a vector along an unknown axis")
    return Vector(field, data, size, bool(flags & 1), bool(flags & 2), numbers)


def _check_vectors(
    vectors: tuple[Vector, ...],
    axes: tuple[Axis, ...],
    skeleton_bytes: int,
    end: int,
) -> None:
    lengths = [sum(x.length for x in axis) for axis in axes]
    last = skeleton_bytes
    for vector in vectors:
        require(
            vector.field <= skeleton_bytes - 4 and vector.field % 4 == 0,
            "a vector that hangs nowhere",
        )
        require(
            vector.data >= last + 4 and vector.data % 16 == 0,
            "vectors that overlap",
        )
        elements = math.prod(lengths[x] for x in vector.axes)
        last = vector.data + elements * vector.element_bytes
        require(last <= end, "a vector past the end")
    fields = [x.field for x in vectors]
    require(len(set(fields)) == len(fields), "two vectors in one place")


def _fold(
    reader: ByteReader, vectors: tuple[Vector, ...], axes: tuple[Axis, ...]
) -> Fold:
    biases, weights, kind = reader.unpack("<IIB")
    require(max(biases, weights) < len(vectors), "a fold of unknown vectors")
    require(kind <= INT8_WEIGHTS, "a fold of unknown form")
    b, w = vectors[biases], vectors[weights]
    size = {HALF_WEIGHTS: 2, INT8_WEIGHTS: 1}.get(kind, 4)
    between = itertools.chain(*(axes[x] for x in w.axes[1:-1]))
    require(
        len(b.axes) == 1
        and len(w.axes) > 1
        and b.axes[0] == w.axes[0]
        and (b.element_bytes, w.element_bytes) == (4, size)
        and all(x.group == FIXED for x in between),
        "a fold of vectors that do not fit",
    )
    length = sum(x.length for x in axes[w.axes[-1]])
    dtype = "<i4" if kind == INT8_WEIGHTS else "<f4"
    constants = np.frombuffer(reader.take(4 * length), dtype)
    require(bool(np.isfinite(constants).all()), "a constant is not finite")
    return Fold(biases, weights, kind, constants)
