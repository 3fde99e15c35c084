"""Min-max scaling of what a method measures, as CNN LEGO does it."""

from __future__ import annotations

import numpy as np

EPSILON = 1e-5


def min_max(values: np.ndarray, axis: int) -> np.ndarray:
    """(x - min x) / (max x - min x + 1e-5) along an axis.

    Where all are equal there is nothing to tell apart: they are 1 if positive,
    so that a layer of a single channel does not lose it, else 0.

    Args:
      values: at least 0.
      axis: along which smallest and largest are taken.

    Returns:
      Of the shape of `values`, from 0 to 1.

    Example:
      >>> min_max(np.array([[1.0, 2.0, 3.0], [4.0, 4.0, 4.0]]), 1).round(3)
      array([[0. , 0.5, 1. ],
             [1. , 1. , 1. ]])
    """
    low = values.min(axis, keepdims=True)
    high = values.max(axis, keepdims=True)
    scaled = (values - low) / (high - low + EPSILON)
    return np.where(high > low, scaled, (high > 0) * 1.0)
