"""Of the images that are dissected: some of each class, and their scale."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class PixelSums:
    """Number, sum and sum of squares of the pixels of some images."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0

    def plus(self, later: PixelSums) -> PixelSums:
        """These sums and those of images behind these."""
        return PixelSums(
            self.count + later.count,
            self.total + later.total,
            self.squares + later.squares,
        )

    def statistics(self) -> dict[str, float]:
        """Mean and standard deviation of all pixels of all channels."""
        mean = self.total / max(self.count, 1)
        variance = self.squares / max(self.count, 1) - mean**2
        return {"mean": mean, "std": max(variance, 0.0) ** 0.5}


def pixel_sums(images: np.ndarray) -> PixelSums:
    """The sums over images `(n, ...)`, in float64."""
    return PixelSums(
        images.size,
        float(images.sum(dtype=float)),
        float(np.square(images, dtype=float).sum()),
    )


class KeptImages:
    """Keeps the first images of every class.

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

    def add(self, classes: np.ndarray, images: np.ndarray) -> None:
        """Adds a batch: the class `(batch,)` and the pixels of each image."""
        for number, image in zip(classes.tolist(), images, strict=True):
            if len(self._kept[number]) < self._per_class:
                self._kept[number].append(image.copy())

    def images(self) -> np.ndarray | None:
        """`(K, n, ...)`, n as many as all classes have; or None."""
        least = min(map(len, self._kept))
        if not least:
            return None
        return np.stack([np.stack(x[:least]) for x in self._kept])
