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
        (self.graph,) = self.model.subgraphs
        self.tensors: list[Any] = self.graph.tensors
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
            for x in self.graph.operators
        ]

    @property
    def inputs(self) -> list[int]:
        """Numbers of the graph's inputs."""
        return [int(x) for x in self.graph.inputs]

    @property
    def outputs(self) -> list[int]:
        """Numbers of the graph's outputs."""
        return [int(x) for x in self.graph.outputs]

    def set_outputs(self, tensors: Sequence[int]) -> None:
        """Makes other tensors the graph's outputs."""
        self.graph.outputs = np.array(tensors, np.int32)

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

    def _separate(self) -> None:
        """Copies what several operators, or tensors, share."""
        self._separate_decoded()
        seen: set[int] = set()
        for operator in self.graph.operators:
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
        for operator in self.graph.operators:
            operators.append(operator)
            (source, *rest), targets = operator.inputs, operator.outputs
            if rest or not self.is_constant(source):
                continue
            readers = [
                x for x in self.graph.operators if targets[0] in x.inputs
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
        self.graph.operators = operators


def _kind(code: Any) -> str:
    return _OPERATORS[max(code.builtinCode, code.deprecatedBuiltinCode)]
