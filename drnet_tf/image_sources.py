"""Labelled images of TFDS and of folders, opened for reading."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from drnet_tf.image_stream import ImageStream

_SUFFIXES = (".jpg", ".jpeg", ".png")


def open_folder(
    folder: str | os.PathLike[str], split: str, image_shape: Sequence[int]
) -> ImageStream:
    """Opens `folder/<split>/<class>/*.jpg|jpeg|png`, classes sorted by name.

    Images follow each other by class, then by file name. Each is scaled to
    cover `image_shape` (see `fit_image`).

    Args:
      folder: the folder that holds the splits.
      split: name of the folder inside; `"all"` reads
        `folder/<class>/*.jpg|jpeg|png` where there is no folder `all`.
      image_shape: `(height, width, channels)`, 1 or 3 channels.

    Raises:
      ValueError: no such split, no images, an image shape that is not one.
    """
    shape = _checked_shape(image_shape)
    root = _split_folder(Path(folder), split)
    classes = sorted(path.name for path in root.iterdir() if path.is_dir())
    files: list[str] = []
    labels: list[int] = []
    left_out = 0
    for number, name in enumerate(classes):
        found = sorted((root / name).iterdir())
        images = [str(p) for p in found if p.suffix.lower() in _SUFFIXES]
        left_out += len(found) - len(images)
        files += images
        labels += [number] * len(images)
    if not files:
        raise ValueError(
            f"Image folder '{root}': no images found, expected "
            "<class>/*.jpg, .jpeg or .png inside; it holds "
            f"{_listed(classes)}."
        )
    if left_out:
        logging.warning(
            "'%s': %d entries are no .jpg, .jpeg or .png: left out.",
            root,
            left_out,
        )

    def decode(path: tf.Tensor) -> tf.Tensor:
        return fit_image(_decode(tf.io.read_file(path), shape[2]), shape)

    records = tf.data.Dataset.from_tensor_slices(
        (np.array(files), np.array(labels, np.int64))
    )
    return ImageStream(
        records, decode, tuple(classes), len(files), tuple(files)
    )


def open_tfds(
    name: str,
    split: str,
    image_shape: Sequence[int],
    data_dir: str | os.PathLike[str] | None = None,
) -> ImageStream:
    """Opens a prepared image dataset of TensorFlow Datasets; downloads nothing.

    Args:
      name: as in `tfds.load`, for example `"cifar10"`.
      split: as in `tfds.load`, for example `"test"` or `"train[:10%]"`.
      image_shape: `(height, width, channels)`; images of another size are
        scaled (see `fit_image`), grey ones repeated to 3 channels and coloured
        ones turned grey as needed.
      data_dir: the TFDS folder; by default TFDS's own.

    Raises:
      ImportError: tensorflow_datasets is not installed.
      ValueError: an unknown or unprepared dataset, no such split, or a dataset
        that does not hold pairs of a uint8 image and a class.
    """
    shape = _checked_shape(image_shape)
    tfds = _import_tfds()
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except ValueError as error:  # an unknown name, or not shaped as one
        raise ValueError(
            f"Data '{name}': neither a folder nor a dataset of TFDS, expected "
            "a folder of images or a TFDS name such as 'cifar10'."
        ) from error
    if not builder.is_prepared():
        raise ValueError(
            f"TFDS '{name}': not prepared in '{builder.data_dir}'; pass the "
            "data_dir that holds it, or prepare it once with "
            f"`tfds build {name} --data_dir={builder.data_dir_root}`."
        )
    class_names = _class_names(builder, name)
    try:
        count = builder.info.splits[split].num_examples
    except ValueError as error:
        raise ValueError(
            f"TFDS '{name}': no split '{split}', expected one of "
            f"{', '.join(builder.info.splits)}."
        ) from error

    key, _ = builder.info.supervised_keys
    feature = builder.info.features[key]

    def decode(record: tf.Tensor) -> tf.Tensor:
        return fit_image(feature.decode_example(record), shape)

    records = builder.as_dataset(
        split=split,
        as_supervised=True,
        decoders={key: tfds.decode.SkipDecoding()},
        # TFDS would keep small datasets in memory.
        read_config=tfds.ReadConfig(try_autocache=False),
    )
    return ImageStream(records, decode, class_names, count)


def fit_image(image: tf.Tensor, image_shape: Sequence[int]) -> tf.Tensor:
    """Scales an image to cover a size, and crops the middle.

    Both sides are scaled by s = max(height / h, width / w), bilinear with
    antialiasing, and rounded; what stands out of the middle is cut off. An
    image of that size stays as it is, bit by bit.

    Args:
      image: `(h, w, c)` uint8, 1 or 3 channels.
      image_shape: `(height, width, channels)` wanted.

    Returns:
      `(height, width, channels)` uint8.

    Example:
      >>> import numpy as np
      >>> fit_image(np.zeros((20, 40, 3), np.uint8), (10, 10, 1)).shape
      TensorShape([10, 10, 1])
    """
    height, width, channels = image_shape
    image = tf.convert_to_tensor(image)
    if image.shape[-1] != channels:
        convert = (
            tf.image.grayscale_to_rgb
            if channels == 3
            else tf.image.rgb_to_grayscale
        )
        image = convert(image)
    if tuple(image.shape) == tuple(image_shape):
        return image
    wanted = tf.constant([height, width])
    size = tf.shape(image)[:2]
    scale = tf.reduce_max(tf.cast(wanted / size, tf.float64))
    covering = tf.cast(tf.round(tf.cast(size, tf.float64) * scale), tf.int32)
    covering = tf.maximum(covering, wanted)
    scaled = tf.image.resize(image, covering, antialias=True)
    top, left = tf.unstack((covering - wanted) // 2)
    cropped = scaled[top : top + height, left : left + width]
    rounded = tf.clip_by_value(tf.round(cropped), 0, 255)
    return tf.ensure_shape(tf.cast(rounded, tf.uint8), image_shape)


def _decode(data: tf.Tensor, channels: int) -> tf.Tensor:
    """Decodes JPEG or PNG; the accurate method gives every machine's pixels."""
    return tf.io.decode_jpeg(
        data, channels=channels, dct_method="INTEGER_ACCURATE"
    )


def _checked_shape(image_shape: Sequence[int]) -> tuple[int, int, int]:
    shape = tuple(image_shape)
    if len(shape) != 3 or min(shape) < 1 or shape[2] not in (1, 3):
        raise ValueError(
            f"Data: image_shape is {shape}, expected (height, width, channels) "
            "with 1 or 3 channels."
        )
    return shape


def _split_folder(folder: Path, split: str) -> Path:
    if not folder.is_dir():
        raise ValueError(
            f"Image folder '{folder}': no such folder; expected "
            "DIR/<split>/<class>/*.jpg or a TFDS name such as 'cifar10'."
        )
    if split and (folder / split).is_dir():
        return folder / split
    if split == "all":
        return folder
    found = sorted(path.name for path in folder.iterdir() if path.is_dir())
    raise ValueError(
        f"Image folder '{folder}': no split '{split}', found {_listed(found)}; "
        "expected DIR/<split>/<class>/*.jpg; ask for split 'all' where DIR "
        "holds the classes themselves."
    )


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
    return f"the folders {shown}" if names else "no folders"


def _import_tfds() -> Any:
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise ImportError(
            "Reading TFDS data needs tensorflow_datasets; install it with "
            "`pip install drnet_tf[data]`."
        ) from error
    return tfds


def _class_names(builder: Any, name: str) -> tuple[str, ...]:
    """Returns the class names of a dataset of (image, class) pairs."""
    features = builder.info.features
    keys = builder.info.supervised_keys
    if keys is not None and len(keys) == 2:
        image, label = (features[key] for key in keys)
        pictures = getattr(image, "np_dtype", None) == np.uint8
        if pictures and len(image.shape) == 3 and hasattr(label, "names"):
            return tuple(label.names)
    raise ValueError(
        f"TFDS '{name}': holds {features}, expected pairs of a uint8 image and "
        "a class; choose an image classification dataset."
    )
