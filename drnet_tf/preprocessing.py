"""What a trained network expects of raw pixels: (x - mean) / std."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from drnet_tf.datasets import batches

_BLOCK = 64  # images preprocessed at a time


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """Turns raw pixels x in 0..255 into a network's input (x - mean) / std.

    Attributes:
      mean: one number, or one for each channel.
      std: the same, above 0.

    Raises:
      ValueError: values that are not finite, a std that is not above 0, or
        different numbers of channels.

    Example:
      >>> import numpy as np
      >>> preprocessing = Preprocessing(127.5, 127.5)
      >>> preprocessing(np.full((1, 2, 2, 3), 255, np.uint8)).max()
      np.float32(1.0)
    """

    mean: float | tuple[float, ...] = 0.0
    std: float | tuple[float, ...] = 1.0

    def __post_init__(self) -> None:
        mean, std = np.atleast_1d(self.mean), np.atleast_1d(self.std)
        sizes = {mean.size, std.size}
        finite = np.isfinite(mean).all() and np.isfinite(std).all()
        if (
            0 in sizes
            or len(sizes - {1}) > 1
            or not finite
            or not (std > 0).all()
        ):
            raise ValueError(
                f"Preprocessing: got mean {self.mean} and std {self.std}, "
                "expected one finite number or one a channel, std above 0."
            )
        object.__setattr__(self, "mean", tuple(mean.astype(float).tolist()))
        object.__setattr__(self, "std", tuple(std.astype(float).tolist()))

    def __call__(self, images: Any) -> np.ndarray:
        """Returns `(..., channels)` float32 of raw `(..., channels)` pixels.

        Raises:
          ValueError: the images have another number of channels.
        """
        images = np.asarray(images)
        mean = np.asarray(self.mean, np.float32)
        std = np.asarray(self.std, np.float32)
        channels = max(mean.size, std.size)
        if channels > 1 and images.shape[-1:] != (channels,):
            raise ValueError(
                f"Preprocessing: images have shape {images.shape}, expected "
                f"{channels} channels in the last axis."
            )
        normalised: np.ndarray = (images.astype(np.float32) - mean) / std
        return normalised

    def undo(self, images: Any) -> np.ndarray:
        """Returns `(..., channels)` uint8 pixels of preprocessed images.

        Args:
          images: what `__call__` made of uint8 pixels, which come back exactly;
            of others what lies outside 0..255 is cut off.

        Example:
          >>> import numpy as np
          >>> preprocessing = parse_preprocessing("cifar10")
          >>> raw = np.full((1, 1, 3), 77, np.uint8)
          >>> preprocessing.undo(preprocessing(raw)).tolist()
          [[[77, 77, 77]]]
        """
        mean = np.asarray(self.mean, np.float32)
        std = np.asarray(self.std, np.float32)
        pixels = np.rint(np.asarray(images, np.float32) * std + mean)
        return np.clip(pixels, 0, 255).astype(np.uint8)

    def of(self, dataset: Any) -> Iterable[tuple[np.ndarray, np.ndarray]]:
        """Returns a dataset that preprocesses the images of another.

        Args:
          dataset: anything that `drnet_tf.datasets.batches` accepts.

        Returns:
          Re-iterable of batches `(images, labels)`; the float32 images are
          made as they are read, so that only one batch is held at a time.
        """
        return _Preprocessed(self, dataset)


@dataclasses.dataclass(frozen=True, eq=False)
class _Preprocessed:
    preprocessing: Preprocessing
    dataset: Any

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for images, labels in batches(self.dataset, _BLOCK):
            yield self.preprocessing(images), labels


# What well-known public networks were trained with, in units of raw pixels.
PREPROCESSINGS: Mapping[str, Preprocessing] = types.MappingProxyType(
    {
        "none": Preprocessing(0.0, 1.0),
        "unit": Preprocessing(127.5, 127.5),  # -1..1: MobileNet V1, V2
        "zero_one": Preprocessing(0.0, 255.0),
        "efficientnet_lite": Preprocessing(127.0, 128.0),
        "cifar10": Preprocessing((125.3, 123.0, 113.9), (63.0, 62.1, 66.7)),
        "imagenet_torch": Preprocessing(
            (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
        ),
    }
)


def parse_preprocessing(text: str) -> Preprocessing:
    """Reads a preprocessing from a name or from numbers.

    Args:
      text: a name in `PREPROCESSINGS`, or `mean/std` in units of raw pixels,
        each one number or one a channel with commas between.

    Raises:
      ValueError: neither of them.

    Example:
      >>> parse_preprocessing("127,127,127/128")
      Preprocessing(mean=(127.0, 127.0, 127.0), std=(128.0,))
      >>> parse_preprocessing("unit")
      Preprocessing(mean=(127.5,), std=(127.5,))
    """
    if text in PREPROCESSINGS:
        return PREPROCESSINGS[text]
    parts = text.split("/")
    try:
        values = [tuple(map(float, part.split(","))) for part in parts]
    except ValueError:
        values = []
    if len(values) != 2:
        raise ValueError(
            f"Preprocessing '{text}': not known, expected one of "
            f"{', '.join(PREPROCESSINGS)}, or mean/std such as "
            "'127.5/127.5' or '125.3,123.0,113.9/63.0,62.1,66.7'."
        )
    return Preprocessing(*values)
