"""Lays a file out as a bundle: skeleton first, then the vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from drnet_tflite.planning.file_model import FileModel
from drnet_tflite.planning.layout import (
    BUFFER,
    NEW_SHAPE,
    SCALE,
    SHAPE,
    SIGNATURE,
    MovedVector,
    PatchedNumber,
)

ALIGNMENT = 16
_SIZE_LIMIT = 1 << 31
# Places of fields in the schema's tables.
_SLOTS = {"buffer.data": 0, "tensor.shape": 0, "tensor.signature": 7}
_SLOTS |= {"quantization.scale": 2, "quantization.zero_point": 3}
_SLOTS |= {"reshape.new_shape": 0}


class CanonicalFile:
    """A file's bytes with its long vectors behind all else.

    Args:
      file: will be changed: its long vectors are taken out.
      vectors: of its layout.

    Attributes:
      content: skeleton and vectors; runs as the file did.
      skeleton_bytes: of the first part.
      fields: by vector the position of the offset that points to it.
      places: by vector the position of its first element.

    Raises:
      ValueError: it would be 2 GiB or more.
    """

    def __init__(self, file: FileModel, vectors: Sequence[MovedVector]) -> None:
        skeleton = bytearray(_packed_without(file, vectors))
        skeleton += bytes(-len(skeleton) % ALIGNMENT)
        self._root = schema.Model.GetRootAs(skeleton, 0)
        self._graph = self._root.Subgraphs(0)
        self.skeleton_bytes = len(skeleton)
        self.fields = [self._field(x) for x in vectors]
        self.places, parts, end = [], [], len(skeleton)
        for vector, field in zip(vectors, self.fields, strict=True):
            place = end + 4
            place += -place % ALIGNMENT
            size = len(vector.values)
            if vector.part == BUFFER:
                size = vector.values.nbytes
            parts.append(bytes(place - 4 - end) + size.to_bytes(4, "little"))
            parts.append(vector.values.tobytes())
            offset = place - 4 - field
            end = place + vector.values.nbytes
            if end >= _SIZE_LIMIT:
                raise ValueError("the file would be larger than 2 GiB")
            skeleton[field : field + 4] = offset.to_bytes(4, "little")
            self.places.append(place)
        self.content = b"".join([bytes(skeleton), *parts])

    def position(self, number: PatchedNumber) -> int:
        """Where a number stands in the skeleton."""
        if number.part == NEW_SHAPE:
            union = self._graph.Operators(number.number).BuiltinOptions()
            options = schema.ReshapeOptions()
            options.Init(union.Bytes, union.Pos)
            start = _vector(options, "reshape.new_shape")
        elif number.part in (SHAPE, SIGNATURE):
            tensor = self._graph.Tensors(number.number)
            start = _vector(tensor, f"tensor.{number.part}")
        else:
            buffer = self._graph.Tensors(number.number).Buffer()
            start = _vector(self._root.Buffers(buffer), "buffer.data")
        return start + 4 * number.place

    def _field(self, vector: MovedVector) -> int:
        tensor = self._graph.Tensors(vector.tensor)
        if vector.part == BUFFER:
            return _field(self._root.Buffers(tensor.Buffer()), "buffer.data")
        return _field(tensor.Quantization(), f"quantization.{vector.part}")


def _packed_without(file: FileModel, vectors: Sequence[MovedVector]) -> bytes:
    """The file with something short in the place of every vector."""
    for tensor in file.tensors:
        if tensor.quantization is not None:  # ranges that nobody reads
            tensor.quantization.min = tensor.quantization.max = None
    for vector in vectors:
        tensor = file.tensors[vector.tensor]
        if vector.part == BUFFER:
            file.model.buffers[tensor.buffer].data = np.zeros(4, np.uint8)
        elif vector.part == SCALE:
            tensor.quantization.scale = np.zeros(1, np.float32)
        else:
            tensor.quantization.zeroPoint = np.zeros(1, np.int64)
    return file.packed()


def _field(table: Any, name: str) -> int:
    return table._tab.Pos + table._tab.Offset(4 + 2 * _SLOTS[name])


def _vector(table: Any, name: str) -> int:
    return int(table._tab.Vector(table._tab.Offset(4 + 2 * _SLOTS[name])))
