"""Which operators a LiteRT model holds, read from its flatbuffer."""

from __future__ import annotations

import collections

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
    model = schema.Model.GetRootAs(content)
    names = [
        _operator_name(model.OperatorCodes(i))
        for i in range(model.OperatorCodesLength())
    ]
    counts: collections.Counter[str] = collections.Counter()
    for number in range(model.SubgraphsLength()):
        graph = model.Subgraphs(number)
        counts.update(
            names[graph.Operators(i).OpcodeIndex()]
            for i in range(graph.OperatorsLength())
        )
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


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


def _operator_name(code: schema.OperatorCode) -> str:
    if code.CustomCode() is not None:
        return _CUSTOM + code.CustomCode().decode()
    # Files older than the 128th operator hold the number in the other field.
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    return _NAMES.get(number, f"{_CUSTOM}operator {number}")
