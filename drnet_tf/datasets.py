"""Every kind of dataset in, numpy batches out; TFDS and image folders in."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from drnet_tf.image_checks import (
    check_finite,
    check_label_range,
    numeric_images,
    whole_labels,
)
from drnet_tf.image_sources import open_folder, open_tfds
from drnet_tf.image_stream import ImageStream
from drnet_tf.labeled_images import LabeledImages
from drnet_tf.progress import DelayedBar

__all__ = [
    "ImageStream",
    "LabeledImages",
    "batches",
    "load_split",
    "stream_split",
]

_TFDS_NAME = re.compile(r"\w+(/\w[\w.-]*)?(:[\w.*]+)?")


def load_split(
    source: str | os.PathLike[str],
    split: str,
    *,
    image_shape: Sequence[int],
    data_dir: str | os.PathLike[str] | None = None,
    class_names: Sequence[str] | None = None,
) -> LabeledImages:
    """Reads one split of a dataset into memory, as uint8.

    It takes N * height * width * channels bytes; `stream_split` reads the same
    images without holding them.

    Args:
      source: a folder that holds `<split>/<class>/*.jpg|jpeg|png`, or the name
        of a prepared dataset of TensorFlow Datasets such as `"cifar10"`.
        With `data_dir` it is always a TFDS name.
      split: the split's name, such as `"train"` or `"test"`. `"all"` also
        reads a folder that holds the classes themselves.
      image_shape: `(height, width, channels)`; an image of another size is
        scaled to cover it, bilinear with antialiasing, and its middle is
        cropped.
      data_dir: where TFDS keeps its data; by default TFDS's own folder.
      class_names: numbering of the labels; every class of the source must be
        in it. By default the source's own: a folder's classes sorted by name.

    Returns:
      The images in the source's order, which is always the same.

    Raises:
      ImportError: a TFDS name, and tensorflow_datasets is not installed.
      ValueError: a source that is not there or not prepared, no such split, no
        images, a file that is no picture, a class that is not in
        `class_names`.

    Example:
      >>> load_split("no/such/folder", "test", image_shape=(32, 32, 3))
      Traceback (most recent call last):
      ...
      ValueError: Image folder 'no/such/folder': no such folder; expected \
DIR/<split>/<class>/*.jpg or a TFDS name such as 'cifar10'.
    """
    stream = stream_split(
        source,
        split,
        image_shape=image_shape,
        data_dir=data_dir,
        class_names=class_names,
    )
    images = np.empty((len(stream), *image_shape), np.uint8)
    labels = np.empty(len(stream), np.int64)
    bar = DelayedBar(len(stream), "image")
    done = 0
    for part, numbers in stream:
        images[done : done + len(part)] = part
        labels[done : done + len(part)] = numbers
        done += len(part)
        bar.update(done)
    return LabeledImages(images, labels, stream.class_names)


def stream_split(
    source: str | os.PathLike[str],
    split: str,
    *,
    image_shape: Sequence[int],
    data_dir: str | os.PathLike[str] | None = None,
    class_names: Sequence[str] | None = None,
) -> ImageStream:
    """Opens one split for reading as it goes: memory does not grow with it.

    Takes the arguments of `load_split` and gives the same images in the same
    order. The stream is accepted wherever a dataset is; each pass reads and
    decodes the images again.
    """
    if data_dir is None and _names_a_folder(source):
        stream = open_folder(Path(source).expanduser(), split, image_shape)
    else:
        stream = open_tfds(os.fspath(source), split, image_shape, data_dir)
    return stream if class_names is None else stream.renumbered(class_names)


def _names_a_folder(source: str | os.PathLike[str]) -> bool:
    """Tells a folder from a TFDS name (`imagenet_resized/32x32` is one)."""
    path = Path(source).expanduser()
    return (
        path.is_dir()
        or path.is_absolute()
        or not _TFDS_NAME.fullmatch(os.fspath(source))
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
        batched = _batched_if_single(dataset, batch_size)
        elements: Iterable[Any] = batched.as_numpy_iterator()
        return elements
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
    image, label = (getattr(part, "shape", None) for part in spec)
    if image is None or label is None or label.rank != 0:
        return dataset
    return dataset.batch(batch_size) if image.is_fully_defined() else dataset


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
        labels = whole_labels(labels, len(images) if images.ndim else 0, first)
        if num_classes is not None:
            check_label_range(labels, num_classes, first)
        images = numeric_images(images, first)
        check_finite(images, first)
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
