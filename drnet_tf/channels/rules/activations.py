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
_LAYERS = (keras.layers.ELU, keras.layers.LeakyReLU, keras.layers.ReLU)
_OVER_CHANNELS = frozenset({"softmax", "log_softmax"})


def is_pointwise(activation: Callable[..., Any]) -> bool:
    """Whether every value of the output depends on the same one of the input.

    Known are Keras' own functions (`keras.activations`, `keras.ops`), its
    layers and TensorFlow's functions of these names; no others count.
    """
    if isinstance(activation, keras.Layer):
        return type(activation) in _LAYERS
    return _name(activation) in _POINTWISE or _is_of_tensorflow(activation)


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
    known = any(
        getattr(room, name, None) is activation
        for room in (keras.activations, keras.ops)
    )
    return name if known else ""


def _is_of_tensorflow(activation: Callable[..., Any]) -> bool:
    """Whether it is `tf.nn.relu` or alike, told without TensorFlow."""
    room = getattr(activation, "__module__", None) or ""
    name = getattr(activation, "__name__", "")
    known = name in _POINTWISE or name == "swish"  # as it calls its silu
    return room.startswith("tensorflow.python.ops.") and known
