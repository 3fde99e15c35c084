"""Runs a float `.tflite` file in float64: what its weights say, unrounded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from drnet_tflite.planning.file_model import FileModel, Operator

Arrays = list[np.ndarray]
_PADDINGS = {schema.Padding.SAME: "same", schema.Padding.VALID: "valid"}


def outputs_in_float64(content: bytes, images: np.ndarray) -> np.ndarray:
    """A file's first output, all of it computed in float64.

    Args:
      content: of a float32 file of convolutions, pooling, sums, products,
        concatenation and dense layers, as DenseNet and ResNet have.
      images: `(N, H, W, C)`.

    Raises:
      ValueError: it has an operator of another kind.
    """
    file = FileModel(content)
    (source,), target = file.inputs, file.outputs[0]
    values = {source: images.astype(float)}
    for operator in file.operators:
        if operator.kind not in _KINDS:
            raise ValueError(
                f"operator '{operator.name}': {operator.kind} is not among "
                f"{', '.join(_KINDS)}."
            )
        inputs = [_value(file, values, x) for x in operator.inputs]
        result = _KINDS[operator.kind](operator, inputs)
        values[operator.outputs[0]] = _activated(operator, result)
    return values[target]


def _value(
    file: FileModel, values: dict[int, np.ndarray], tensor: int
) -> np.ndarray:
    if tensor in values:
        return values[tensor]
    found = file.values(tensor)
    return found.astype(float) if found.dtype.kind == "f" else found


def _activated(operator: Operator, computed: Any) -> np.ndarray:
    result = keras.ops.convert_to_numpy(computed)
    kinds = schema.ActivationFunctionType
    kind = getattr(operator.options, "fusedActivationFunction", kinds.NONE)
    if kind not in (kinds.NONE, kinds.RELU, kinds.RELU6):
        raise ValueError(f"operator '{operator.name}': activation {kind}.")
    if kind == kinds.NONE:
        return result
    return np.clip(result, 0, 6 if kind == kinds.RELU6 else None)


def _convolution(operator: Operator, inputs: Arrays) -> Any:
    x, kernel, bias = inputs
    options = operator.options
    return bias + keras.ops.conv(
        x,
        kernel.transpose(1, 2, 3, 0),  # stored as (out, h, w, in)
        (options.strideH, options.strideW),
        _PADDINGS[options.padding],
        "channels_last",
        (options.dilationHFactor, options.dilationWFactor),
    )


def _pooling(
    pool: Callable[..., Any],
) -> Callable[[Operator, Arrays], Any]:
    def run(operator: Operator, inputs: Arrays) -> Any:
        options = operator.options
        return pool(
            inputs[0],
            (options.filterHeight, options.filterWidth),
            (options.strideH, options.strideW),
            _PADDINGS[options.padding],
            "channels_last",
        )

    return run


_KINDS: dict[str, Callable[[Operator, Arrays], Any]] = {
    "CONV_2D": _convolution,
    "FULLY_CONNECTED": lambda _, x: x[0] @ x[1].T + x[2],
    "MAX_POOL_2D": _pooling(keras.ops.max_pool),
    "AVERAGE_POOL_2D": _pooling(keras.ops.average_pool),
    "MEAN": lambda _, x: x[0].mean(tuple(x[1])),
    "PAD": lambda _, x: np.pad(x[0], x[1]),
    "ADD": lambda _, x: x[0] + x[1],
    "MUL": lambda _, x: x[0] * x[1],
    "CONCATENATION": lambda op, x: np.concatenate(x, op.options.axis),
}
