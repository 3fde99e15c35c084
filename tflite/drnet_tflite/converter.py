"""Converts a Keras model to a LiteRT (`.tflite`) file and proves it right."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from drnet_tf.artifacts import check_writable, write_together
from drnet_tf.graph import read_graph
from drnet_tflite.loaded_model import LoadedModel
from drnet_tflite.native_log import native_log_hidden
from drnet_tflite.operators import count_operators, custom_operators
from drnet_tflite.parity import (
    greatest_difference,
    keras_outputs,
    random_images,
)
from drnet_tflite.report import ConversionReport
from drnet_tflite.runtime import run

# Greatest difference to Keras, as a share of the output's scale.
TOLERANCE = 1e-4
_INPUT_NAME = "image"
_PARITY_IMAGES = 4
_SUFFIX = ".tflite"


def convert(
    keras_model: keras.Model,
    path: str | os.PathLike[str],
    *,
    labels: Sequence[str] | None = None,
    quantization: str = "float32",
    representative_images: np.ndarray | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> ConversionReport:
    """Writes a model as a `.tflite` file that was checked against Keras.

    The file has one input named "image" with a batch of 1, holds operators of
    the standard runtime only, and answers as the Keras model does: max |a - b|
    <= 1e-4 max |a| on seeded random images, where a are the outputs of Keras
    on the CPU and b those of LiteRT. If any check fails, nothing is written and
    what was at `path` stays.

    Labels go into `<name>.labels.txt` beside the file, one a line, and into the
    report; they are not yet in the file's own metadata.

    Args:
      keras_model: a Functional or Sequential float32 model with one input of
        known shape and one output; it is not changed.
      path: the file to write, `*.tflite`.
      labels: class names, one for each entry of the output's last axis.
      quantization: "float32", the only format so far.
      representative_images, mean, std: for the formats and the metadata to
        come; must be None.

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
    _check_format(quantization, representative_images, mean, std)
    _check_model(keras_model)
    names = _checked_labels(labels, keras_model)
    labels_path = path.with_suffix(".labels.txt")
    _check_paths(path, labels_path, names)
    # The same layers, but called with a bare tensor: a saved model may take
    # and give lists or dicts of one.
    model = keras.Model(
        keras_model.inputs[0], keras_model.outputs[0], name=keras_model.name
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, path.name)
        _export(model, file)
        operators = _checked_operators(file, model)
        max_difference = _checked_difference(file, path, model)
        loaded = LoadedModel(file)
        report = ConversionReport(
            path=str(path),
            bytes=file.stat().st_size,
            quantization=quantization,
            input=loaded.input,
            output=loaded.output,
            operators=operators,
            max_difference=max_difference,
            labels=names,
            labels_path=str(labels_path) if names else None,
        )
        _place(file, path, labels_path, names)
    return report


def _check_format(
    quantization: str, representative_images: Any, mean: Any, std: Any
) -> None:
    if quantization != "float32":
        raise ValueError(
            f"quantization: got {quantization!r}, expected 'float32', the only "
            "format that this version writes; leave the argument out."
        )
    for name, value in {
        "representative_images": representative_images,
        "mean": mean,
        "std": std,
    }.items():
        if value is not None:
            raise ValueError(
                f"{name}: this version writes float32 files without metadata, "
                "which need no such value; leave the argument out."
            )


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


def _checked_labels(
    labels: Sequence[str] | None, model: keras.Model
) -> tuple[str, ...]:
    if labels is None:
        return ()
    if isinstance(labels, str) or not all(isinstance(x, str) for x in labels):
        raise TypeError(
            f"labels: got {labels!r}, expected a list of strings, one for each "
            "output."
        )
    classes = model.outputs[0].shape[-1]
    if len(labels) != classes:
        raise ValueError(
            f"labels: got {len(labels)}, but model '{model.name}' has "
            f"{classes} outputs; pass one label for each output, in their "
            "order."
        )
    for number, label in enumerate(labels):
        if not label.strip() or len(label.splitlines()) > 1:
            raise ValueError(
                f"labels: number {number} is {label!r}, expected one line of "
                "text; the labels file holds one a line."
            )
    return tuple(labels)


def _check_paths(
    path: Path, labels_path: Path, labels: tuple[str, ...]
) -> None:
    if path.suffix != _SUFFIX:
        raise ValueError(
            f"path: got '{path}', expected a name that ends in '{_SUFFIX}'."
        )
    check_writable(path)
    if labels:
        check_writable(labels_path)
    elif labels_path.exists():
        raise ValueError(
            f"'{labels_path}' holds the labels of an older '{path.name}' and "
            "would be taken for the new file's; pass labels, or remove it."
        )


def _export(model: keras.Model, file: Path) -> None:
    """Converts without any check; the batch is fixed to 1.

    An open batch would surround every Flatten with operators that compute its
    shape while running.
    """
    (image,) = model.inputs
    signature = keras.InputSpec(
        dtype=image.dtype, shape=(1, *image.shape[1:]), name=_INPUT_NAME
    )
    with native_log_hidden():
        model.export(
            file,
            format="litert",
            verbose=False,
            input_signature=[signature],
            # Let operators pass that have no LiteRT form, to be named below.
            allow_custom_ops=True,
        )


def _checked_operators(file: Path, model: keras.Model) -> dict[str, int]:
    operators = count_operators(file.read_bytes())
    custom = custom_operators(operators)
    if custom:
        raise ValueError(
            f"Model '{model.name}': LiteRT has no operator for "
            f"{', '.join(custom)}; replace the layers that need them (a "
            "device's standard runtime could not load the file)."
        )
    return operators


def _checked_difference(file: Path, path: Path, model: keras.Model) -> float:
    images = random_images(model, _PARITY_IMAGES)
    expected = keras_outputs(model, images)
    if not np.isfinite(expected).all():
        raise ValueError(
            f"Model '{model.name}' itself gives NaN or infinite outputs for "
            "random images, so nothing was converted; check its weights."
        )
    found = greatest_difference(expected, run(file, images))
    if not found.relative <= TOLERANCE:
        raise ValueError(
            f"'{path}' was not written: converted, model '{model.name}' "
            f"differs from Keras by {found.relative:.1e} of the output's scale "
            f"(at most {TOLERANCE:.0e}), most on random image {found.image} at "
            f"output {', '.join(map(str, found.output))} (Keras "
            f"{found.reference:.6g}, LiteRT {found.other:.6g}); look for "
            "layers that are random or depend on the batch."
        )
    return found.relative


def _place(
    file: Path, path: Path, labels_path: Path, labels: tuple[str, ...]
) -> None:
    writers: dict[str | os.PathLike[str], Callable[[Path], None]] = {
        path: lambda target: _copy(file, target)
    }
    if labels:
        text = "".join(f"{label}\n" for label in labels)
        writers[labels_path] = lambda target: _write(text, target)
    write_together(writers)


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)


def _write(text: str, target: Path) -> None:
    target.write_text(text, encoding="utf-8")
