"""Shifted and mirrored images, as NumPy arrays."""

from __future__ import annotations

from typing import Literal

import numpy as np


def shift_and_flip(
    images: np.ndarray,
    generator: np.random.Generator,
    share: float = 0.125,
    *,
    axis: int = -1,
) -> np.ndarray:
    """Each image moved by up to a share of its size, half of them mirrored.

    What comes in at the border is the image's own mirror image.

    Args:
      images: `(N, height, width, channels)`, or with channels elsewhere.
      generator: of random numbers.
      share: of height and width, in [0, 1).
      axis: where the channels are.

    Returns:
      New images of the same shape and type.
    """
    images = np.moveaxis(images, axis, -1)
    height, width = images.shape[1:3]
    furthest = int(share * height), int(share * width)
    moved = _moved(images, generator, furthest, "symmetric", flip=True)
    return np.moveaxis(moved, -1, axis)


def pad_and_crop(
    images: np.ndarray,
    generator: np.random.Generator,
    padding: int = 4,
    *,
    flip: bool = True,
) -> np.ndarray:
    """Zeros around each image, and a window of its old size cut out at random.

    With 4 pixels and mirroring the usual augmentation of CIFAR (He et al.,
    "Deep Residual Learning for Image Recognition", arXiv:1512.03385, 4.2).

    Args:
      images: `(N, height, width, channels)`; where 0 is black, the border is.
      generator: of random numbers.
      padding: pixels on each side, 0 or more.
      flip: whether half of the images are mirrored.

    Returns:
      New images of the same shape and type.

    Example:
      >>> ones = np.ones((5, 8, 8, 1), np.uint8)
      >>> moved = pad_and_crop(ones, np.random.default_rng(0), padding=2)
      >>> moved.shape, moved.dtype, bool(moved.sum() < ones.sum())
      ((5, 8, 8, 1), dtype('uint8'), True)
    """
    furthest = padding, padding
    return _moved(images, generator, furthest, "constant", flip=flip)


def _moved(
    images: np.ndarray,
    generator: np.random.Generator,
    furthest: tuple[int, int],
    border: Literal["symmetric", "constant"],
    *,
    flip: bool,
) -> np.ndarray:
    """Images moved by up to so many rows and columns, half of them mirrored."""
    count, height, width = images.shape[:3]
    tall, wide = furthest
    padded = np.pad(
        images, [(0, 0), (tall, tall), (wide, wide), (0, 0)], border
    )
    rows = generator.integers(0, 2 * tall + 1, (count, 1))
    columns = generator.integers(0, 2 * wide + 1, (count, 1))
    rows = rows + np.arange(height)
    columns = columns + np.arange(width)
    if flip:
        mirrored = generator.random(count) < 0.5
        columns[mirrored] = columns[mirrored, ::-1]
    number = np.arange(count)[:, None, None]
    return padded[number, rows[:, :, None], columns[:, None, :]]
