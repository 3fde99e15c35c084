"""The images of a fine-tuning, held in memory, in random order."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from drnet_tf.datasets import batches
from drnet_tf.image_checks import has_shape
from drnet_tf.top_class import top_class_accuracy

_READ = 256  # images read at a time


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingImages:
    """Images of a sub-task.

    Attributes:
      images: `(N, ...)`.
      labels: `(N, k)` float32, one-hot; zeros where there are none.
    """

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.images)

    @classmethod
    def of(
        cls,
        dataset: Any,
        rows: Sequence[int],
        shape: Sequence[int | None],
        needs_labels: bool,
    ) -> TrainingImages:
        """Reads a dataset.

        Args:
          dataset: images alone as an array, or see `datasets.batches`.
          rows: of the full network's outputs; images of others are left out.
          shape: of an image, as the network reads it.
          needs_labels: whether images alone are refused.

        Raises:
          ValueError: images of another shape, labels are missing, or no image
            is of the sub-task.
        """
        if isinstance(dataset, np.ndarray):
            if needs_labels:
                raise ValueError(
                    "finetune: got images without labels, expected (images, "
                    "labels); or pass label_weight=0."
                )
            _check_shape(dataset, shape)
            pairs = batches((dataset, np.zeros(len(dataset), int)), _READ)
            images = np.concatenate([x for x, _ in pairs])
            return cls(images, np.zeros((len(images), len(rows)), "float32"))
        parts, found = [], []
        for images, labels in batches(dataset, _READ):
            _check_shape(images, shape)
            own = np.isin(labels, list(rows))
            parts.append(images[own])
            found.append(labels[own])
        numbers = np.concatenate(found)
        if not len(numbers):
            raise ValueError(
                f"finetune: no image has one of the labels {list(rows)}, the "
                "rows of the sub-task's classes; pass images of them."
            )
        hot = numbers[:, None] == np.asarray(rows)
        return cls(np.concatenate(parts), hot.astype("float32"))

    def steps(self, batch_size: int) -> int:
        """Batches of an epoch."""
        return -(-len(self) // batch_size)

    def shuffled(
        self, batch_size: int, generator: np.random.Generator
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Batches of images and labels in random order, every image once.

        All batches have the same size, as each other one is traced anew: the
        last one is filled up with first images.
        """
        steps = self.steps(batch_size)
        size = -(-len(self) // steps)
        for rows in np.resize(generator.permutation(len(self)), (steps, size)):
            yield self.images[rows], self.labels[rows]

    def accuracy(self, model: keras.Model) -> float:
        """Share of the images whose highest output is their label's."""
        return top_class_accuracy(
            model, self.images, self.labels.argmax(-1), _READ
        )


def _check_shape(images: np.ndarray, shape: Sequence[int | None]) -> None:
    if not has_shape(images, shape):
        raise ValueError(
            f"finetune: got images of shape {images.shape}, expected "
            f"(N, {', '.join(str(x or 'any') for x in shape)}); resize them as "
            "in training."
        )
