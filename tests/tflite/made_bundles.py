"""Small bundles made by hand: no network, just numbers that can be followed."""

from __future__ import annotations

import json
import zlib

import numpy as np
from drnet_tflite.bundles.archive import labels_text, stored_archive
from drnet_tflite.bundles.encoding import encode_footer, encode_plan
from drnet_tflite.bundles.plan import (
    FIXED,
    FLOAT_WEIGHTS,
    FOOTER_BYTES,
    INT8_WEIGHTS,
    UINT8,
    Fold,
    Plan,
    Segment,
    Vector,
)

CLASSES = ("cat", "dog", "eel")
SKELETON_BYTES = 64


def made_plan(encoding=UINT8, **changes):
    """Two groups of 4 and 2 channels; weights, biases, whole-number weights."""
    scores = [
        np.array([[8, 0, 4, 0], [0, 2, 4, 0], [0, 0, 0, 1]]),
        np.array([[1, 0], [0, 3], [2, 2]]),
    ]
    dtype = np.uint8 if encoding == UINT8 else np.float16
    axes = (
        (Segment(0, 0, 4),),
        (Segment(1, 0, 2),),
        (Segment(FIXED, 0, 2),),
        (Segment(0, 0, 4), Segment(1, 0, 2)),
        (Segment(2, 0, 3),),
    )
    vectors = (
        Vector(16, 80, 4, False, True, (1, 2, 0)),  # 2 x 2 x 4 floats
        Vector(20, 160, 4, False, True, (1,)),  # their biases
        Vector(24, 176, 1, False, True, (4, 3)),  # 3 x 6 bytes
        Vector(28, 208, 4, True, False, (4,)),  # their scales
        Vector(32, 224, 4, False, True, (4,)),  # their biases
    )
    folds = (
        Fold(1, 0, FLOAT_WEIGHTS, np.array([0, 1, 0, 2], np.float32)),
        Fold(4, 2, INT8_WEIGHTS, np.array([0, 0, 5, 0, 0, 7], np.int32)),
    )
    plan = {
        "skeleton_bytes": SKELETON_BYTES,
        "skeleton_crc": 0,
        "vectors_end": 236,
        "vectors_crc": 0,
        "encoding": encoding,
        "outputs": 3,
        "steps": np.array([0.5, 1.0] if encoding == UINT8 else [0, 0], "f4"),
        "class_names": CLASSES,
        "class_outputs": (2, 0, 1),
        "scores": [x.astype(dtype) for x in scores],
        "axes": axes,
        "patches": np.array([[40, 1, 0], [44, 3, 3], [48, 1, 4]]),
        "vectors": vectors,
        "folds": folds,
    }
    return Plan(**plan | changes)


def made_content():
    """Skeleton and vectors: the numbers of each vector count up from 0."""
    content = bytearray(range(SKELETON_BYTES)) + bytearray(236 - SKELETON_BYTES)
    for place, values in (
        (80, np.arange(16, dtype=np.float32)),
        (160, np.arange(2, dtype=np.float32)),
        (176, np.arange(18, dtype=np.int8)),
        (208, np.arange(3, dtype=np.float32)),
        (224, np.arange(3, dtype=np.int32)),
    ):
        content[place : place + values.nbytes] = values.tobytes()
    return bytes(content)


def made_bundle(plan=None, provenance=None):
    """The bytes of a bundle of this plan."""
    content = made_content()
    plan = plan or made_plan()
    checked = vars(plan) | {
        "skeleton_crc": zlib.crc32(content[:SKELETON_BYTES]),
        "vectors_crc": zlib.crc32(content[SKELETON_BYTES:]),
    }
    encoded = encode_plan(Plan(**checked))
    entries = {
        "labels.txt": labels_text(("dog", "eel", "cat")),
        "drnet_bundle.json": json.dumps(provenance or {}).encode(),
        "drnet_plan.bin": encoded,
    }
    blank = stored_archive(entries, len(content), bytes(FOOTER_BYTES))
    footer = encode_footer(len(content) + blank.index(encoded), encoded)
    return content + stored_archive(entries, len(content), footer)
