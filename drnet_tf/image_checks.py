"""The checks that every image and every label passes.

They stand apart so that code which only computes needs no TensorFlow.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def whole_labels(labels: np.ndarray, count: int, first: int) -> np.ndarray:
    """Returns labels as `(count,)` int64, refused where they are not.

    Args:
      labels: `(count,)` or `(count, 1)` whole numbers.
      count: number of images they belong to.
      first: position of the first of them in the dataset, for the message.

    Raises:
      TypeError: labels that are not whole numbers.
      ValueError: labels of another shape, such as one-hot.

    Example:
      >>> import numpy as np
      >>> whole_labels(np.array([[3], [1]], np.uint8), 2, first=0)
      array([3, 1])
    """
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or len(labels) != count:
        raise ValueError(
            f"Dataset: labels at image {first} have shape {labels.shape} for "
            f"{count} images, expected one whole number an image; turn one-hot "
            "labels into numbers with `argmax(-1)`."
        )
    if count and labels.dtype.kind not in "iu":
        raise TypeError(
            f"Dataset: labels at image {first} are {labels.dtype}, expected "
            "whole numbers; convert them with `labels.astype(int)`."
        )
    return labels.astype(np.int64)


def numeric_images(images: np.ndarray, first: int) -> np.ndarray:
    """Returns uint8 images as they are and all other numbers as float32.

    Args:
      images: `(n, ...)`.
      first: position of the first of them in the dataset, for the message.

    Raises:
      TypeError: images that are not numbers.

    Example:
      >>> import numpy as np
      >>> numeric_images(np.zeros((2, 8, 8, 1)), first=0).dtype
      dtype('float32')
    """
    if images.dtype.kind in "OSUMmc":
        raise TypeError(
            f"Dataset: images at image {first} are {images.dtype}, expected "
            "numbers, all images of one shape."
        )
    if images.dtype == np.uint8:
        return images
    return images.astype(np.float32, copy=False)


def has_shape(images: np.ndarray, image_shape: Sequence[int | None]) -> bool:
    """Whether images have the shape that a network reads.

    Args:
      images: `(N, ...)`.
      image_shape: of one image, None for a size that may be any.

    Example:
      >>> import numpy as np
      >>> has_shape(np.zeros((2, 8, 6, 3)), (None, 6, 3))
      True
    """
    return images.ndim == 1 + len(image_shape) and all(
        expected in (None, size)
        for expected, size in zip(image_shape, images.shape[1:], strict=True)
    )


def check_label_range(labels: np.ndarray, num_classes: int, first: int) -> None:
    """Refuses labels outside 0..num_classes - 1, naming the first image.

    Args:
      labels: `(n,)` int64.
      num_classes: number of classes.
      first: position of the first of them in the dataset, for the message.

    Raises:
      ValueError: a label out of range.

    Example:
      >>> import numpy as np
      >>> check_label_range(np.array([0, 2]), 2, first=10)
      Traceback (most recent call last):
      ...
      ValueError: Dataset: label 2 of image 11 is out of range, expected \
0..1; check the class names and how the labels are numbered.
    """
    wrong = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if wrong.size:
        raise ValueError(
            f"Dataset: label {labels[wrong[0]]} of image {first + wrong[0]} is "
            f"out of range, expected 0..{num_classes - 1}; check the class "
            "names and how the labels are numbered."
        )


def check_finite(images: np.ndarray, first: int) -> None:
    """Refuses NaN and infinite pixels, naming the first image that has one.

    Args:
      images: `(n, ...)` numbers.
      first: position of the first of them in the dataset, for the message.

    Raises:
      ValueError: an image with a value that is not finite.

    Example:
      >>> import numpy as np
      >>> check_finite(np.array([[0.0], [np.nan]]), first=10)
      Traceback (most recent call last):
      ...
      ValueError: Dataset: image 11 holds NaN or infinite values, expected \
finite numbers; repair or leave out that image.
    """
    if images.dtype.kind != "f" or np.isfinite(images).all():
        return
    rows = np.isfinite(images).all(axis=tuple(range(1, images.ndim)))
    raise ValueError(
        f"Dataset: image {first + int(np.argmin(rows))} holds NaN or infinite "
        "values, expected finite numbers; repair or leave out that image."
    )
