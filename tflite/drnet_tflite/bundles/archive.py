"""ZIP archives of stored entries behind a model, the same bytes every time.

TFLite's tools look for a model's labels in an archive that is appended to the
file. Java writes the same bytes, which is why they are laid out here.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence

_VERSION, _UTF8, _DATE = 20, 0x0800, 0x21  # 1980-01-01
LABELS = "labels.txt"


def stored_archive(
    entries: Mapping[str, bytes], position: int, comment: bytes = b""
) -> bytes:
    """The bytes of an archive.

    Args:
      entries: contents by name.
      position: of the archive in the file.
      comment: at its end.

    Example:
      >>> import io, zipfile
      >>> archive = stored_archive({"labels.txt": b"cat"}, position=0)
      >>> zipfile.ZipFile(io.BytesIO(archive)).read("labels.txt")
      b'cat'
    """
    local, central = bytearray(), bytearray()
    for name, data in entries.items():
        text = name.encode()
        sizes = zlib.crc32(data), len(data), len(data), len(text)
        where = position + len(local)
        local += struct.pack(
            "<4sHHHHHIIIHH", b"PK\3\4", _VERSION, _UTF8, 0, 0, _DATE, *sizes, 0
        )
        local += text + data
        central += struct.pack(
            "<4sHHHHHHIIIHHHHHII",
            b"PK\1\2", _VERSION, _VERSION, _UTF8, 0, 0, _DATE, *sizes,
            0, 0, 0, 0, 0, where,
        )  # fmt: skip
        central += text
    end = struct.pack(
        "<4sHHHHIIH", b"PK\5\6", 0, 0, len(entries), len(entries),
        len(central), position + len(local), len(comment),
    )  # fmt: skip
    return bytes(local + central) + end + comment


def labels_text(labels: Sequence[str]) -> bytes:
    """What `labels.txt` holds: a label a line."""
    return "".join(f"{label}\n" for label in labels).encode()
