"""Refuses a converted file that does not answer as its Keras model does."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import keras
import numpy as np

from drnet_tflite.formats import FORMATS
from drnet_tflite.parity import (
    Difference,
    agreement,
    greatest_difference,
    keras_outputs,
    random_images,
)
from drnet_tflite.runtime import run

# The least share of the images on which a file must put Keras' class first. A
# class counts as Keras' first if Keras scores it less than SLACK of the
# greatest absolute output below its first: networks that are not trained yet
# score all classes alike, and 8 bits cannot tell them apart.
MIN_AGREEMENT = 0.9
SLACK = 0.05


@dataclasses.dataclass(frozen=True)
class Comparison:
    """How a file's answers compare to Keras'.

    Attributes:
      images: number of images.
      agreement: share of them on which both put the same class first.
      max_difference: greatest difference, as a share of the greatest absolute
        output of Keras.
    """

    images: int
    agreement: float
    max_difference: float


def verify(
    file: Path,
    model: keras.Model,
    quantization: str,
    images: np.ndarray | None = None,
) -> Comparison:
    """Compares a file with the model that it was made from.

    Args:
      file: of one input and one output.
      model: takes and gives one bare tensor.
      quantization: of the file, one of `FORMATS`.
      images: `(images, *input shape)`; seeded random ones by default.

    Raises:
      ValueError: the outputs differ by more than the format's tolerance or put
        another class first on too many images, or Keras' own are not finite.
    """
    required, kind = FORMATS[quantization], "representative"
    if images is None:
        images, kind = random_images(model, required.random_images), "random"
    expected = keras_outputs(model, images)
    if not np.isfinite(expected).all():
        raise ValueError(
            f"Model '{model.name}' itself gives NaN or infinite outputs for "
            f"{kind} images, so nothing was converted; check its weights."
        )
    outputs = run(file, images)
    found = greatest_difference(expected, outputs)
    if not found.relative <= required.tolerance:
        raise ValueError(
            f"Model '{model.name}' was not converted: as {quantization} it "
            f"{_where(found, kind)}, expected at most "
            f"{required.tolerance:.0e}; {_way_out(quantization)}."
        )
    alike = agreement(expected, outputs, slack=SLACK)
    if alike < MIN_AGREEMENT:
        raise ValueError(
            f"Model '{model.name}' was not converted: as {quantization} it "
            f"puts Keras' class first on {100 * alike:.0f} % of {len(images)} "
            f"{kind} images, expected at least {100 * MIN_AGREEMENT:.0f} %; "
            f"{_way_out(quantization)}."
        )
    return Comparison(len(images), agreement(expected, outputs), found.relative)


def _where(found: Difference, kind: str) -> str:
    return (
        f"differs from Keras by {found.relative:.1e} of the output's scale, "
        f"most on {kind} image {found.image} at output "
        f"{', '.join(map(str, found.output))} (Keras {found.reference:.6g}, "
        f"LiteRT {found.other:.6g})"
    )


def _way_out(quantization: str) -> str:
    if quantization == "float32":
        return "look for layers that are random or depend on the batch"
    if quantization == "int8":
        return (
            "pass more representative images, or convert with "
            "quantization='dynamic'"
        )
    return "convert with quantization='float32'"
