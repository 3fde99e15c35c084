"""Batch norms that give a pruned network's channels the full one's moments.

A norm y = gamma (x - m) / sqrt(v) + beta reads x with mean a and variance u in
the pruned network, with mean A and variance U in the full one. With

    r^2 = U / u,   m' = a - (A - m) / r,   v' = v / r^2

its outputs have in the pruned network the mean and variance that they have in
the full one. Where nothing was pruned, r = 1 and m' = m. (Re-estimating m and v
alone would take away what the images of a few classes have in common.)
"""

from __future__ import annotations

import keras
import numpy as np

# A channel that hardly varies any more is not blown up beyond this.
_MAX_FACTOR = 8.0
# Rows whose sum is taken in the array's own type; it fits into the cache.
_ROWS = 2048


class ChannelMoments:
    """Mean and variance of every channel, from parts.

    Args:
      axis: of the channels, counted from the end.
      channels: `(C,)` int, which are taken; None: all.
    """

    def __init__(self, axis: int, channels: np.ndarray | None = None) -> None:
        self._axis, self._channels = axis, channels
        self._count = 0
        self._sum: np.ndarray | float = 0.0
        self._squares: np.ndarray | float = 0.0

    def add(self, part: np.ndarray) -> None:
        """Adds an array, any places by any channels."""
        rows = np.moveaxis(part, self._axis, -1)
        rows = rows.reshape(-1, rows.shape[-1])
        if self._channels is not None:
            rows = rows[:, self._channels]
        self._count += len(rows)
        for start in range(0, len(rows), _ROWS):
            some = rows[start : start + _ROWS]
            ones = np.ones(len(some), some.dtype)
            self._sum = self._sum + (ones @ some).astype(float)
            squares = ones @ np.square(some)
            self._squares = self._squares + squares.astype(float)

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance, `(C,)` float64 each."""
        mean = np.asarray(self._sum / self._count)
        squares = np.asarray(self._squares / self._count)
        return mean, np.maximum(squares - mean**2, 0)


def match_moments(
    layer: keras.layers.BatchNormalization,
    small: tuple[np.ndarray, np.ndarray],
    full: tuple[np.ndarray, np.ndarray],
) -> None:
    """Changes the statistics of a norm so that its outputs' moments match.

    Args:
      layer: of the pruned network.
      small: mean and variance of what it reads, `(C,)` each.
      full: the same in the full network, of its kept channels.
    """
    (mean, variance), (full_mean, full_variance) = small, full
    floor = np.maximum(full_variance / _MAX_FACTOR**2, 1e-12)
    factor = np.sqrt(np.maximum(full_variance, 1e-12))
    factor = factor / np.sqrt(np.maximum(variance, floor))
    # What no longer varies, or never did, keeps its scale.
    factor = np.where((variance > 0) & (full_variance > 0), factor, 1.0)
    old_mean, old_variance = (
        keras.ops.convert_to_numpy(x).astype(float)
        for x in (layer.moving_mean, layer.moving_variance)
    )
    epsilon = layer.epsilon
    scaled = (old_variance + epsilon) / factor**2
    layer.moving_mean.assign(mean - (full_mean - old_mean) / factor)
    layer.moving_variance.assign(np.maximum(scaled - epsilon, 0))


def shift(layer: keras.layers.BatchNormalization, bias: np.ndarray) -> None:
    """Makes a norm add `bias` `(C,)` to what it reads: m' = m - bias."""
    mean = keras.ops.convert_to_numpy(layer.moving_mean)
    layer.moving_mean.assign(mean - bias)


def scale_and_offset(
    layer: keras.layers.BatchNormalization,
) -> tuple[np.ndarray, np.ndarray]:
    """The norm as s x + t: `(C,)` float64 each."""
    mean, variance = (
        keras.ops.convert_to_numpy(x).astype(float)
        for x in (layer.moving_mean, layer.moving_variance)
    )
    scale = 1 / np.sqrt(variance + layer.epsilon)
    if layer.scale:
        scale = scale * keras.ops.convert_to_numpy(layer.gamma)
    offset = -mean * scale
    if layer.center:
        offset = offset + keras.ops.convert_to_numpy(layer.beta)
    return scale, offset
