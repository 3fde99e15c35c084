"""Labelled images in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from drnet_tf.image_checks import (
    check_finite,
    check_label_range,
    whole_labels,
)

_FINITE_BLOCK = 256  # images checked at a time, so that the check stays small


@dataclasses.dataclass(frozen=True, eq=False)
class LabeledImages:
    """Images of one size in memory, with their labels and the class names.

    Attributes:
      images: `(N, height, width, channels)` uint8 (0..255) or float32 (any
        finite values), in the scale that the network reads.
      labels: `(N,)` int64, positions in `class_names`.
      class_names: one name a class, all different.

    Raises:
      TypeError: labels that are not whole numbers, images that are neither
        uint8 nor float32.
      ValueError: shapes that do not fit, values that are not finite, labels
        out of range, repeated class names.

    Example:
      >>> import numpy as np
      >>> data = LabeledImages(
      ...     np.zeros((3, 8, 8, 1), np.uint8), [0, 1, 1], ("cat", "dog")
      ... )
      >>> data.counts()
      {'cat': 1, 'dog': 2}
    """

    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        images = np.asarray(self.images)
        labels = np.asarray(self.labels)
        names = tuple(self.class_names)
        _check_names(names)
        if images.ndim != 4:
            raise ValueError(
                f"LabeledImages: images have shape {images.shape}, expected "
                "(N, height, width, channels); add the missing axis."
            )
        if images.dtype not in (np.uint8, np.float32):
            raise TypeError(
                f"LabeledImages: images are {images.dtype}, expected uint8 or "
                "float32; convert them with `images.astype`."
            )
        labels = whole_labels(labels, len(images), first=0)
        check_label_range(labels, len(names), first=0)
        for start in range(0, len(images), _FINITE_BLOCK):
            check_finite(images[start : start + _FINITE_BLOCK], start)
        for name, value in (
            ("images", images),
            ("labels", labels),
            ("class_names", names),
        ):
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.labels)

    def counts(self) -> dict[str, int]:
        """Returns the number of images of each class."""
        found = np.bincount(self.labels, minlength=len(self.class_names))
        return dict(zip(self.class_names, found.tolist(), strict=True))

    def as_dataset(self, batch_size: int) -> tf.data.Dataset:
        """Returns batches `(images, labels)` in order, the last may be short.

        TensorFlow keeps one copy of the images.
        """
        slices = tf.data.Dataset.from_tensor_slices((self.images, self.labels))
        return slices.batch(batch_size).prefetch(tf.data.AUTOTUNE)

    def of_classes(self, classes: Sequence[str]) -> LabeledImages:
        """Returns the images of some classes; labels keep their numbers.

        Args:
          classes: names out of `class_names`, in any order.

        Raises:
          ValueError: an unknown class name.
        """
        numbers = []
        for name in classes:
            if name not in self.class_names:
                raise ValueError(
                    f"LabeledImages: no class '{name}', expected names out of "
                    f"{', '.join(self.class_names)}."
                )
            numbers.append(self.class_names.index(name))
        return self._rows(np.flatnonzero(np.isin(self.labels, numbers)))

    def draw(self, images_per_class: int, *, seed: int = 0) -> np.ndarray:
        """Draws as many images of every class that has any, by seed.

        Args:
          images_per_class: images of each class, 1 or more.
          seed: the same seed draws the same images.

        Returns:
          Their positions, int64, rising.

        Raises:
          ValueError: a class has fewer images.
        """
        if images_per_class < 1:
            raise ValueError(
                f"LabeledImages: images_per_class is {images_per_class}, "
                "expected 1 or more."
            )
        random = np.random.default_rng(seed)
        rows = [np.zeros(0, np.int64)]
        for number in np.unique(self.labels):
            found = np.flatnonzero(self.labels == number)
            if len(found) < images_per_class:
                raise ValueError(
                    f"LabeledImages: class '{self.class_names[number]}' has "
                    f"{len(found)} images, expected {images_per_class} or "
                    "more; ask for fewer images_per_class."
                )
            rows.append(random.choice(found, images_per_class, replace=False))
        return np.sort(np.concatenate(rows))

    def take(self, images_per_class: int, *, seed: int = 0) -> LabeledImages:
        """Returns the images that `draw` draws, in their old order."""
        return self._rows(self.draw(images_per_class, seed=seed))

    def split(
        self, images_per_class: int, *, seed: int = 0
    ) -> tuple[LabeledImages, LabeledImages]:
        """Returns the images that `draw` draws, and all others.

        Raises:
          ValueError: a class has fewer images, or nothing is left.
        """
        drawn = self.draw(images_per_class, seed=seed)
        rest = np.setdiff1d(np.arange(len(self)), drawn)
        return self._rows(drawn), self._rows(rest)

    def _rows(self, rows: np.ndarray) -> LabeledImages:
        return LabeledImages(
            self.images[rows], self.labels[rows], self.class_names
        )


def _check_names(names: tuple[str, ...]) -> None:
    repeated = [n for i, n in enumerate(names) if n in names[:i]]
    if not names or repeated or not all(isinstance(n, str) for n in names):
        raise ValueError(
            f"LabeledImages: class_names are {names}, expected one or more "
            "names, all different."
        )
