"""A few images of every class, to choose thresholds and to measure on."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any

import numpy as np

from drnet_tf.datasets import batches
from drnet_tf.labeled_images import LabeledImages
from drnet_tf.names import class_rows

_READ = 256  # images read at a time


def sample(
    dataset: Any,
    classes: Sequence[str],
    class_names: Sequence[str],
    images_per_class: int,
    *,
    seed: int = 0,
) -> LabeledImages:
    """Draws images of some classes by seed, in one pass over a stream.

    Only the images drawn are held in memory.

    Args:
      dataset: labels numbered in `class_names`; see `datasets.batches`.
      classes: of which images are drawn.
      class_names: all classes.
      images_per_class: at most; a class with fewer gives all it has.
      seed: the same seed draws the same images.

    Returns:
      The images in the dataset's order.

    Raises:
      ValueError: an unknown class, one without images, images or labels that
        are not valid.

    Example:
      >>> data = np.zeros((6, 8, 8, 1), np.uint8), np.array([0, 1, 1, 1, 2, 2])
      >>> sample(data, ("cow",), ("cat", "cow", "dog"), 2).counts()
      {'cat': 0, 'cow': 2, 'dog': 0}
    """
    if images_per_class < 1:
        raise ValueError(
            f"images_per_class: got {images_per_class}, expected 1 or more."
        )
    random = np.random.default_rng(seed)
    # Each image gets a random key; a class keeps those with the largest ones.
    drawn: dict[int, list[tuple[float, int, np.ndarray]]] = {
        row: [] for row in class_rows(classes, class_names)
    }
    first = 0
    for images, labels in batches(dataset, _READ, num_classes=len(class_names)):
        keys = random.random(len(labels)).tolist()
        for i, label in enumerate(labels.tolist()):
            held = drawn.get(label)
            if held is None:
                continue
            if len(held) < images_per_class:
                # Copied, as a view would hold its whole batch.
                heapq.heappush(held, (keys[i], first + i, images[i].copy()))
            elif keys[i] > held[0][0]:
                heapq.heapreplace(held, (keys[i], first + i, images[i].copy()))
        first += len(labels)
    return _collected(drawn, tuple(class_names))


def _collected(
    drawn: dict[int, list[tuple[float, int, np.ndarray]]],
    class_names: tuple[str, ...],
) -> LabeledImages:
    for row, entries in drawn.items():
        if not entries:
            raise ValueError(
                f"Class '{class_names[row]}' has no images in this split, "
                "expected at least one; check the data."
            )
    found = sorted(
        (position, row, image)
        for row, entries in drawn.items()
        for _, position, image in entries
    )
    return LabeledImages(
        np.stack([image for _, _, image in found]),
        np.array([row for _, row, _ in found]),
        class_names,
    )
