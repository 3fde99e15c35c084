"""Changes to a file's graph: constants, biases and multiplications added."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from drnet_tflite.planning.file_model import FileModel


def add_bias(file: FileModel, reader: str, weights: int, source: int) -> int:
    """Gives a convolution or dense layer that has no biases zeros.

    Args:
      reader: its name.
      weights, source: tensors that it reads.

    Returns:
      The new tensor.
    """
    count = file.shape(weights)[0]
    tensor, buffer = schema.TensorT(), schema.BufferT()
    tensor.name, tensor.shape = (
        f"{reader}/bias".encode(),
        np.array([count], np.int32),
    )
    file.model.buffers.append(buffer)
    tensor.buffer = len(file.model.buffers) - 1
    file.tensors.append(tensor)
    number = len(file.tensors) - 1
    whole = file.dtype(source).kind == "i"
    file.set_values(number, np.zeros(count, "int32" if whole else "float32"))
    if whole:
        scales = np.array(file.tensors[weights].quantization.scale)
        scales = scales * file.tensors[source].quantization.scale[0]
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale = scales.astype(np.float32)
        tensor.quantization.zeroPoint = np.zeros(len(scales), np.int64)
    for place, operator in enumerate(file.operators):
        if operator.name == reader:
            inputs = (*operator.inputs[:2], number)
            file.operators[place] = dataclasses.replace(operator, inputs=inputs)
            file.graph.operators[place].inputs = np.array(inputs, np.int32)
    return number


def make_constant(file: FileModel, tensor: int, values: np.ndarray) -> None:
    """Turns what an operator computes from constants into a constant."""
    buffer = schema.BufferT()
    file.model.buffers.append(buffer)
    file.tensors[tensor].buffer = len(file.model.buffers) - 1
    file.set_values(tensor, values)
    keep = [
        (x, y)
        for x, y in zip(file.graph.operators, file.operators, strict=True)
        if tensor not in y.outputs
    ]
    file.graph.operators = [x for x, _ in keep]
    file.operators = [y for _, y in keep]


def multiply(file: FileModel, tensor: int, mask: np.ndarray) -> int:
    """Puts a multiplication with 0 and 1 behind a tensor.

    Args:
      tensor: a computed one.
      mask: `(C,)` bool.

    Returns:
      The product, which all operators read instead.
    """
    old = file.tensors[tensor]
    product, factor = copy.copy(old), copy.copy(old)
    buffer = schema.BufferT()
    file.model.buffers.append(buffer)
    product.buffer, factor.buffer = 0, len(file.model.buffers) - 1
    product.name = factor.name = old.name + b"/mask"
    factor.shape, factor.shapeSignature = (
        np.array([len(mask)], np.int32),
        None,
    )
    file.tensors += [product, factor]
    number = len(file.tensors) - 2
    one = 1
    if file.dtype(tensor).kind == "i":
        one = 127
        factor.quantization = schema.QuantizationParametersT()
        factor.quantization.scale = np.array([1 / 127], np.float32)
        factor.quantization.zeroPoint = np.array([0], np.int64)
    values = (mask * one).astype(file.dtype(tensor))
    file.set_values(number + 1, values)
    _put_behind(file, tensor, number, number + 1)
    return number


def _put_behind(
    file: FileModel, tensor: int, product: int, factor: int
) -> None:
    """Adds the MUL, and lets the others read its product."""
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.MUL
    code.version = 2  # the first that takes int8
    file.model.operatorCodes.append(code)
    added = schema.OperatorT()
    added.opcodeIndex = len(file.model.operatorCodes) - 1
    added.inputs = np.array([tensor, factor], np.int32)
    added.outputs = np.array([product], np.int32)
    added.builtinOptionsType = schema.BuiltinOptions.MulOptions
    added.builtinOptions = schema.MulOptionsT()
    place = 0
    for number, operator in enumerate(file.graph.operators):
        if tensor in operator.outputs:
            place = number + 1
        operator.inputs = np.where(
            operator.inputs == tensor, product, operator.inputs
        ).astype(np.int32)
    file.graph.operators.insert(place, added)
