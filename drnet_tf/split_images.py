"""A split of images by name, so that every worker can open it for itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np

from drnet_tf.datasets import batches, stream_split
from drnet_tf.image_stream import ImageStream
from drnet_tf.preprocessing import Preprocessing


@dataclasses.dataclass(frozen=True)
class SplitImages:
    """Which images to read, and what the network expects of their pixels.

    Plain values: the images themselves are read where they are needed.

    Attributes:
      source, split, data_dir: see `drnet_tf.datasets.stream_split`; folders
        that every worker sees under the same name.
      image_shape: `(height, width, channels)` that the network expects.
      preprocessing: of the pixels 0..255.

    Example:
      >>> images = SplitImages("cifar10", "train", (32, 32, 3))
      >>> images.preprocessing.std
      (1.0,)
    """

    source: str
    split: str
    image_shape: tuple[int, int, int]
    data_dir: str | None = None
    preprocessing: Preprocessing = Preprocessing()

    def open(self) -> ImageStream:
        """The raw pixels; raises as `stream_split` does."""
        return stream_split(
            self.source,
            self.split,
            image_shape=self.image_shape,
            data_dir=self.data_dir,
        )

    def dataset(
        self, stream: ImageStream
    ) -> Iterable[tuple[np.ndarray, np.ndarray]]:
        """Preprocessed batches of an opened split, for `dissect`."""
        return self.preprocessing.of(stream)

    def at(self, stream: ImageStream, positions: np.ndarray) -> np.ndarray:
        """Some images, as `dataset` gives them.

        Args:
          stream: of `open`.
          positions: `(n,)` rising.

        Returns:
          `(n, height, width, channels)` float32.
        """
        some: Any = self.dataset(stream.at(positions))
        images, _ = next(batches(some, len(positions)))
        return images
