"""Converts a Keras model to a LiteRT (`.tflite`) file and proves it right."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from drnet_tf.artifacts import check_writable, write_atomically
from drnet_tf.graph import read_graph
from drnet_tf.version import VERSION
from drnet_tflite.arguments import (
    checked_images,
    checked_labels,
    checked_normalisation,
)
from drnet_tflite.embedding import with_metadata
from drnet_tflite.formats import FORMATS, export
from drnet_tflite.loaded_model import LoadedModel
from drnet_tflite.metadata import Metadata, read_metadata
from drnet_tflite.operators import (
    count_operators,
    custom_operators,
    float_operators,
)
from drnet_tflite.report import ConversionReport
from drnet_tflite.verification import Comparison, verify

_SUFFIX = ".tflite"
_COLOR_SPACES = {1: "GRAYSCALE", 3: "RGB"}
_LICENSE = (
    "The weights are under the licence of the network that they were taken "
    "from. drnet_tf, which wrote this file, is under the Apache License 2.0, "
    "https://www.apache.org/licenses/LICENSE-2.0."
)


def convert(
    keras_model: keras.Model,
    path: str | os.PathLike[str],
    *,
    labels: Sequence[str] | None = None,
    quantization: str = "float32",
    representative_images: np.ndarray | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
) -> ConversionReport:
    """Writes a model as a `.tflite` file that was checked against Keras.

    The file has one input "image" with a batch of 1 and one output "scores",
    holds operators of the standard runtime only, and tells about itself in
    TFLite metadata, which `read_metadata` and Google's tools read.

    It is compared with Keras on the CPU before it takes its place: on
    `representative_images`, or on seeded random images (4, or 16 for the
    smaller formats). Where a are the outputs of Keras and b those of LiteRT,
    max |a - b| / max |a| may be

      "float32": 1e-4,
      "float16": 5e-2 (weights of 16 bits: half the size),
      "dynamic": 1 (weights of 8 bits: a quarter of the size),
      "int8":    1 (weights and arithmetic of 8 bits, on bytes in and out),

    and on 90 % of the images the file must put that class first which Keras
    does; one that Keras scores less than 0.05 max |a| below its first counts
    as first, too. If any check fails, nothing is written and what was at
    `path` stays.

    An "int8" file takes bytes q that stand for scale * (q - zero_point), the
    values of the preprocessed image; `drnet_tflite.run` does that by itself.

    Args:
      keras_model: a Functional or Sequential float32 model with one input of
        known shape and one output; it is not changed.
      path: the file to write, `*.tflite`.
      labels: class names, one for each entry of the output's last axis.
      quantization: "float32", "float16", "dynamic" or "int8".
      representative_images: `(images, height, width, channels)`, preprocessed
        as the network was trained. "int8" needs some, of all classes, to find
        its scales; for the others they are what the file is checked on.
      mean, std: of the preprocessing (pixel - mean) / std of pixels in 0..255,
        one number each or one a channel; recorded in the metadata for those
        who run the file. They change nothing that is computed.

    Returns:
      What was written and how well it agrees.

    Raises:
      TypeError: `keras_model` has no graph, or `labels` is not a sequence of
        strings.
      ValueError: an argument or the model is not as described, `path` cannot be
        written, or the file does not agree with Keras.

    Example:
      >>> import tempfile
      >>> inputs = keras.Input((8, 8, 3))
      >>> x = keras.layers.Conv2D(4, 3, activation="relu")(inputs)
      >>> x = keras.layers.GlobalAveragePooling2D()(x)
      >>> model = keras.Model(inputs, keras.layers.Dense(2)(x))
      >>> report = convert(
      ...     model, tempfile.mkdtemp() + "/pets.tflite", labels=["cat", "dog"]
      ... )
      >>> report.input.name, report.output.shape, report.max_difference < 1e-4
      ('image', (1, 2), True)
    """
    path = Path(path)
    if quantization not in FORMATS:
        raise ValueError(
            f"quantization: got {quantization!r}, expected one of "
            f"{', '.join(FORMATS)}."
        )
    _check_model(keras_model)
    images = checked_images(representative_images, keras_model, quantization)
    mean, std = checked_normalisation(mean, std, keras_model)
    metadata = Metadata(
        name=keras_model.name,
        description=f"A {quantization} network, converted by drnet_tf.",
        version=VERSION,
        license=_LICENSE,
        color_space=_color_space(keras_model),
        mean=mean,
        std=std,
        labels=checked_labels(labels, keras_model),
    )
    _check_path(path)
    # The same layers, but called with a bare tensor: a saved model may take
    # and give lists or dicts of one.
    model = keras.Model(
        keras_model.inputs[0], keras_model.outputs[0], name=keras_model.name
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, path.name)
        export(model, file, quantization, images)
        _check_operators(file, model, quantization)
        content = with_metadata(file.read_bytes(), metadata)
        file.write_bytes(content)
        comparison = verify(file, model, quantization, images)
        report = _report(file, path, quantization, comparison)
    write_atomically(path, lambda target: _write(content, target))
    return report


def _check_model(model: keras.Model) -> None:
    graph = read_graph(model)
    for what, numbers in (("input", graph.inputs), ("output", graph.outputs)):
        if len(numbers) != 1:
            raise ValueError(
                f"Model '{model.name}' has {len(numbers)} {what}s, expected "
                "one; convert a keras.Model from the image to the class scores."
            )
    shape = graph.tensors[graph.inputs[0]].shape
    if len(shape) < 2 or None in shape[1:]:
        raise ValueError(
            f"Model '{model.name}': its input has the shape {tuple(shape)}, "
            "but a LiteRT file needs every size besides the batch; call the "
            "model on a keras.Input of the size that the device will use."
        )
    for call in graph.calls:
        dtype = getattr(call.operation, "compute_dtype", None)
        if dtype not in (None, "float32"):
            raise ValueError(
                f"Model '{model.name}': layer '{call.name}' computes in "
                f"{dtype}, expected float32; set layer.dtype_policy = "
                "'float32' for the layers of a copy and convert that."
            )


def _color_space(model: keras.Model) -> str:
    shape = model.inputs[0].shape
    if len(shape) != 4:
        return "UNKNOWN"
    return _COLOR_SPACES.get(shape[-1], "UNKNOWN")


def _check_path(path: Path) -> None:
    if path.suffix != _SUFFIX:
        raise ValueError(
            f"path: got '{path}', expected a name that ends in '{_SUFFIX}'."
        )
    check_writable(path)


def _check_operators(file: Path, model: keras.Model, quantization: str) -> None:
    content = file.read_bytes()
    custom = custom_operators(count_operators(content))
    if custom:
        raise ValueError(
            f"Model '{model.name}': LiteRT has no operator for "
            f"{', '.join(custom)}; replace the layers that need them (a "
            "device's standard runtime could not load the file)."
        )
    floats = float_operators(content) if quantization == "int8" else []
    if floats:
        raise ValueError(
            f"Model '{model.name}': LiteRT has no int8 form of "
            f"{', '.join(floats)}; replace the layers that need them, or "
            "convert with quantization='dynamic'."
        )


def _report(
    file: Path, path: Path, quantization: str, comparison: Comparison
) -> ConversionReport:
    content = file.read_bytes()
    loaded = LoadedModel(file)
    metadata = read_metadata(file)
    return ConversionReport(
        path=str(path),
        bytes=len(content),
        quantization=quantization,
        input=loaded.input,
        output=loaded.output,
        operators=count_operators(content),
        images=comparison.images,
        agreement=comparison.agreement,
        max_difference=comparison.max_difference,
        min_runtime_version=metadata.min_runtime_version,
        labels=metadata.labels,
    )


def _write(content: bytes, target: Path) -> None:
    target.write_bytes(content)
