"""The number formats: TensorFlow's settings for each, and what is asked of it.

"float16" and "dynamic" store weights in 16 and 8 bits and take and give floats;
"dynamic" also multiplies in 8 bits, with scales found anew for every image.
"int8" computes in 8 bits throughout, with scales found once, on representative
images; its input and output are bytes, as Google's image tools expect.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from drnet_tflite.metadata import INPUT_NAME
from drnet_tflite.native_log import native_log_hidden


@dataclasses.dataclass(frozen=True)
class Format:
    """What is asked of a file of one format.

    Attributes:
      tolerance: greatest difference to Keras, as a share of the output's scale.
        Near a tie, a small error of the logits is a large one of the
        probabilities (0.005 in 16 bits and 0.4 in 8 bits, with the digits'
        network), so for 8 bits it only refuses nonsense: what counts there is
        which class comes first.
      random_images: how many are compared if no images are given.
    """

    tolerance: float
    random_images: int


FORMATS = {
    "float32": Format(tolerance=1e-4, random_images=4),
    "float16": Format(tolerance=5e-2, random_images=16),
    "dynamic": Format(tolerance=1.0, random_images=16),
    "int8": Format(tolerance=1.0, random_images=16),
}


def export(
    model: keras.Model,
    file: Path,
    quantization: str,
    images: np.ndarray | None = None,
) -> None:
    """Converts without any check; the batch is fixed to 1.

    An open batch would surround every Flatten with operators that compute its
    shape while running.

    Args:
      model: takes and gives one bare tensor.
      file: the file to write.
      quantization: one of `FORMATS`.
      images: `(images, *input shape)`, representative; for "int8" only.

    Raises:
      ValueError: TensorFlow cannot convert the model to this format.
    """
    (image,) = model.inputs
    signature = keras.InputSpec(
        dtype=image.dtype, shape=(1, *image.shape[1:]), name=INPUT_NAME
    )
    try:
        with native_log_hidden():
            model.export(
                file,
                format="litert",
                verbose=False,
                input_signature=[signature],
                # Let operators pass that have no LiteRT form; they are named
                # afterwards.
                allow_custom_ops=True,
                **_settings(quantization, images),
            )
    except RuntimeError as error:  # The calibration's; it runs the file.
        raise ValueError(
            f"Model '{model.name}': TensorFlow cannot convert it to "
            f"{quantization} ({' '.join(str(error).split())[:200]}); replace "
            "the layer, or choose another quantization."
        ) from error


def _settings(quantization: str, images: np.ndarray | None) -> dict[str, Any]:
    if quantization == "float32":
        return {}
    settings: dict[str, Any] = {"optimizations": [tf.lite.Optimize.DEFAULT]}
    if quantization == "float16":
        settings["target_spec"] = {"supported_types": [tf.float16]}
    if quantization == "int8":
        integers = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        settings["target_spec"] = {"supported_ops": integers}
        settings["representative_dataset"] = lambda: _one_by_one(images)
        settings["inference_input_type"] = tf.uint8
        settings["inference_output_type"] = tf.uint8
    return settings


def _one_by_one(images: Any) -> Iterator[list[np.ndarray]]:
    for image in images:
        yield [image[None]]
