"""Reads the bytes of a plan, which may be damaged."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, TypeVar

from drnet_tflite.bundles.errors import BundleError

_T = TypeVar("_T")


def require(holds: bool, broken: str) -> None:
    """Refuses a plan by what is broken in it, unless all is well."""
    if not holds:
        raise BundleError(f"its plan is damaged: {broken}")


class ByteReader:
    """Takes bytes from the front; never more than there are.

    Args:
      data: the bytes.

    What is asked for in vain raises a `BundleError`.
    """

    def __init__(self, data: memoryview) -> None:
        self._data, self._next = data, 0

    @property
    def left(self) -> int:
        """Bytes that were not taken yet."""
        return len(self._data) - self._next

    def take(self, count: int) -> memoryview:
        """The next bytes."""
        require(count <= self.left, "cut short")
        self._next += count
        return self._data[self._next - count : self._next]

    def unpack(self, form: str) -> tuple[Any, ...]:
        """The next numbers, of a format of `struct`."""
        return struct.unpack(form, self.take(struct.calcsize(form)))

    def u32s(self, count: int) -> tuple[int, ...]:
        """The next whole numbers."""
        return self.unpack(f"<{count}I")

    def counted(self, count: int, least_bytes: int) -> range:
        """Numbers below a count, of things of which each takes some bytes."""
        require(count * least_bytes <= self.left, "cut short")
        return range(count)

    def list(self, least_bytes: int, read: Callable[[], _T]) -> list[_T]:
        """A count and as many things."""
        (count,) = self.u32s(1)
        return [read() for _ in self.counted(count, least_bytes)]

    def named(self) -> tuple[int, str]:
        """A number and a text."""
        number, length = self.unpack("<IH")
        try:
            return number, str(self.take(length), "utf-8")
        except UnicodeDecodeError as error:
            raise BundleError(
                "its plan has a class name not in UTF-8"
            ) from error
