"""A `.tflite` file as plain data that may be changed and written again."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

_OPERATORS = {
    number: name
    for name, number in vars(schema.BuiltinOperator).items()
    if isinstance(number, int)
}
_DTYPES = {
    schema.TensorType.FLOAT32: np.float32,
    schema.TensorType.FLOAT16: np.float16,
    schema.TensorType.INT8: np.int8,
    schema.TensorType.UINT8: np.uint8,
    schema.TensorType.INT32: np.int32,
    schema.TensorType.INT64: np.int64,
}


@dataclasses.dataclass(frozen=True)
class Operator:
    """One operator of the file.

    Attributes:
      kind: e.g. "CONV_2D".
      name: of its first output; for messages.
      inputs, outputs: numbers of tensors; -1 for an input left out.
      options: of the operator, as the schema has them.
    """

    kind: str
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Any


class FileModel:
    """The one graph of a `.tflite` file; no two tensors share their values.

    The converter stores equal constants once; here every operator that reads
    one gets its own, as each may keep other channels of it.

    Args:
      content: of the file.

    Attributes:
      model: the schema's objects.
      operators: in the order in which they run.
      tensors: the schema's objects, by number.

    Raises:
      ValueError: the file has several graphs, or an operator of another kind.
    """

    def __init__(self, content: bytes) -> None:
        self.model = schema.ModelT.InitFromPackedBuf(bytearray(content), 0)
        if len(self.model.subgraphs) != 1:
            raise ValueError(
                f"the file has {len(self.model.subgraphs)} graphs, expected one"
            )
        (self._graph,) = self.model.subgraphs
        self.tensors: list[Any] = self._graph.tensors
        self._separate()
        kinds = [_kind(x) for x in self.model.operatorCodes]
        self.operators = [
            Operator(
                kinds[x.opcodeIndex],
                self.name(x.outputs[0]),
                tuple(map(int, x.inputs)),
                tuple(map(int, x.outputs)),
                x.builtinOptions,
            )
            for x in self._graph.operators
        ]

    @property
    def inputs(self) -> list[int]:
        """Numbers of the graph's inputs."""
        return [int(x) for x in self._graph.inputs]

    @property
    def outputs(self) -> list[int]:
        """Numbers of the graph's outputs."""
        return [int(x) for x in self._graph.outputs]

    def set_outputs(self, tensors: Sequence[int]) -> None:
        """Makes other tensors the graph's outputs."""
        self._graph.outputs = np.array(tensors, np.int32)

    def name(self, tensor: int) -> str:
        """A tensor's name, the first of those that were fused."""
        return self.full_name(tensor).split(";")[0]

    def full_name(self, tensor: int) -> str:
        """A tensor's name in the file, which lists all that was fused."""
        return self.tensors[tensor].name.decode()

    def shape(self, tensor: int) -> tuple[int, ...]:
        """A tensor's sizes; () for a scalar."""
        shape = self.tensors[tensor].shape
        return () if shape is None else tuple(int(x) for x in shape)

    def dtype(self, tensor: int) -> np.dtype[Any]:
        """A tensor's type."""
        return np.dtype(_DTYPES[self.tensors[tensor].type])

    def zero_point(self, tensor: int) -> int:
        """The integer that stands for 0; 0 for floats."""
        quantization = self.tensors[tensor].quantization
        if quantization is None or quantization.zeroPoint is None:
            return 0
        return int(quantization.zeroPoint[0])

    def is_constant(self, tensor: int) -> bool:
        """Whether the file holds its values."""
        data = self.model.buffers[self.tensors[tensor].buffer].data
        return data is not None and len(data) > 0

    def values(self, tensor: int) -> np.ndarray:
        """A constant's values, a view: what is written there is in the file."""
        data = self.model.buffers[self.tensors[tensor].buffer].data
        return data.view(self.dtype(tensor)).reshape(self.shape(tensor))

    def set_values(self, tensor: int, values: np.ndarray) -> None:
        """Gives a constant other values of its shape, perhaps another type."""
        types = {np.dtype(v): k for k, v in _DTYPES.items()}
        self.tensors[tensor].type = types[values.dtype]
        buffer = self.model.buffers[self.tensors[tensor].buffer]
        buffer.data = np.frombuffer(values.tobytes(), np.uint8).copy()

    def computed(self) -> set[int]:
        """Numbers of the tensors that depend on the image."""
        found = set(self.inputs)
        for operator in self.operators:
            if found & set(operator.inputs):
                found |= set(operator.outputs)
        return found

    def packed(self) -> bytes:
        """The file's bytes, by the schema's own writer."""
        import flatbuffers

        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def add_bias(self, reader: str, weights: int, source: int) -> int:
        """Gives a convolution or dense layer that has no biases zeros.

        Args:
          reader: its name.
          weights, source: tensors that it reads.

        Returns:
          The new tensor.
        """
        count = self.shape(weights)[0]
        tensor, buffer = schema.TensorT(), schema.BufferT()
        tensor.name, tensor.shape = f"{reader}/bias".encode(), np.int32([count])
        self.model.buffers.append(buffer)
        tensor.buffer = len(self.model.buffers) - 1
        self.tensors.append(tensor)
        number = len(self.tensors) - 1
        whole = self.dtype(source).kind == "i"
        self.set_values(number, np.zeros(count, "int32" if whole else "float32"))
        if whole:
            scales = np.array(self.tensors[weights].quantization.scale)
            scales = scales * self.tensors[source].quantization.scale[0]
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = scales.astype(np.float32)
            tensor.quantization.zeroPoint = np.zeros(len(scales), np.int64)
        for place, operator in enumerate(self.operators):
            if operator.name == reader:
                inputs = (*operator.inputs[:2], number)
                self.operators[place] = dataclasses.replace(
                    operator, inputs=inputs
                )
                self._graph.operators[place].inputs = np.array(inputs, np.int32)
        return number

    def multiply(self, tensor: int, mask: np.ndarray) -> int:
        """Puts a multiplication with 0 and 1 behind a tensor.

        Args:
          tensor: a computed one.
          mask: `(C,)` bool.

        Returns:
          The product, which all operators read instead.
        """
        old = self.tensors[tensor]
        product, factor = copy.copy(old), copy.copy(old)
        buffer = schema.BufferT()
        self.model.buffers.append(buffer)
        product.buffer, factor.buffer = 0, len(self.model.buffers) - 1
        product.name = factor.name = old.name + b"/mask"
        factor.shape, factor.shapeSignature = np.int32([len(mask)]), None
        self.tensors += [product, factor]
        number = len(self.tensors) - 2
        one = 1
        if self.dtype(tensor).kind == "i":
            one = 127
            factor.quantization = schema.QuantizationParametersT()
            factor.quantization.scale = np.float32([1 / 127])
            factor.quantization.zeroPoint = np.int64([0])
        values = (mask * one).astype(self.dtype(tensor))
        self.set_values(number + 1, values)
        self._put_behind(tensor, number, number + 1)
        return number

    def _put_behind(self, tensor: int, product: int, factor: int) -> None:
        """Adds the MUL, and lets the others read its product."""
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = (
            schema.BuiltinOperator.MUL
        )
        code.version = 2  # the first that takes int8
        self.model.operatorCodes.append(code)
        added = schema.OperatorT()
        added.opcodeIndex = len(self.model.operatorCodes) - 1
        added.inputs = np.array([tensor, factor], np.int32)
        added.outputs = np.array([product], np.int32)
        added.builtinOptionsType = schema.BuiltinOptions.MulOptions
        added.builtinOptions = schema.MulOptionsT()
        place = 0
        for number, operator in enumerate(self._graph.operators):
            if tensor in operator.outputs:
                place = number + 1
            operator.inputs = np.where(
                operator.inputs == tensor, product, operator.inputs
            ).astype(np.int32)
        self._graph.operators.insert(place, added)

    def make_constant(self, tensor: int, values: np.ndarray) -> None:
        """Turns what an operator computes from constants into a constant."""
        buffer = schema.BufferT()
        self.model.buffers.append(buffer)
        self.tensors[tensor].buffer = len(self.model.buffers) - 1
        self.set_values(tensor, values)
        keep = [
            (x, y)
            for x, y in zip(
                self._graph.operators, self.operators, strict=True
            )
            if tensor not in y.outputs
        ]
        self._graph.operators = [x for x, _ in keep]
        self.operators = [y for _, y in keep]

    def _separate(self) -> None:
        """Copies what several operators, or tensors, share."""
        self._separate_decoded()
        seen: set[int] = set()
        for operator in self._graph.operators:
            # The packer writes whatever integers it is given.
            inputs = np.array(operator.inputs, np.int32)
            for place, tensor in enumerate(inputs.tolist()):
                if tensor < 0 or not self.is_constant(tensor):
                    continue
                if tensor in seen:
                    self.tensors.append(copy.copy(self.tensors[tensor]))
                    inputs[place] = tensor = len(self.tensors) - 1
                seen.add(tensor)
            operator.inputs = inputs
        owners: set[int] = set()
        for tensor in self.tensors:
            if tensor.buffer in owners and len(
                self.model.buffers[tensor.buffer].data
                if self.model.buffers[tensor.buffer].data is not None
                else ()
            ):
                self.model.buffers.append(
                    copy.copy(self.model.buffers[tensor.buffer])
                )
                tensor.buffer = len(self.model.buffers) - 1
            owners.add(tensor.buffer)
        for tensor in self.tensors:
            tensor.quantization = copy.copy(tensor.quantization)
        for buffer in self.model.buffers:
            if buffer.data is not None:
                buffer.data = np.array(buffer.data, np.uint8)


    def _separate_decoded(self) -> None:
        """Copies operators that decode a constant for several others."""
        operators = []
        for operator in self._graph.operators:
            operators.append(operator)
            (source, *rest), targets = operator.inputs, operator.outputs
            if rest or not self.is_constant(source):
                continue
            readers = [
                x for x in self._graph.operators if targets[0] in x.inputs
            ]
            for reader in readers[1:]:
                again = copy.copy(operator)
                self.tensors.append(copy.copy(self.tensors[targets[0]]))
                number = len(self.tensors) - 1
                again.outputs = np.array([number], np.int32)
                reader.inputs = np.where(
                    reader.inputs == targets[0], number, reader.inputs
                )
                operators.append(again)
        self._graph.operators = operators


def _kind(code: Any) -> str:
    return _OPERATORS[max(code.builtinCode, code.deprecatedBuiltinCode)]
