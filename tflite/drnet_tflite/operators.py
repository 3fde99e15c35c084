"""Which operators a LiteRT model holds, read from its flatbuffer."""

from __future__ import annotations

import collections
from collections.abc import Iterator

from ai_edge_litert import schema_py_generated as schema

_CUSTOM = "CUSTOM "
_NAMES = {
    code: name
    for name, code in vars(schema.BuiltinOperator).items()
    if isinstance(code, int)
}


def count_operators(content: bytes) -> dict[str, int]:
    """Counts the operators of a `.tflite` file by name.

    Args:
      content: the whole file, undamaged.

    Returns:
      How often each operator stands in the file, the most frequent first, e.g.
      `{"CONV_2D": 13, "MAX_POOL_2D": 5}`. Operators that need code beyond the
      standard runtime are named `CUSTOM <name>`, TensorFlow's own ("Flex")
      operators among them as `CUSTOM Flex<name>`.

    Raises:
      ValueError: `content` is no LiteRT model.

    Example:
      >>> count_operators(b"a text file")
      Traceback (most recent call last):
      ...
      ValueError: content: 11 bytes that are no LiteRT model; expected a whole \
.tflite file.
    """
    if content[4:8] != b"TFL3":
        raise ValueError(
            f"content: {len(content)} bytes that are no LiteRT model; expected "
            "a whole .tflite file."
        )
    counts = collections.Counter(name for name, _ in _operators(content))
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def float_operators(content: bytes) -> list[str]:
    """The operators that compute floats in a file that should know integers.

    Args:
      content: the whole file, undamaged.

    Returns:
      The names of operators whose outputs are floats, each once. TensorFlow
      leaves those in floats that have no form in integers, between a DEQUANTIZE
      and a QUANTIZE.
    """
    return sorted(
        {
            name
            for name, types in _operators(content)
            if schema.TensorType.FLOAT32 in types and name != "DEQUANTIZE"
        }
    )


def custom_operators(operators: dict[str, int]) -> list[str]:
    """The operators that the standard runtime lacks.

    Args:
      operators: as `count_operators` gives them.

    Returns:
      Their names without `CUSTOM`.

    Example:
      >>> custom_operators({"CONV_2D": 2, "CUSTOM FlexErf": 1})
      ['FlexErf']
    """
    return [
        name.removeprefix(_CUSTOM)
        for name in operators
        if name.startswith(_CUSTOM)
    ]


def _operators(content: bytes) -> Iterator[tuple[str, list[int]]]:
    """The name of every operator and the types of its outputs."""
    model = schema.Model.GetRootAs(content)
    names = [
        _operator_name(model.OperatorCodes(i))
        for i in range(model.OperatorCodesLength())
    ]
    for number in range(model.SubgraphsLength()):
        graph = model.Subgraphs(number)
        for i in range(graph.OperatorsLength()):
            operator = graph.Operators(i)
            outputs = map(operator.Outputs, range(operator.OutputsLength()))
            types = [graph.Tensors(x).Type() for x in outputs]
            yield names[operator.OpcodeIndex()], types


def _operator_name(code: schema.OperatorCode) -> str:
    if code.CustomCode() is not None:
        return _CUSTOM + code.CustomCode().decode()
    # Files older than the 128th operator hold the number in the other field.
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    return _NAMES.get(number, f"{_CUSTOM}operator {number}")
