"""Breaks bundles: bits flipped, bytes cut off, fields spliced."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from drnet_tflite.bundles.encoding import encode_footer
from drnet_tflite.bundles.plan import FOOTER_BYTES


def mutate(content: bytes, generator: np.random.Generator) -> bytearray:
    """A broken copy; half of them have their checksums mended.

    Most changes hit the plan, where every number counts.
    """
    data = bytearray(content)
    position, length, _ = struct.unpack("<3I", content[-12:])
    for _ in range(generator.integers(1, 4)):
        low, high = 0, len(data)
        if generator.random() < 0.8:
            low, high = position, position + length
        place = int(generator.integers(low, high))
        kind = generator.integers(5)
        if kind == 0:
            data[place] ^= 1 << int(generator.integers(8))
        elif kind == 1:
            size = min(int(generator.integers(1, 40)), high - place)
            start = int(generator.integers(low, high - size + 1))
            data[place : place + size] = data[start : start + size]
        elif kind == 2:
            number = int(generator.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF]))
            size = min(4, high - place)
            data[place : place + size] = number.to_bytes(4, "little")[:size]
        elif kind == 3:
            data[place] = int(generator.integers(256))
        elif generator.random() < 0.1:
            return data[:place]
    if generator.random() < 0.5:
        _mend(data, position, length)
    return data


def _mend(data: bytearray, position: int, length: int) -> None:
    plan = data[position : position + length]
    (skeleton,) = struct.unpack_from("<I", plan)
    if skeleton <= len(data):
        checksum = zlib.crc32(memoryview(data)[:skeleton])
        struct.pack_into("<I", plan, 4, checksum)
    data[position : position + length] = plan
    data[-FOOTER_BYTES:] = encode_footer(position, bytes(plan))
