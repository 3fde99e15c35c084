"""What methods of dissection have in common: a problem in, scores out."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Protocol

import keras
import numpy as np

from drnet_tf.dissection.sampling import stream
from drnet_tf.free_sites import GateSite


class DrawnImages:
    """The images that were drawn for a dissection, read anew each time.

    Args:
      dataset: see `drnet_tf.datasets.batches`.
      drawn: by class the positions of its images; of `sampling.draw_images`.
      batch_size: images of a batch.

    Attributes:
      dataset, drawn: see above.
      classes: `(N,)` int64, the class of each of the dataset's first images; -1
        for those that were not drawn.
    """

    def __init__(
        self, dataset: Any, drawn: Sequence[np.ndarray], batch_size: int
    ) -> None:
        self.dataset, self.drawn = dataset, drawn
        self._batch_size = batch_size
        size = 1 + max(int(positions.max()) for positions in drawn)
        self.classes = np.full(size, -1, np.int64)
        for number, positions in enumerate(drawn):
            self.classes[positions] = number

    def __len__(self) -> int:
        """Number of images."""
        return int((self.classes >= 0).sum())

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields images `(n, ...)` float32 and their classes `(n,)`."""
        wanted = self.classes >= 0
        for positions, images in stream(self.dataset, wanted, self._batch_size):
            yield images.astype(np.float32), self.classes[positions]


@dataclasses.dataclass(frozen=True, eq=False)
class Problem:
    """What a method is to find out about.

    Attributes:
      model: the classifier; it must not be changed.
      sites: whose channels are scored.
      coupling: of the sites, "free" or "tied".
      class_names: in the order of the outputs.
      images: correctly classified ones of every class.
      seed: decides whatever is random.
      batch_size: images run at a time.
      work_dir: folder for what long work keeps; None: nothing is kept.
      progress: whether to show a bar.
    """

    model: keras.Model
    sites: tuple[GateSite, ...]
    coupling: str
    class_names: tuple[str, ...]
    images: DrawnImages
    seed: int
    batch_size: int
    work_dir: str | os.PathLike[str] | None
    progress: bool


class Method(Protocol):
    """A method that scores channels; its fields are its settings.

    A frozen dataclass, checked in `__post_init__`.

    Attributes:
      name: what the importance calls it.
    """

    name: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, Any]]

    def scores(
        self, problem: Problem
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Scores every channel for every class.

        Returns:
          By site `(K, C_l)`, finite, at least 0, higher for channels that
          matter more; and what the method tells about its run, for JSON.

        Raises:
          ValueError: the network lacks what the method needs; says the way out.
        """
        ...
