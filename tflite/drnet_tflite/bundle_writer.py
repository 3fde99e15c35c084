"""`write_bundle`: one file with a full network and its classes' importance."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from drnet_tf.artifacts import check_writable, write_atomically
from drnet_tf.importance import ChannelImportance
from drnet_tflite.bundle_report import BundleReport
from drnet_tflite.converter import convert
from drnet_tflite.planning.draft import Draft
from drnet_tflite.planning.planner import Classes
from drnet_tflite.planning.scores import ENCODINGS

# Greatest difference of a sub-network to the masked file, of the scores' scale;
# integers have to be the same.
TOLERANCE = 1e-5
_SUFFIX = ".tflite"


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
    _check_encoding(encoding)
    _check_path(path)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, path.name)
        convert(
            keras_model,
            file,
            labels=classes.labels,
            quantization=quantization,
            representative_images=representative_images,
            mean=mean,
            std=std,
        )
        float_file = file
        if quantization != "float32":  # where the sites are found by values
            float_file = Path(folder, "float.tflite")
            convert(keras_model, float_file)
        try:
            draft = Draft(
                keras_model,
                importance,
                file.read_bytes(),
                float_file.read_bytes(),
            )
            file.write_bytes(draft.bundle(encoding, classes))
            report = draft.report(path, file, quantization)
        except ValueError as error:
            raise ValueError(
                f"write_bundle: model '{keras_model.name}': {error}."
            ) from error
        _check_difference(report, keras_model.name)
        content = file.read_bytes()
    write_atomically(path, lambda target: _write(target, content))
    return report


def _check_encoding(encoding: str) -> None:
    if encoding not in ENCODINGS:
        raise ValueError(
            f"encoding: got {encoding!r}, expected one of "
            f"{', '.join(ENCODINGS)}."
        )


def _check_path(path: Path) -> None:
    if path.suffix != _SUFFIX:
        raise ValueError(
            f"path: got '{path}', expected a name that ends in '{_SUFFIX}'."
        )
    check_writable(path)


def _check_difference(report: BundleReport, name: str) -> None:
    allowed = 0.0 if report.quantization == "int8" else TOLERANCE
    if not report.max_difference <= allowed:
        raise ValueError(
            f"write_bundle: model '{name}': a sub-network differs from the "
            f"masked network by {report.max_difference:.1e} of the scores' "
            f"scale, at most {allowed:.0e} is allowed; nothing was written, "
            "convert the network of each sub-task by itself."
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
