"""Writes a slice plan as bytes; see `docs/bundle_format.md`."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from drnet_tflite.bundles.plan import MAGIC, VERSION, Plan, Vector


def encode_plan(plan: Plan) -> bytes:
    """The plan's bytes; `decoding.decode_plan` reads them."""
    parts = [
        _u32(
            plan.skeleton_bytes,
            plan.skeleton_crc,
            plan.vectors_end,
            plan.vectors_crc,
            plan.encoding,
            len(plan.scores),
            len(plan.class_names),
            plan.outputs,
        )
    ]
    for width, step in zip(plan.widths, plan.steps, strict=True):
        parts.append(struct.pack("<If", width, step))
    for output, name in zip(plan.class_outputs, plan.class_names, strict=True):
        text = name.encode()
        parts.append(struct.pack("<IH", output, len(text)) + text)
    parts += [np.ascontiguousarray(x).tobytes() for x in plan.scores]
    parts.append(_u32(len(plan.axes)))
    for axis in plan.axes:
        parts.append(struct.pack("<H", len(axis)))
        parts += [_u32(x.group, x.start, x.length) for x in axis]
    parts.append(_u32(len(plan.patches)))
    parts.append(np.asarray(plan.patches, "<u4").tobytes())
    parts.append(_u32(len(plan.vectors)))
    parts += [_vector(x) for x in plan.vectors]
    parts.append(_u32(len(plan.folds)))
    for fold in plan.folds:
        parts.append(struct.pack("<IIB", fold.biases, fold.weights, fold.kind))
        parts.append(fold.constants.tobytes())
    return b"".join(parts)


def encode_footer(position: int, plan: bytes) -> bytes:
    """The last bytes of a bundle: where its plan lies.

    Args:
      position: of the plan in the file.
      plan: its bytes.
    """
    return MAGIC + _u32(VERSION, position, len(plan), zlib.crc32(plan))


def _vector(vector: Vector) -> bytes:
    flags = vector.counts_elements | vector.is_parameter << 1
    return struct.pack(
        "<IIBBB",
        vector.field,
        vector.data,
        vector.element_bytes,
        flags,
        len(vector.axes),
    ) + _u32(*vector.axes)


def _u32(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}I", *numbers)
