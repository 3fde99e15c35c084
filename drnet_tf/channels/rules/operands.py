"""What a merge combines: tensors of the graph, and constants.

A layer has a list of tensors (`Add()([a, b])`), an operator two arguments of
which one may be a number or an array (`x * 2`, `x + bias`).
"""

from __future__ import annotations

import dataclasses
import numbers
from typing import Any

import keras
import numpy as np

from drnet_tf.channels.channel_flow import ChannelFlow
from drnet_tf.graph import Call, TensorRef


@dataclasses.dataclass(frozen=True)
class Operand:
    """One of the things that a merge combines.

    Attributes:
      tensor: its number; None for a constant.
      constant: the number or array; None for a tensor, and for what is neither.
    """

    tensor: int | None = None
    constant: np.ndarray | None = None

    def is_regular(self, rank: int, flow: ChannelFlow) -> bool:
        """Whether its axes are those of an output of that rank."""
        if self.tensor is not None:
            return len(flow.shape(self.tensor)) == rank
        return self.constant is not None and self.constant.ndim <= rank

    def values(self, axis: int, width: int, flow: ChannelFlow) -> np.ndarray:
        """`(width,)` float64: its constant channels, NaN for the others."""
        if self.tensor is not None:
            values = flow.on_axis(self.tensor, axis).values
        else:
            values = _per_channel(self.constant, axis)
        return np.broadcast_to(values, width)

    def cut(self, axis: int, width: int, kept: np.ndarray) -> np.ndarray:
        """A constant with only the kept channels."""
        array = np.asarray(self.constant)
        if array.ndim < -axis or array.shape[axis] != width:
            return array
        return array.take(kept, axis)


def arguments(
    operation: keras.Operation, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> list[Any]:
    """What an operation combines, in its order."""
    given = [*args, *kwargs.values()]
    is_layer = isinstance(operation, keras.layers.Layer)
    return list(given[0]) if is_layer else given


def operands(call: Call) -> list[Operand]:
    """What a call of the full network combines, in its order."""
    return [
        Operand(tensor=x.index)
        if isinstance(x, TensorRef)
        else Operand(constant=_as_array(x))
        for x in arguments(call.operation, call.args, call.kwargs)
    ]


def _as_array(x: Any) -> np.ndarray | None:
    """A number, list, array or tensor as an array; None for anything else."""
    if isinstance(x, numbers.Number | np.ndarray | list | tuple):
        array = np.asarray(x)
    elif not isinstance(x, keras.Variable) and keras.ops.is_tensor(x):
        array = keras.ops.convert_to_numpy(x)
    else:
        return None
    return array if array.dtype.kind in "biuf" else None


def _per_channel(array: np.ndarray | None, axis: int) -> np.ndarray:
    """`(C,)` or `(1,)` float64; NaN where a channel has several values."""
    array = np.asarray(array, "float64")
    if array.ndim < -axis:
        array = array.reshape(*[1] * (-axis - array.ndim), *array.shape)
    rows = np.moveaxis(array, axis, -1).reshape(-1, array.shape[axis])
    return np.where((rows == rows[0]).all(0), rows[0], np.nan)
