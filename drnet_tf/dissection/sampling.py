"""Which images a class is dissected with: drawn by seed, classified rightly.

Gates preserve the class that the network predicts, so an image that it gets
wrong would tell about another class. Datasets are read as streams: what is held
in memory is labels, positions and one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from drnet_tf.datasets import batches
from drnet_tf.progress import DelayedBar

_READ = 256  # images read at a time
# Of more candidates than needed nearly always enough are classified rightly.
_SPARE_SHARE, _SPARE_IMAGES = 1.25, 8


def draw_images(
    predict: Callable[[np.ndarray], np.ndarray],
    dataset: Any,
    class_names: Sequence[str],
    images_per_class: int,
    seed: int,
    *,
    progress: bool = True,
) -> list[np.ndarray]:
    """Draws images of every class among those the network classifies rightly.

    Every class's images are put into a random order by the seed; its first
    `images_per_class` correctly classified ones are taken.

    Args:
      predict: images `(n, ...)` -> predicted class numbers `(n,)`.
      dataset: re-iterable, see `drnet_tf.datasets.batches`.
      class_names: the classes, in the order of the labels.
      images_per_class: number of images of each class.
      seed: decides the order.
      progress: whether to show a bar while the labels are read.

    Returns:
      For each class the positions in the dataset of its images, in the order
      drawn: `(images_per_class,)` int64.

    Raises:
      ValueError: a class has too few images, or too few correct ones; images or
        labels are not valid.
    """
    if images_per_class < 1:
        raise ValueError(
            f"images_per_class: got {images_per_class}, expected 1 or more."
        )
    labels = _read_labels(dataset, len(class_names), progress)
    orders = []
    for number, name in enumerate(class_names):
        found = np.flatnonzero(labels == number)
        if len(found) < images_per_class:
            raise ValueError(
                f"Class '{name}' has {len(found)} images in the dataset, "
                f"expected at least {images_per_class}; add images or pass a "
                "smaller images_per_class."
            )
        random = np.random.default_rng([seed, number])
        orders.append(random.permutation(found))
    correct = np.zeros(len(labels), bool)
    tried = np.zeros(len(labels), bool)
    count = int(images_per_class * _SPARE_SHARE) + _SPARE_IMAGES
    while True:
        wanted = np.zeros(len(labels), bool)
        for order in orders:
            if correct[order].sum() < images_per_class:
                wanted[order[:count]] = True
        wanted &= ~tried
        if not wanted.any():
            break
        for positions, images in stream(dataset, wanted):
            correct[positions] = predict(images) == labels[positions]
        tried |= wanted
        count *= 4
    return [
        _first_correct(order, correct, images_per_class, name)
        for order, name in zip(orders, class_names, strict=True)
    ]


def _first_correct(
    order: np.ndarray, correct: np.ndarray, count: int, name: str
) -> np.ndarray:
    found = order[correct[order]][:count]
    if len(found) < count:
        raise ValueError(
            f"Class '{name}': the network classifies only {len(found)} of its "
            f"{len(order)} images rightly, expected at least {count}; add "
            "images, pass a smaller images_per_class, or check that images "
            "and labels are preprocessed and numbered as the network expects."
        )
    return found


def stream(
    dataset: Any, wanted: np.ndarray, batch_size: int = _READ
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields some images of a dataset, in its order, in full batches.

    Args:
      dataset: see `drnet_tf.datasets.batches`.
      wanted: `(N,)` bool, which of the dataset's N images.
      batch_size: images a batch; the last may be short.

    Yields:
      positions `(n,)` int64 in the dataset and images `(n, ...)`.
    """
    held: list[tuple[np.ndarray, np.ndarray]] = []
    count, first, last = 0, 0, int(np.flatnonzero(wanted)[-1])
    for images, _ in batches(dataset, _READ):
        positions = first + np.flatnonzero(wanted[first : first + len(images)])
        rows = images[positions - first]
        first += len(images)
        while count + len(rows) >= batch_size:
            cut = batch_size - count
            yield _joined([*held, (positions[:cut], rows[:cut])])
            positions, rows = positions[cut:], rows[cut:]
            held, count = [], 0
        if len(rows):
            held.append((positions, rows))
            count += len(rows)
        if first > last:
            break
    if held:
        yield _joined(held)


def _joined(
    parts: list[tuple[np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray]:
    positions, images = zip(*parts, strict=True)
    return np.concatenate(positions), np.concatenate(images)


def _read_labels(dataset: Any, num_classes: int, progress: bool) -> np.ndarray:
    bar = DelayedBar(None, "image")
    labels, done = [], 0
    for _, part in batches(dataset, _READ, num_classes=num_classes):
        labels.append(part)
        done += len(part)
        if progress:
            bar.update(done)
    return np.concatenate(labels)
