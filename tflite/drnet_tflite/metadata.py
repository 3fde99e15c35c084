"""TFLite metadata: what a file tells about itself, in Google's format.

Neither TensorFlow nor LiteRT is needed to read or write it. The numbers are the
slots of `metadata_schema.fbs` (identifier "M001") and of LiteRT's `schema.fbs`.
"""

from __future__ import annotations

import dataclasses
import io
import os
import struct
import zipfile
import zlib
from pathlib import Path

from drnet_tflite.flatbuffer_tables import Table, pack_table

LABELS_FILE = "labels.txt"
METADATA_NAME = "TFLITE_METADATA"
INPUT_NAME = "image"
OUTPUT_NAME = "scores"

_RUNTIME_NAME = "min_runtime_version"
_IDENTIFIER = b"M001"
# The oldest parser that knows all that is written here.
_MIN_PARSER_VERSION = "1.0.0"
_NORMALIZATION_OPTIONS = 1
_IMAGE_PROPERTIES = 2
_TENSOR_AXIS_LABELS = 2
_COLOR_SPACES = ("UNKNOWN", "RGB", "GRAYSCALE")
# What readers of tables and of ZIP archives raise where bytes make no sense.
_DAMAGES = (
    ValueError,
    LookupError,
    RuntimeError,
    OSError,
    EOFError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
)


@dataclasses.dataclass(frozen=True)
class Metadata:
    """What a `.tflite` file tells about itself.

    Attributes:
      name: of the network.
      description: one sentence about it.
      version: of the program that wrote the file.
      license: text of the licence.
      color_space: of the image: "RGB", "GRAYSCALE" or "UNKNOWN".
      mean, std: the network expects (pixel - mean) / std of pixels in 0..255,
        one number each or one a channel; empty if that is not recorded.
      labels: class names, in the order of the scores.
      min_runtime_version: of TensorFlow Lite, the oldest that has all operators
        of the file; TensorFlow writes it into a place of its own.
    """

    name: str
    description: str = ""
    version: str = ""
    license: str = ""
    color_space: str = "UNKNOWN"
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()
    min_runtime_version: str = ""


def pack_metadata(metadata: Metadata) -> bytes:
    """Writes metadata as the buffer that a file keeps as "TFLITE_METADATA".

    Args:
      metadata: `min_runtime_version` and the labels themselves stand elsewhere
        in a file and are not written; that there are labels is.

    Example:
      >>> pack_metadata(Metadata("pets"))[4:8]
      b'M001'
    """
    normalization = {0: metadata.mean, 1: metadata.std}
    image = {
        0: INPUT_NAME,
        1: "The image to classify.",
        3: {
            0: _IMAGE_PROPERTIES,
            1: {0: _COLOR_SPACES.index(metadata.color_space)},
        },
        4: metadata.mean and [{0: _NORMALIZATION_OPTIONS, 1: normalization}],
    }
    labels = {
        0: LABELS_FILE,
        1: "Class names, one a line, in the order of the scores.",
        2: _TENSOR_AXIS_LABELS,
    }
    scores = {
        0: OUTPUT_NAME,
        1: "One score for each class.",
        6: metadata.labels and [labels],
    }
    model = {
        0: metadata.name,
        1: metadata.description,
        2: metadata.version,
        3: [{2: [image], 3: [scores]}],
        5: metadata.license,
        7: _MIN_PARSER_VERSION,
    }
    return pack_table(model, _IDENTIFIER)


def append_labels(content: bytes, labels: tuple[str, ...]) -> bytes:
    """Appends the file of labels to a model, as a ZIP archive.

    The runtime does not look behind the model; every ZIP program does.

    Args:
      content: a model without such an archive.
      labels: class names; without any, `content` is given back.

    Example:
      >>> content = append_labels(b"model", ("cat", "dog"))
      >>> zipfile.ZipFile(io.BytesIO(content)).read("labels.txt")
      b'cat\\ndog\\n'
    """
    if not labels:
        return content
    # A fixed date and system: the same labels give the same bytes everywhere.
    entry = zipfile.ZipInfo(LABELS_FILE, (1980, 1, 1, 0, 0, 0))
    entry.create_system = 0
    file = io.BytesIO(content)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(entry, "".join(f"{label}\n" for label in labels))
    return file.getvalue()


def read_metadata(path: str | os.PathLike[str]) -> Metadata:
    """Reads the metadata of a `.tflite` file, of Google's tools too.

    Args:
      path: a file whose first input is an image and whose first output are
        scores.

    Returns:
      What is missing in the file is empty.

    Raises:
      ValueError: the file is missing, damaged or without metadata.

    Example:
      >>> read_metadata("pets.tflite").labels  # doctest: +SKIP
      ('cat', 'dog')
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ValueError(
            f"'{path}' cannot be read: {error.strerror}; check the path."
        ) from error
    try:
        buffers = _named_buffers(content)
        packed = buffers.get(METADATA_NAME)
        found = None if packed is None else _unpack(packed, content)
        runtime = buffers.get(_RUNTIME_NAME, b"").rstrip(b"\0").decode()
    except _DAMAGES as error:
        raise ValueError(
            f"'{path}': damaged or no .tflite file ({error}); make or copy it "
            "again."
        ) from error
    if found is None:
        raise ValueError(
            f"'{path}' has no TFLite metadata; make it with "
            "drnet_tflite.convert."
        )
    return dataclasses.replace(found, min_runtime_version=runtime)


def read_labels(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Reads the class names of a `.tflite` file, in the order of its scores.

    Args:
      path: as for `read_metadata`.

    Returns:
      The names; none if the file was made without.

    Raises:
      ValueError: as `read_metadata`.

    Example:
      >>> read_labels("pets.tflite")  # doctest: +SKIP
      ('cat', 'dog')
    """
    return read_metadata(path).labels


def _named_buffers(content: bytes) -> dict[str, bytes]:
    """The buffers that a model's table of metadata names."""
    if content[4:8] != b"TFL3":
        raise ValueError("it does not begin as one")
    model = Table.root(content)
    buffers = model.tables(4)
    return {
        entry.text(0): buffers[entry.number(1, bits=32)].data(0)
        for entry in model.tables(6)
    }


def _unpack(packed: bytes, content: bytes) -> Metadata:
    model = Table.root(packed)
    graph = _first(model, 3)
    image, scores = _first(graph, 2), _first(graph, 3)
    properties = image and image.table(3)
    color = properties and properties.number(0) == _IMAGE_PROPERTIES
    union = properties.table(1) if properties and color else None
    normalization = next(
        (
            unit.table(1)
            for unit in (image.tables(4) if image else [])
            if unit.number(0) == _NORMALIZATION_OPTIONS
        ),
        None,
    )
    return Metadata(
        name=model.text(0),
        description=model.text(1),
        version=model.text(2),
        license=model.text(5),
        color_space=_COLOR_SPACES[union.number(0) if union else 0],
        mean=normalization.floats(0) if normalization else (),
        std=normalization.floats(1) if normalization else (),
        labels=_unpack_labels(scores, content),
    )


def _unpack_labels(scores: Table | None, content: bytes) -> tuple[str, ...]:
    for file in scores.tables(6) if scores else []:
        if file.number(2) == _TENSOR_AXIS_LABELS:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                text = archive.read(file.text(0)).decode("utf-8")
            return tuple(text.splitlines())
    return ()


def _first(table: Table | None, slot: int) -> Table | None:
    found = table.tables(slot) if table else []
    return found[0] if found else None
