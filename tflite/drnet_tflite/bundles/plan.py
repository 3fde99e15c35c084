"""The slice plan: which numbers and vectors of a file depend on the channels.

`docs/bundle_format.md` has the bytes; `decoding` reads them and `encoding`
writes them.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

FIXED = 0xFFFFFFFF  # the group of what is always kept
MAGIC, VERSION = b"DRNetBdl", 1
FOOTER_BYTES = 24
PLAN_NAME, PROVENANCE_NAME = "drnet_plan.bin", "drnet_bundle.json"
UINT8, FLOAT16 = 0, 1  # encodings of scores
FLOAT_WEIGHTS, HALF_WEIGHTS, INT8_WEIGHTS = 0, 1, 2  # of folds
MAX_DIMENSIONS = 5


@dataclasses.dataclass(frozen=True)
class Segment:
    """A part of an axis: some neighbouring channels of a group.

    Attributes:
      group: its number; the number of groups for the model's outputs; `FIXED`.
      start, length: of the part, in the group.
    """

    group: int
    start: int
    length: int


Axis = tuple[Segment, ...]


@dataclasses.dataclass(frozen=True)
class Vector:
    """Weights, biases or scales of quantisation.

    Attributes:
      field: position in the skeleton of the offset that points to it.
      data: position in the file of the first element.
      element_bytes: 1, 2, 4 or 8.
      counts_elements: whether its length is stored in elements, else in bytes.
      is_parameter: whether it counts as parameters.
      axes: numbers of its axes, in C order.
    """

    field: int
    data: int
    element_bytes: int
    counts_elements: bool
    is_parameter: bool
    axes: tuple[int, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Fold:
    """Biases that take over what dropped channels still say to their reader.

    Attributes:
      biases, weights: numbers of the vectors.
      kind: `FLOAT_WEIGHTS`, `HALF_WEIGHTS` or `INT8_WEIGHTS`.
      constants: `(channels,)` of the weights' last axis, float32 or int32: what
        each channel holds once it is silenced.
    """

    biases: int
    weights: int
    kind: int
    constants: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """All that cutting a sub-network needs besides the file's bytes.

    Attributes:
      skeleton_bytes, skeleton_crc: of the part before the vectors.
      vectors_end, vectors_crc: of the vectors.
      encoding: of the scores, `UINT8` or `FLOAT16`.
      outputs: number of the model's outputs.
      steps: `(groups,)` float32, what one step of a uint8 score stands for.
      class_names: of the K classes.
      class_outputs: the output of each.
      scores: by group `(K, width)` uint8 or float16.
      axes: see `Axis`.
      patches: `(N, 3)` int64: position, factor, axis.
      vectors, folds: see there.
    """

    skeleton_bytes: int
    skeleton_crc: int
    vectors_end: int
    vectors_crc: int
    encoding: int
    outputs: int
    steps: np.ndarray
    class_names: tuple[str, ...]
    class_outputs: tuple[int, ...]
    scores: Sequence[np.ndarray]
    axes: tuple[Axis, ...]
    patches: np.ndarray
    vectors: tuple[Vector, ...]
    folds: tuple[Fold, ...]

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of every group."""
        return tuple(x.shape[1] for x in self.scores)

    def axis_length(self, axis: int) -> int:
        """Of the full network."""
        return sum(x.length for x in self.axes[axis])

    def elements(self, vector: Vector) -> int:
        """Of the full network."""
        return math.prod(self.axis_length(x) for x in vector.axes)
