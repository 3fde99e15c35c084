"""The images of every update, as functions of seed, epoch and step alone.

So a run that is stopped and goes on sees the same images as one that is not,
without anything about random numbers being kept.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from drnet_tf.augmentation import pad_and_crop
from drnet_tf.image_checks import (
    check_finite,
    check_label_range,
    has_shape,
    numeric_images,
    whole_labels,
)
from drnet_tf.training.settings import Training

_BLOCK = 1024  # images checked at a time, so that the check stays small


def checked_arrays(
    dataset: Any, image_shape: tuple[int | None, ...], num_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of a dataset in memory, refused where they do not suit.

    Args:
      dataset: a tuple `(images, labels)` of arrays, or what has `images` and
        `labels`, such as `LabeledImages`.
      image_shape: of one image, None for a size that may be any.
      num_classes: labels must be below it.

    Returns:
      `(N, ...)` uint8 or float32, and `(N,)` int64.

    Raises:
      TypeError: not such a dataset, values that are not numbers.
      ValueError: no images, another shape, values that are not finite, labels
        that do not pair or are out of range.
    """
    if hasattr(dataset, "images") and hasattr(dataset, "labels"):
        dataset = (dataset.images, dataset.labels)
    if not isinstance(dataset, tuple) or len(dataset) != 2:
        raise TypeError(
            f"train: got a {type(dataset).__name__} as dataset, expected a "
            "tuple (images, labels) of arrays or LabeledImages; read it into "
            "memory with datasets.load_split."
        )
    images, labels = (np.asarray(part) for part in dataset)
    if not images.ndim or not len(images):
        raise ValueError(
            f"train: the images have shape {images.shape}, expected (N, ...) "
            "with one or more of them; check the split."
        )
    images = numeric_images(images, first=0)
    if not has_shape(images, image_shape):
        raise ValueError(
            f"train: the images have shape {images.shape[1:]}, the network "
            f"reads {tuple(image_shape)}; resize them, or build it for theirs."
        )
    for start in range(0, len(images), _BLOCK):
        check_finite(images[start : start + _BLOCK], start)
    labels = whole_labels(labels, len(images), first=0)
    check_label_range(labels, num_classes, first=0)
    return images, labels


def epoch_order(seed: int, epoch: int, count: int) -> np.ndarray:
    """The order of an epoch's images: a permutation of 0 ... count - 1.

    Example:
      >>> sorted(epoch_order(seed=0, epoch=3, count=5).tolist())
      [0, 1, 2, 3, 4]
    """
    # Zeros at the end of a seed count for nothing, so every step has one more.
    return np.random.default_rng([seed, epoch, 0]).permutation(count)


def training_batch(
    images: np.ndarray,
    labels: np.ndarray,
    order: np.ndarray,
    settings: Training,
    epoch: int,
    step: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The images and labels of one update.

    Args:
      images: `(N, ...)`; those of four axes are augmented.
      labels: `(N,)` int.
      order: of this epoch, see `epoch_order`.
      settings: batch size, augmentation and seed.
      epoch, step: which update, both from 0.

    Returns:
      `(n, ...)` float32 and `(n,)` int; n is the batch size, or what is left.
    """
    first = step * settings.batch_size
    rows = order[first : first + settings.batch_size]
    chosen = images[rows]
    if chosen.ndim == 4 and (settings.padding or settings.flip):
        generator = np.random.default_rng([settings.seed, epoch, step + 1])
        chosen = pad_and_crop(
            chosen, generator, settings.padding, flip=settings.flip
        )
    return chosen.astype("float32", copy=False), labels[rows]
