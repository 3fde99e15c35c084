"""Puts names, metadata and labels into a converted model."""

from __future__ import annotations

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from drnet_tflite.metadata import (
    METADATA_NAME,
    OUTPUT_NAME,
    Metadata,
    append_labels,
    pack_metadata,
)

# What LiteRT's schema asks of every buffer (`force_align: 16`).
_ALIGNMENT = 16


def with_metadata(content: bytes, metadata: Metadata) -> bytes:
    """Makes the whole file of a model and what it tells about itself.

    Names the output of its signature "scores", keeps all other metadata, such
    as the version of the runtime that it needs, and moves every buffer to a
    multiple of 16 bytes.

    Args:
      content: a `.tflite` file as TensorFlow's converter makes it, with one
        signature of one output.
      metadata: as `pack_metadata` and `append_labels` take it.
    """
    model = schema.ModelT.InitFromPackedBuf(content)
    (signature,) = model.signatureDefs
    (output,) = signature.outputs
    output.name = OUTPUT_NAME
    entry = schema.MetadataT()
    entry.name = METADATA_NAME
    entry.buffer = len(model.buffers)
    model.metadata = [*(model.metadata or []), entry]
    packed = np.frombuffer(pack_metadata(metadata), np.uint8)
    model.buffers = [
        *(_AlignedBuffer(x.data, x.offset, x.size) for x in model.buffers),
        _AlignedBuffer(packed),
    ]
    builder = flatbuffers.Builder(len(content) + 4096)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return append_labels(bytes(builder.Output()), metadata.labels)


class _AlignedBuffer(schema.BufferT):
    """A buffer whose bytes begin at a multiple of 16.

    The generated code forgets it (google/flatbuffers#8381).
    """

    def Pack(self, builder: flatbuffers.Builder) -> int:
        if self.data is not None:
            builder.Prep(_ALIGNMENT, len(self.data))
        return super().Pack(builder)
