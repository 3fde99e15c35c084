"""Of the images that are dissected: some of each class, and their scale."""

from __future__ import annotations

import numpy as np


class KeptImages:
    """Keeps the first images of every class, and counts all pixels.

    Args:
      num_classes: K.
      per_class: number of images kept of each.

    Raises:
      ValueError: `per_class` is negative.
    """

    def __init__(self, num_classes: int, per_class: int) -> None:
        if per_class < 0:
            raise ValueError(
                f"keep_images: got {per_class}, expected 0 or more."
            )
        self._per_class = per_class
        self._kept: list[list[np.ndarray]] = [[] for _ in range(num_classes)]
        self._count = 0
        self._sum = self._squares = 0.0

    def add(self, classes: np.ndarray, images: np.ndarray) -> None:
        """Adds a batch: the class `(batch,)` and the pixels of each image."""
        self._count += images.size
        self._sum += float(images.sum(dtype=float))
        self._squares += float(np.square(images, dtype=float).sum())
        for number, image in zip(classes.tolist(), images, strict=True):
            if len(self._kept[number]) < self._per_class:
                self._kept[number].append(image.astype(np.float16))

    def images(self) -> np.ndarray | None:
        """`(K, n, ...)` float16, n as many as all classes have; or None."""
        least = min(map(len, self._kept))
        if not least:
            return None
        return np.stack([np.stack(x[:least]) for x in self._kept])

    def statistics(self) -> dict[str, float]:
        """Mean and standard deviation of all pixels of all channels."""
        mean = self._sum / max(self._count, 1)
        variance = self._squares / max(self._count, 1) - mean**2
        return {"mean": mean, "std": max(variance, 0.0) ** 0.5}
