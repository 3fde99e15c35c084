"""Labelled images that are read anew in each pass, or some by position."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

_BLOCK = 64  # images held at a time while streaming


@dataclasses.dataclass(frozen=True, eq=False)
class ImageStream:
    """Labelled images that are read anew in each pass, always in one order.

    Iterating gives batches: images `(n, height, width, channels)` uint8, labels
    `(n,)` int64. Only a few are in memory, however many images there are.

    Attributes:
      records: `(record, label)` of single images, before they are decoded.
      decode: a record -> `(height, width, channels)` uint8.
      class_names: one name a class; labels are positions in it.
      count: number of images.
      files: the file of each image; empty for TFDS.
    """

    records: tf.data.Dataset
    decode: Callable[[tf.Tensor], tf.Tensor]
    class_names: tuple[str, ...]
    count: int
    files: tuple[str, ...] = ()

    @property
    def dataset(self) -> tf.data.Dataset:
        """The same as a `tf.data.Dataset` of single `(image, label)`."""
        return self.records.map(
            lambda record, label: (self.decode(record), label),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        first = 0
        try:
            for images, labels in self.dataset.batch(
                _BLOCK
            ).as_numpy_iterator():
                yield images, labels
                first += len(labels)
        except tf.errors.InvalidArgumentError as error:
            raise ValueError(
                f"Images: {self._damaged(first)} cannot be decoded, expected "
                "a JPEG or PNG picture; repair or remove that file."
            ) from error

    def renumbered(self, class_names: Sequence[str]) -> ImageStream:
        """Returns the stream with labels that are positions in `class_names`.

        Raises:
          ValueError: a class of the stream is not in `class_names`.
        """
        names = tuple(class_names)
        unknown = [name for name in self.class_names if name not in names]
        if unknown:
            raise ValueError(
                f"Data: its class '{unknown[0]}' is not among the class_names "
                f"{', '.join(names[:10])}{', ...' if len(names) > 10 else ''}; "
                "expected a name for every class of the data."
            )
        numbers = np.array([names.index(n) for n in self.class_names], np.int64)
        records = self.records.map(lambda x, y: (x, tf.gather(numbers, y)))
        return dataclasses.replace(self, records=records, class_names=names)

    def at(self, positions: np.ndarray) -> ImageStream:
        """Returns the stream of some images only.

        No other image is decoded. Of a folder no other file is opened; of TFDS
        the records before them are read over.

        Args:
          positions: `(n,)` whole numbers, rising, at least one.

        Raises:
          ValueError: positions that do not rise or are not in the stream.
        """
        positions = np.asarray(positions, np.int64)
        if (
            not positions.size
            or (np.diff(positions) < 1).any()
            or not 0 <= positions[0] <= positions[-1] < self.count
        ):
            raise ValueError(
                f"Images: got the positions {positions[:10].tolist()}, "
                f"expected rising ones out of 0..{self.count - 1}; sort them, "
                "or check that this is the data they were drawn from."
            )
        first, last = int(positions[0]), int(positions[-1])
        near = self.records.skip(first).take(last - first + 1).enumerate()
        records = near.filter(
            lambda number, _: tf.reduce_any(number + first == positions)
        ).map(lambda _, record: record)
        files = tuple(self.files[i] for i in positions) if self.files else ()
        return dataclasses.replace(
            self, records=records, count=len(positions), files=files
        )

    def _damaged(self, first: int) -> str:
        for path in self.files[first : first + _BLOCK]:
            try:
                self.decode(tf.constant(path))
            except tf.errors.InvalidArgumentError:
                return f"'{path}'"
        return f"an image after number {first}"
