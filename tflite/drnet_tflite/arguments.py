"""The arguments of a conversion, checked before the long work starts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np


def checked_labels(
    labels: Sequence[str] | None, model: keras.Model
) -> tuple[str, ...]:
    """Class names for the last axis of the model's output; none for None.

    Raises:
      TypeError: `labels` is not a sequence of strings.
      ValueError: another number than the output has, or a name that is not one
        line of text.
    """
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
                "text; the file holds one a line."
            )
    return tuple(labels)


def checked_images(
    images: Any, model: keras.Model, quantization: str
) -> np.ndarray | None:
    """Representative images in the model's input type; None for None.

    Args:
      images: `(images, *input shape)`, preprocessed; "int8" needs some.
      model: the one to convert.
      quantization: the format to write.

    Raises:
      ValueError: they are missing where they are needed, of another shape or
        type, or not finite.
    """
    image = model.inputs[0]
    if quantization == "int8" and image.dtype != "float32":
        raise ValueError(
            f"quantization 'int8': model '{model.name}' takes {image.dtype}, "
            "expected float32 (the file then takes bytes by itself); call the "
            "model on a float32 keras.Input."
        )
    if images is None:
        if quantization == "int8":
            raise ValueError(
                "representative_images: got None, but 'int8' finds its scales "
                "on images; pass some hundred preprocessed images of the "
                "classes, or use quantization='dynamic', which needs none."
            )
        return None
    images = np.asarray(images)
    shape = tuple(image.shape[1:])
    if images.shape[1:] != shape or not len(images):
        raise ValueError(
            f"representative_images: got the shape {images.shape}, but model "
            f"'{model.name}' expects ({', '.join(map(str, ('images', *shape)))}"
            ") with at least one; resize them, or add the first axis to one "
            "image."
        )
    whole = image.dtype != "float32"
    if images.dtype.kind not in "biuf" or (
        whole and not np.can_cast(images.dtype, image.dtype)
    ):
        raise ValueError(
            f"representative_images: got {images.dtype}, but model "
            f"'{model.name}' takes {image.dtype}; convert them with astype."
        )
    if not np.isfinite(images).all():
        raise ValueError(
            "representative_images: some values are NaN or infinite; remove "
            "those images or repair their preprocessing."
        )
    return images.astype(image.dtype, copy=False)


def checked_normalisation(
    mean: Any, std: Any, model: keras.Model
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and std of (pixel - mean) / std; both empty if both are None.

    Args:
      mean, std: one number each, or one for each channel.
      model: the one to convert.

    Raises:
      ValueError: only one is given, a value is not finite, a std is not above
        0, or their number is neither 1 nor that of the channels.
    """
    if mean is None and std is None:
        return (), ()
    if mean is None or std is None:
        raise ValueError(
            f"mean, std: got {mean} and {std}, expected both or neither; "
            "without scaling std is 1, without a shift mean is 0."
        )
    channels = model.inputs[0].shape[-1]
    values = []
    for name, given in (("mean", mean), ("std", std)):
        numbers = np.atleast_1d(np.asarray(given, "float64"))
        if (
            numbers.shape not in ((1,), (channels,))
            or not np.isfinite(numbers).all()
            or (name == "std" and not (numbers > 0).all())
        ):
            raise ValueError(
                f"{name}: got {given}, expected one finite number or one for "
                f"each of the {channels} channels"
                f"{', above 0' if name == 'std' else ''}, in units of pixels "
                "0..255."
            )
        values.append(tuple(numbers.tolist()))
    return values[0], values[1]
