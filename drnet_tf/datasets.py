"""Labelled images: in memory, from TFDS or folders, and as numpy batches."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

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
        labels = _whole_labels(labels, len(images), first=0)
        _check_range(labels, len(names), first=0)
        for start in range(0, len(images), _FINITE_BLOCK):
            _check_finite(images[start : start + _FINITE_BLOCK], start)
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

    def take(self, images_per_class: int, *, seed: int = 0) -> LabeledImages:
        """Draws as many images of every class that has any, by seed.

        Args:
          images_per_class: images of each class, 1 or more.
          seed: the same seed draws the same images.

        Returns:
          The drawn images in their old order.

        Raises:
          ValueError: a class has fewer images.
        """
        if images_per_class < 1:
            raise ValueError(
                f"LabeledImages.take: images_per_class is {images_per_class}, "
                "expected 1 or more."
            )
        random = np.random.default_rng(seed)
        rows = []
        for number in np.unique(self.labels):
            found = np.flatnonzero(self.labels == number)
            if len(found) < images_per_class:
                raise ValueError(
                    f"LabeledImages.take: class '{self.class_names[number]}' "
                    f"has {len(found)} images, expected {images_per_class} or "
                    "more; ask for fewer images_per_class."
                )
            rows.append(random.choice(found, images_per_class, replace=False))
        return self._rows(np.sort(np.concatenate(rows)) if rows else [])

    def _rows(self, rows: Any) -> LabeledImages:
        rows = np.asarray(rows, np.int64)
        return LabeledImages(
            self.images[rows], self.labels[rows], self.class_names
        )


def batches(
    dataset: Any, batch_size: int, *, num_classes: int | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Turns any accepted dataset into checked numpy batches, in its order.

    Only one batch is held at a time (an array pair or `LabeledImages` lies in
    memory already and is sliced).

    Args:
      dataset: a `tf.data.Dataset` of `(image, label)`, unbatched or batched; a
        tuple `(images, labels)` of arrays; `LabeledImages`; or any re-iterable
        of `(image, label)` pairs, single or batched. Labels are whole numbers,
        one an image (a last axis of length 1 is dropped), not one-hot.
      batch_size: images a batch, 1 or more; batches of another size are cut
        and joined to it.
      num_classes: labels must be below it; `LabeledImages` bring their own.

    Returns:
      Iterator of `(images, labels)`: images `(n, ...)` uint8 where the dataset
      has uint8, else float32; labels `(n,)` int64; n is `batch_size`, except
      in the last batch.

    Raises:
      TypeError: not a dataset, a one-pass iterator, elements that are not
        pairs, values that are not numbers.
      ValueError: an empty or endless dataset; an image with NaN or infinite
        values, a label out of range, an image of another shape, each with its
        position in the dataset.

    Example:
      >>> import numpy as np
      >>> pair = (np.zeros((5, 8, 8, 3), np.uint8), np.arange(5))
      >>> [len(labels) for _, labels in batches(pair, 2)]
      [2, 2, 1]
    """
    if batch_size < 1:
        raise ValueError(
            f"Dataset: batch_size is {batch_size}, expected 1 or more."
        )
    elements = _elements(dataset, batch_size)
    return _joined(_chunks(elements, num_classes), batch_size)


def _elements(dataset: Any, batch_size: int) -> Iterable[Any]:
    """Yields (image, label) elements, batched where that is cheap."""
    if isinstance(dataset, LabeledImages):
        return _slices(dataset.images, dataset.labels, batch_size)
    if isinstance(dataset, tuple) and len(dataset) == 2:
        images, labels = (np.asarray(part) for part in dataset)
        return _slices(images, labels, batch_size)
    if isinstance(dataset, tf.data.Dataset):
        if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
            raise ValueError(
                "Dataset: the tf.data.Dataset is endless, expected one pass "
                "over the images; leave out `.repeat()`."
            )
        return _batched_if_single(dataset, batch_size).as_numpy_iterator()
    if not isinstance(dataset, Iterable):
        raise TypeError(
            f"Dataset: got {type(dataset).__name__}, expected a "
            "tf.data.Dataset, a tuple (images, labels), LabeledImages or a "
            "re-iterable of (image, label) pairs."
        )
    if iter(dataset) is dataset:
        raise TypeError(
            f"Dataset: got a {type(dataset).__name__} that can be read only "
            "once, expected a re-iterable; pass a list, a tf.data.Dataset or "
            "an object with `__iter__`."
        )
    return dataset


def _slices(
    images: np.ndarray, labels: np.ndarray, batch_size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    if images.ndim == 0 or labels.ndim == 0 or len(images) != len(labels):
        raise ValueError(
            f"Dataset: images of shape {images.shape} and labels of shape "
            f"{labels.shape} do not pair, expected one label an image."
        )
    return (
        (images[i : i + batch_size], labels[i : i + batch_size])
        for i in range(0, len(images), batch_size)
    )


def _batched_if_single(
    dataset: tf.data.Dataset, batch_size: int
) -> tf.data.Dataset:
    """Batches single images of one known shape inside tf.data: faster."""
    spec = dataset.element_spec
    if not (isinstance(spec, tuple) and len(spec) == 2):
        return dataset
    shapes = [getattr(part, "shape", None) for part in spec]
    if None in shapes or shapes[1].rank != 0:
        return dataset
    return dataset.batch(batch_size) if shapes[0].is_fully_defined() else dataset


def _chunks(
    elements: Iterable[Any], num_classes: int | None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields checked `(images (n, ...), labels (n,))` of whatever sizes."""
    first = 0
    for element in elements:
        if not (isinstance(element, (tuple, list)) and len(element) == 2):
            raise TypeError(
                f"Dataset: the element at image {first} is a "
                f"{type(element).__name__}, expected an (image, label) pair; "
                "with TFDS load it with `as_supervised=True`."
            )
        images, labels = (np.asarray(part) for part in element)
        if labels.ndim == 0:
            images, labels = images[None], labels[None]
        labels = _whole_labels(labels, len(images) if images.ndim else 0, first)
        if num_classes is not None:
            _check_range(labels, num_classes, first)
        images = _numeric_images(images, first)
        _check_finite(images, first)
        yield images, labels
        first += len(labels)


def _joined(
    chunks: Iterator[tuple[np.ndarray, np.ndarray]], batch_size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Cuts and joins chunks to batches of one size."""
    waiting: list[tuple[np.ndarray, np.ndarray]] = []
    count = 0  # images waiting
    seen = 0
    kind = None
    for images, labels in chunks:
        kind = kind or (images.shape[1:], images.dtype)
        if (images.shape[1:], images.dtype) != kind:
            raise ValueError(
                f"Dataset: image {seen} has shape {images.shape[1:]} and dtype "
                f"{images.dtype}, expected {kind[0]} and {kind[1]} like the "
                "images before it; resize them to one size."
            )
        seen += len(labels)
        while count + len(labels) >= batch_size:
            cut = batch_size - count
            yield _concatenated([*waiting, (images[:cut], labels[:cut])])
            images, labels = images[cut:], labels[cut:]
            waiting, count = [], 0
        if len(labels):
            waiting.append((images, labels))
            count += len(labels)
    if waiting:
        yield _concatenated(waiting)
    if not seen:
        raise ValueError(
            "Dataset: no images in it, expected one or more; check the split "
            "and whether an iterator was used up."
        )


def _concatenated(
    parts: list[tuple[np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray]:
    if len(parts) == 1:
        return parts[0]
    images, labels = zip(*parts, strict=True)
    return np.concatenate(images), np.concatenate(labels)


def _whole_labels(labels: np.ndarray, count: int, first: int) -> np.ndarray:
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or len(labels) != count:
        raise ValueError(
            f"Dataset: labels at image {first} have shape {labels.shape} for "
            f"{count} images, expected one whole number an image; turn one-hot "
            "labels into numbers with `argmax(-1)`."
        )
    if count and labels.dtype.kind not in "iu":
        raise TypeError(
            f"Dataset: labels at image {first} are {labels.dtype}, expected "
            "whole numbers; convert them with `labels.astype(int)`."
        )
    return labels.astype(np.int64)


def _numeric_images(images: np.ndarray, first: int) -> np.ndarray:
    if images.dtype.kind in "OSUMmc":
        raise TypeError(
            f"Dataset: images at image {first} are {images.dtype}, expected "
            "numbers, all images of one shape."
        )
    if images.dtype == np.uint8:
        return images
    return images.astype(np.float32, copy=False)


def _check_range(labels: np.ndarray, num_classes: int, first: int) -> None:
    wrong = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if wrong.size:
        raise ValueError(
            f"Dataset: label {labels[wrong[0]]} of image {first + wrong[0]} is "
            f"out of range, expected 0..{num_classes - 1}; check the class "
            "names and how the labels are numbered."
        )


def _check_finite(images: np.ndarray, first: int) -> None:
    if images.dtype.kind != "f" or np.isfinite(images).all():
        return
    rows = np.isfinite(images).all(axis=tuple(range(1, images.ndim)))
    raise ValueError(
        f"Dataset: image {first + int(np.argmin(rows))} holds NaN or infinite "
        "values, expected finite numbers; repair or leave out that image."
    )


def _check_names(names: tuple[str, ...]) -> None:
    repeated = [n for i, n in enumerate(names) if n in names[:i]]
    if not names or repeated or not all(isinstance(n, str) for n in names):
        raise ValueError(
            f"LabeledImages: class_names are {names}, expected one or more "
            "names, all different."
        )
