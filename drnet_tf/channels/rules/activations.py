"""Activation functions that a layer may carry (`activation="relu"`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

_POINTWISE = frozenset(
    {
        "celu",
        "elu",
        "exponential",
        "gelu",
        "hard_shrink",
        "hard_sigmoid",
        "hard_silu",
        "hard_tanh",
        "leaky_relu",
        "linear",
        "log_sigmoid",
        "mish",
        "relu",
        "relu6",
        "selu",
        "sigmoid",
        "silu",
        "soft_shrink",
        "softplus",
        "softsign",
        "sparse_plus",
        "sparse_sigmoid",
        "squareplus",
        "tanh",
        "tanh_shrink",
        "threshold",
    }
)
_OVER_CHANNELS = frozenset({"softmax", "log_softmax"})


def is_pointwise(activation: Callable[..., Any]) -> bool:
    """Whether every value of the output depends on the same one of the input.

    Functions of other packages do not count: only Keras' own are known.
    """
    return _name(activation) in _POINTWISE


def is_softmax(activation: Callable[..., Any]) -> bool:
    """Whether it is Keras' softmax (or its logarithm) over the last axis."""
    return _name(activation) in _OVER_CHANNELS


def apply(function: Callable[..., Any], values: np.ndarray) -> np.ndarray:
    """A point-wise function of constants; NaN (live) stays NaN.

    Args:
      function: takes and gives a tensor; is called with shape `(1, n)`.
      values: `(C,)` float64, NaN where live.

    Returns:
      `(C,)` float64, NaN also where the result is not finite.
    """
    results = np.full(len(values), np.nan)
    known = ~np.isnan(values)
    if known.any():
        inputs = keras.ops.convert_to_tensor(
            values[known][None].astype("float32")
        )
        found = keras.ops.cast(function(inputs), "float32")
        results[known] = keras.ops.convert_to_numpy(found)[0]
    results[~np.isfinite(results)] = np.nan
    return results


def keeps_zero(function: Callable[..., Any]) -> bool:
    """Whether f(0) = 0 exactly."""
    return bool(apply(function, np.zeros(1))[0] == 0)


def _name(activation: Callable[..., Any]) -> str:
    name = getattr(activation, "__name__", "")
    return name if getattr(keras.activations, name, None) is activation else ""
