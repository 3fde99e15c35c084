"""Shifted and mirrored images, as NumPy arrays."""

from __future__ import annotations

import numpy as np


def shift_and_flip(
    images: np.ndarray, generator: np.random.Generator, share: float = 0.125
) -> np.ndarray:
    """Each image moved by up to a share of its size, half of them mirrored.

    What comes in at the border is the image's own mirror image.

    Args:
      images: `(N, height, width, channels)`.
      generator: of random numbers.
      share: of height and width, in [0, 1).

    Returns:
      New images of the same shape and type.
    """
    count, height, width = images.shape[:3]
    tall, wide = (int(share * size) for size in (height, width))
    padded = np.pad(
        images, [(0, 0), (tall, tall), (wide, wide), (0, 0)], "symmetric"
    )
    rows = generator.integers(0, 2 * tall + 1, (count, 1))
    columns = generator.integers(0, 2 * wide + 1, (count, 1))
    rows = rows + np.arange(height)
    columns = columns + np.arange(width)
    mirrored = generator.random(count) < 0.5
    columns[mirrored] = columns[mirrored, ::-1]
    number = np.arange(count)[:, None, None]
    return padded[number, rows[:, :, None], columns[:, None, :]]
