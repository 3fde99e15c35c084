"""`write_bundle`: one file with a full network and its classes' importance."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from drnet_tf.artifacts import check_writable, write_atomically
from drnet_tf.fingerprints import fingerprint
from drnet_tf.free_sites import GateSite
from drnet_tf.graph import read_graph
from drnet_tf.importance import ChannelImportance
from drnet_tf.sites import sites_for
from drnet_tf.version import VERSION
from drnet_tflite.bundles.bundle import Bundle
from drnet_tflite.converter import convert
from drnet_tflite.parity import random_images
from drnet_tflite.planning.bundle_check import check_bundle
from drnet_tflite.planning.channel_labels import ChannelLabels
from drnet_tflite.planning.file_model import FileModel
from drnet_tflite.planning.groups import SitePlace
from drnet_tflite.planning.operator_rules import label_channels
from drnet_tflite.planning.planner import BundlePlanner, Classes, PlaceSites
from drnet_tflite.planning.scores import ENCODINGS, Scores, store_scores
from drnet_tflite.planning.site_tensors import find_sites, place_sites, steps

# Greatest difference of a sub-network to the masked file, of the scores' scale;
# integers have to be the same.
TOLERANCE = 1e-5
_SUFFIX = ".tflite"


@dataclasses.dataclass(frozen=True)
class BundleReport:
    """What `write_bundle` wrote.

    Attributes:
      path, bytes: of the file.
      quantization: its number format.
      channels: that may go, of all groups.
      frozen: by site the number of channels that always stay.
      folds: layers whose biases take over what silent channels say.
      score_loss: greatest difference of a stored score to the importance.
      max_difference: of two sub-networks to the masked file, as a share of the
        class scores' scale.
    """

    path: str
    bytes: int
    quantization: str
    channels: int
    frozen: Mapping[str, int]
    folds: tuple[str, ...]
    score_loss: float
    max_difference: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        lines = [
            f"{self.path}: {self.bytes:,} bytes, {self.quantization}, "
            f"{self.channels} channels that may go",
            f"  sub-networks differ from the masked file by at most "
            f"{self.max_difference:.1e}, scores from the importance by "
            f"{self.score_loss:.1e}",
        ]
        if self.frozen:
            count = sum(self.frozen.values())
            names = ", ".join(self.frozen)
            lines.append(f"  {count} channels always stay, at {names}")
        return "\n".join(lines)


def write_bundle(
    keras_model: keras.Model,
    importance: ChannelImportance,
    path: str | os.PathLike[str],
    *,
    quantization: str = "float32",
    representative_images: np.ndarray | None = None,
    encoding: str = "uint8",
    labels: Sequence[str] | None = None,
    class_outputs: Sequence[int] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> BundleReport:
    """Writes one `.tflite` file out of which any sub-task can be cut.

    The file runs as the full network; `Bundle` cuts sub-networks out of it,
    without TensorFlow. Channels that can only go together (a residual stage, a
    squeeze-and-excite block and what it scales) are kept if the importance at
    any of their sites says so. Two sub-networks are compared with the masked
    full file before anything is written.

    Args:
      keras_model: as for `convert`; it is not changed.
      importance: its CIVs, of free or tied sites.
      path: the file to write, `*.tflite`.
      quantization: as for `convert`; "dynamic" only for networks without norms
        that stand alone.
      representative_images, mean, std: as for `convert`.
      encoding: of the scores, "uint8" (255 steps for each group) or "float16".
      labels: names of all outputs; None: the importance's classes.
      class_outputs: the output of each of the importance's classes; None: they
        are the outputs, in this order.

    Raises:
      TypeError, ValueError: an argument is not as described, or the network has
        an operator that cannot be sliced exactly, which is named.
    """
    path = Path(path)
    classes = _checked_classes(keras_model, importance, labels, class_outputs)
    if encoding not in ENCODINGS:
        raise ValueError(
            f"encoding: got {encoding!r}, expected one of "
            f"{', '.join(ENCODINGS)}."
        )
    if path.suffix != _SUFFIX:
        raise ValueError(
            f"path: got '{path}', expected a name that ends in '{_SUFFIX}'."
        )
    check_writable(path)
    sites = sites_for(read_graph(keras_model), importance.channels)
    importance.check_sites({x.name: x.channels for x in sites}, keras_model.name)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, path.name)
        options = {
            "quantization": quantization,
            "representative_images": representative_images,
            "mean": mean,
            "std": std,
        }
        convert(keras_model, file, labels=classes.labels, **options)
        float_file = file
        if quantization != "float32":
            float_file = Path(folder, "float.tflite")
            convert(keras_model, float_file)
        try:
            find = _site_finder(keras_model, sites, float_file.read_bytes())
            bundle = _Draft(file.read_bytes(), find, keras_model)
            scores = store_scores(
                importance,
                bundle.planner.groups.entries,
                bundle.planner.groups.widths,
                encoding,
            )
            bundle.write(file, scores, encoding, classes, importance)
            difference = bundle.difference(file, quantization)
        except ValueError as error:
            raise ValueError(
                f"write_bundle: model '{keras_model.name}': {error}."
            ) from error
        _check_difference(difference, quantization, keras_model.name)
        content = file.read_bytes()
    write_atomically(path, lambda target: _write(target, content))
    groups = bundle.planner.groups
    return BundleReport(
        path=str(path),
        bytes=len(content),
        quantization=quantization,
        channels=sum(groups.widths),
        frozen={
            site: gates.count(None)
            for site, gates in groups.entries.items()
            if None in gates
        },
        folds=tuple(bundle.planner.constants),
        score_loss=scores.loss,
        max_difference=difference,
    )


class _Draft:
    """A bundle that is being made of a converted file."""

    def __init__(
        self,
        content: bytes,
        find: PlaceSites,
        model: keras.Model,
    ) -> None:
        self._content, self._model = content, model
        images = random_images(model, 2)
        file = FileModel(content)
        if file.dtype(file.inputs[0]).kind in "iu":
            generator = np.random.default_rng(0)
            images = generator.integers(0, 128, images.shape)
        self._images = images
        self.planner = BundlePlanner(content, find, [images[:1], images[1:]])

    def write(
        self,
        file: Path,
        scores: Scores,
        encoding: str,
        classes: Classes,
        importance: ChannelImportance,
    ) -> None:
        provenance = {
            "package": VERSION,
            "model": self._model.name,
            "fingerprint": fingerprint(self._model),
            "method": importance.method,
            "config": dict(importance.config),
            "score_loss": scores.loss,
            "sites": self.planner.groups.entries,
        }
        file.write_bytes(
            self.planner.write(scores, encoding, classes, provenance)
        )

    def difference(self, file: Path, quantization: str) -> float:
        return check_bundle(
            Bundle(file),
            self._content,
            self.planner.groups,
            self._images,
            plain=quantization == "float16",
        )


def _site_finder(
    model: keras.Model, sites: Sequence[GateSite], float_content: bytes
) -> PlaceSites:
    """Finds the sites in the float32 file; gives what places them in another."""
    file = FileModel(float_content)
    made = find_sites(model, sites, file, label_channels(file))
    shapes = [file.shape(x) for x in steps(file)]

    def place(other: FileModel, labels: ChannelLabels) -> list[SitePlace]:
        return place_sites(sites, made, shapes, other, labels)

    return place


def _check_difference(
    difference: float, quantization: str, name: str
) -> None:
    allowed = 0.0 if quantization == "int8" else TOLERANCE
    if not difference <= allowed:
        raise ValueError(
            f"write_bundle: model '{name}': a sub-network differs from the "
            f"masked network by {difference:.1e} of the scores' scale, at most "
            f"{allowed:.0e} is allowed; nothing was written, convert the "
            "network of each sub-task by itself."
        )


def _checked_classes(
    model: keras.Model,
    importance: ChannelImportance,
    labels: Sequence[str] | None,
    class_outputs: Sequence[int] | None,
) -> Classes:
    names = importance.class_names
    count = model.outputs[0].shape[-1]
    if class_outputs is None:
        if len(names) != count:
            raise ValueError(
                f"write_bundle: model '{model.name}' has {count} outputs, the "
                f"importance {len(names)} classes; pass class_outputs, the "
                "output of each class."
            )
        class_outputs = range(count)
    outputs = tuple(int(x) for x in class_outputs)
    if (
        len(set(outputs)) != len(names)
        or len(outputs) != len(names)
        or not all(0 <= x < count for x in outputs)
    ):
        raise ValueError(
            f"class_outputs: got {outputs}, expected {len(names)} different "
            f"numbers from 0 to {count - 1}, one for each class."
        )
    if labels is None:
        by_output = dict(zip(outputs, names, strict=True))
        labels = [by_output.get(x, f"output {x}") for x in range(count)]
    return Classes(names, outputs, tuple(labels))


def _write(target: Path, content: bytes) -> None:
    target.write_bytes(content)
