"""FlatBuffers tables, written and read by slot instead of by generated code.

A schema numbers the fields of a table from 0; that number is the field's slot.
A union takes two slots: the number of its member, then the member.
"""

from __future__ import annotations

import struct
from typing import Any

import flatbuffers


def pack_table(table: dict[int, Any], identifier: bytes) -> bytes:
    """Writes a table as a whole buffer; the same table gives the same bytes.

    Args:
      table: values by slot. A `str` becomes a string, an `int` an 8-bit number,
        a `dict` a table, a `tuple` a vector of 32-bit floats and a `list` a
        vector of tables or strings. What is `None` or empty is left out.
      identifier: four bytes that say which schema it is.

    Example:
      >>> content = pack_table({0: "cat", 2: (0.5, 2.0)}, b"PETS")
      >>> content[4:8], Table.root(content).floats(2)
      (b'PETS', (0.5, 2.0))
    """
    builder = flatbuffers.Builder(1024)
    builder.Finish(_pack(builder, table), file_identifier=identifier)
    return bytes(builder.Output())


class Table:
    """A table in a buffer. Fields that are missing read as empty.

    Args:
      content: the buffer.
      position: where the table begins.

    Raises:
      ValueError: here and when a field is read: it lies outside the buffer, so
        that the buffer is damaged or of another kind.

    Example:
      >>> content = pack_table({0: "cat", 3: [{1: 7}]}, b"PETS")
      >>> table = Table.root(content)
      >>> table.text(0), table.text(1), table.tables(3)[0].number(1)
      ('cat', '', 7)
    """

    def __init__(self, content: bytes, position: int) -> None:
        self._content = content
        self._position = position
        self._slots = position - self._read("<i", position)

    @classmethod
    def root(cls, content: bytes) -> Table:
        """The table that a buffer is made of."""
        return cls(content, int.from_bytes(content[:4], "little"))

    def number(self, slot: int, bits: int = 8) -> int:
        """An unsigned number of 8 or 32 bits; 0 if it is missing."""
        field = self._field(slot)
        return self._read({8: "<B", 32: "<I"}[bits], field) if field else 0

    def text(self, slot: int) -> str:
        """A string."""
        return self.data(slot).decode("utf-8")

    def data(self, slot: int) -> bytes:
        """The bytes of a string or of a vector of bytes."""
        start, length = self._vector(slot, 1)
        return self._content[start : start + length]

    def floats(self, slot: int) -> tuple[float, ...]:
        """A vector of 32-bit floats."""
        start, length = self._vector(slot, 4)
        return struct.unpack_from(f"<{length}f", self._content, start)

    def table(self, slot: int) -> Table | None:
        """A table."""
        field = self._field(slot)
        return Table(self._content, self._target(field)) if field else None

    def tables(self, slot: int) -> list[Table]:
        """A vector of tables."""
        start, length = self._vector(slot, 4)
        return [
            Table(self._content, self._target(start + 4 * i))
            for i in range(length)
        ]

    def _field(self, slot: int) -> int:
        """Where a field lies; 0 if it is missing."""
        entry = 4 + 2 * slot
        if entry >= self._read("<H", self._slots):
            return 0
        distance = self._read("<H", self._slots + entry)
        return distance and self._position + distance

    def _vector(self, slot: int, item_bytes: int) -> tuple[int, int]:
        """Where the first item lies, and how many there are."""
        field = self._field(slot)
        if not field:
            return 0, 0
        start = self._target(field) + 4
        length = self._read("<I", start - 4)
        self._check(start, length * item_bytes)
        return start, length

    def _target(self, field: int) -> int:
        return field + self._read("<I", field)

    def _read(self, form: str, position: int) -> int:
        self._check(position, struct.calcsize(form))
        return struct.unpack_from(form, self._content, position)[0]

    def _check(self, start: int, length: int) -> None:
        if not 0 <= start <= len(self._content) - length:
            raise ValueError(
                f"{length} bytes at position {start} are outside of its "
                f"{len(self._content)}"
            )


def _pack(builder: flatbuffers.Builder, value: Any) -> int:
    """Writes a value and gives its position; children stand before parents."""
    if isinstance(value, str):
        return builder.CreateString(value)
    if isinstance(value, tuple):
        builder.StartVector(4, len(value), 4)
        for number in reversed(value):
            builder.PrependFloat32(number)
        return builder.EndVector()
    if isinstance(value, list):
        positions = [_pack(builder, item) for item in value]
        builder.StartVector(4, len(positions), 4)
        for position in reversed(positions):
            builder.PrependUOffsetTRelative(position)
        return builder.EndVector()
    fields = {
        slot: field if isinstance(field, int) else _pack(builder, field)
        for slot, field in value.items()
        if field
    }
    builder.StartObject(max(fields, default=-1) + 1)
    for slot, field in fields.items():
        if isinstance(value[slot], int):
            builder.PrependInt8Slot(slot, field, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(slot, field, 0)
    return builder.EndObject()
