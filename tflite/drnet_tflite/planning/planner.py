"""From a `.tflite` file and its sites to a bundle's bytes."""

from __future__ import annotations

import dataclasses
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from drnet_tflite.bundles.archive import LABELS, labels_text, stored_archive
from drnet_tflite.bundles.encoding import encode_footer, encode_plan
from drnet_tflite.bundles.plan import (
    FOOTER_BYTES,
    PLAN_NAME,
    PROVENANCE_NAME,
    Axis,
    Fold,
    Plan,
    Vector,
)
from drnet_tflite.planning.canonical import CanonicalFile
from drnet_tflite.planning.channel_labels import ChannelLabels
from drnet_tflite.planning.file_model import FileModel
from drnet_tflite.planning.graph_edits import add_bias, make_constant
from drnet_tflite.planning.groups import Groups, SitePlace
from drnet_tflite.planning.layout import BUFFER, Layout, MovedVector
from drnet_tflite.planning.operator_rules import label_channels
from drnet_tflite.planning.scores import ENCODINGS, Scores
from drnet_tflite.planning.silencing import constants_of_silent, fold_kind

# The sites' places in a file, once its channels are labelled.
PlaceSites = Callable[[FileModel, ChannelLabels], list[SitePlace]]


@dataclasses.dataclass(frozen=True, eq=False)
class Classes:
    """What the bundle is asked for by.

    Attributes:
      names: of the classes that have scores.
      outputs: the model's output of each.
      labels: of all outputs.
    """

    names: tuple[str, ...]
    outputs: tuple[int, ...]
    labels: tuple[str, ...]


class BundlePlanner:
    """Finds out what goes with which channel in one file.

    Args:
      content: of the `.tflite` file.
      place_sites: finds the sites' places.
      images: two or more, of the input's type: what silent channels say is
        measured on them.

    Attributes:
      groups, labels: of the file.
      constants: by reader what silent channels say, where it is not 0.

    Raises:
      ValueError: what cannot be sliced exactly, by name.
    """

    def __init__(
        self,
        content: bytes,
        place_sites: PlaceSites,
        images: Sequence[np.ndarray],
    ) -> None:
        self._file = FileModel(content)
        self.labels = label_channels(self._file)
        places = place_sites(self._file, self.labels)
        (output,) = self._file.outputs
        outputs = self.labels.last[output].atoms
        stuck: list[np.ndarray] = []
        while True:
            self.labels.frozen += stuck
            self.groups = Groups(self.labels, places, outputs)
            self.constants, stuck = constants_of_silent(
                content, self.labels, self.groups, images
            )
            if not stuck:
                break
        if not self.groups.widths:
            raise ValueError(
                "no channel can be removed exactly from this file; convert the "
                "network of each sub-task by itself"
            )

    def write(
        self, scores: Scores, encoding: str, classes: Classes, provenance: Any
    ) -> bytes:
        """The bundle's bytes; can be asked for once.

        Args:
          scores: of the groups.
          encoding: of the scores.
          classes: see there.
          provenance: becomes JSON.
        """
        self._free_biases()
        layout = Layout(self._file, self.labels, self.groups)
        kinds = {
            name: fold_kind(self._file, self.labels, self.labels.readers[name])
            for name in self.constants
        }
        canonical = CanonicalFile(self._file, layout.vectors)
        axes: dict[Axis, int] = {}

        def number_of(axis: Axis) -> int:
            return axes.setdefault(axis, len(axes))

        patches = [
            (canonical.position(x), x.factor, number_of(x.axis))
            for x in layout.numbers
        ]
        vectors = [
            _vector(*x, number_of)
            for x in zip(
                layout.vectors, canonical.fields, canonical.places, strict=True
            )
        ]
        content, skeleton = canonical.content, canonical.skeleton_bytes
        plan = Plan(
            skeleton_bytes=skeleton,
            skeleton_crc=zlib.crc32(content[:skeleton]),
            vectors_end=len(content),
            vectors_crc=zlib.crc32(content[skeleton:]),
            encoding=ENCODINGS[encoding],
            outputs=len(classes.labels),
            steps=scores.steps,
            class_names=classes.names,
            class_outputs=classes.outputs,
            scores=scores.stored,
            axes=tuple(axes),
            patches=np.array(patches, np.int64).reshape(-1, 3),
            vectors=tuple(vectors),
            folds=tuple(self._folds(layout.vectors, kinds)),
        )
        return content + _archive(plan, len(content), classes, provenance)

    def _free_biases(self) -> None:
        """Stores biases as floats that constants are added to."""
        for name in self.constants:
            reader = self.labels.readers[name]
            bias = reader.bias
            if bias < 0:
                bias = add_bias(self._file, name, reader.weights, reader.source)
                self.labels.last[bias] = self.labels.others[reader.weights, 0]
                self.labels.readers[name] = dataclasses.replace(
                    reader, bias=bias
                )
            stored = self.labels.stored.pop(bias, None)
            if stored is not None:
                values = self._file.values(stored).astype(np.float32)
                make_constant(self._file, bias, values)
                self.labels.last.pop(stored, None)

    def _folds(
        self, vectors: Sequence[MovedVector], kinds: Mapping[str, int]
    ) -> list[Fold]:
        number = {
            vector.tensor: place
            for place, vector in enumerate(vectors)
            if vector.part == BUFFER
        }
        folds = []
        for name, constants in self.constants.items():
            reader = self.labels.readers[name]
            weights = self.labels.stored.get(reader.weights, reader.weights)
            folds.append(
                Fold(
                    number[reader.bias], number[weights], kinds[name], constants
                )
            )
        return folds


def _vector(
    moved: MovedVector,
    field: int,
    place: int,
    number_of: Callable[[Axis], int],
) -> Vector:
    in_buffer = moved.part == BUFFER
    return Vector(
        field=field,
        data=place,
        element_bytes=moved.values.itemsize,
        counts_elements=not in_buffer,
        is_parameter=in_buffer,
        axes=tuple(number_of(x) for x in moved.axes),
    )


def _archive(
    plan: Plan, position: int, classes: Classes, provenance: Any
) -> bytes:
    """Labels, provenance and plan behind the file of this length."""
    encoded = encode_plan(plan)
    text = json.dumps(provenance, ensure_ascii=False)
    entries = {
        LABELS: labels_text(classes.labels),
        PROVENANCE_NAME: text.encode(),
        PLAN_NAME: encoded,
    }
    blank = stored_archive(entries, position, bytes(FOOTER_BYTES))
    footer = encode_footer(position + blank.index(encoded), encoded)
    return stored_archive(entries, position, footer)
