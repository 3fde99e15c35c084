"""How channels flow through the operators of a `.tflite` file.

One function for each family. What none of them can follow exactly is refused
by name.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from drnet_tflite.planning.channel_labels import (
    ChannelLabels,
    Dimension,
    Reader,
)
from drnet_tflite.planning.file_model import FileModel, Operator

Rule = Callable[[FileModel, Operator, ChannelLabels], None]

SAME_CHANNELS = (
    "ABS", "AVERAGE_POOL_2D", "DEQUANTIZE", "ELU", "EXP", "GELU", "HARD_SWISH",
    "LEAKY_RELU", "LOGISTIC", "MAX_POOL_2D", "NEG", "QUANTIZE", "RELU", "RELU6",
    "RELU_0_TO_1", "RELU_N1_TO_1", "RESIZE_BILINEAR",
    "RESIZE_NEAREST_NEIGHBOR", "RSQRT", "SQRT", "SQUARE", "TANH",
)  # fmt: skip
ELEMENTWISE = (
    "ADD", "DIV", "MAXIMUM", "MINIMUM", "MUL", "SQUARED_DIFFERENCE", "SUB",
)  # fmt: skip


def label_channels(file: FileModel) -> ChannelLabels:
    """Follows the channels from the inputs to the outputs.

    Raises:
      ValueError: an operator that cannot be sliced exactly, by name.
    """
    labels = ChannelLabels()
    for tensor in file.inputs:
        labels.new(tensor, file.shape(tensor)[-1])
        labels.freeze(tensor)
    for operator in file.operators:
        rule = _RULES.get(operator.kind)
        if rule is None:
            raise _refused(operator, "has no rule by which it can be sliced")
        rule(file, operator, labels)
    _label_stored(file, labels)
    return labels


def _label_stored(file: FileModel, labels: ChannelLabels) -> None:
    """Gives weights that are stored in half precision their channels."""
    for operator in file.operators:
        source, target = operator.inputs[0], operator.outputs[0]
        if operator.kind != "DEQUANTIZE" or not file.is_constant(source):
            continue
        labels.stored[target] = source
        if target in labels.last:
            labels.last[source] = labels.last[target]
        if (target, 0) in labels.others:
            labels.others[source, 0] = labels.others[target, 0]


def _same(file: FileModel, operator: Operator, labels: ChannelLabels) -> None:
    source, target = operator.inputs[0], operator.outputs[0]
    if source in labels.last:
        labels.last[target] = labels.last[source]


def _dequantize(
    file: FileModel, operator: Operator, labels: ChannelLabels
) -> None:
    """Stored weights get their channels where they are read."""
    if not file.is_constant(operator.inputs[0]):
        _same(file, operator, labels)


def _convolution(
    file: FileModel, operator: Operator, labels: ChannelLabels
) -> None:
    source, weights, *rest = operator.inputs
    bias = rest[0] if rest else -1
    read = labels.last[source]
    outputs, *_, inputs = file.shape(weights)
    if inputs != read.repeats * len(read.atoms):
        raise _refused(operator, "is a grouped convolution")
    made = labels.new(operator.outputs[0], outputs)
    labels.last[weights] = read
    labels.others[weights, 0] = made
    if bias >= 0:
        labels.last[bias] = made
    pads = (
        operator.kind == "CONV_2D"
        and operator.options.padding == schema.Padding.SAME
        and max(file.shape(weights)[1:3]) > 1
    )
    labels.readers[operator.name] = Reader(
        operator.kind, source, weights, bias, pads
    )


def _depthwise(
    file: FileModel, operator: Operator, labels: ChannelLabels
) -> None:
    source, weights, *rest = operator.inputs
    read = labels.last[source]
    if file.shape(weights)[-1] != len(read.atoms):
        raise _refused(operator, "has a depth multiplier other than 1")
    for tensor in (weights, *rest, *operator.outputs):
        if tensor >= 0:
            labels.last[tensor] = read


def _elementwise(
    file: FileModel, operator: Operator, labels: ChannelLabels
) -> None:
    target = operator.outputs[0]
    width = file.shape(target)[-1] if file.shape(target) else 1
    wide = [x for x in operator.inputs if file.shape(x)[-1:] == (width,)]
    known = [labels.last[x] for x in wide if x in labels.last]
    if not known:
        raise _refused(operator, "computes with constants only")
    for tensor in operator.inputs:  # the narrow ones say the same to all
        if tensor not in wide and tensor in labels.last:
            labels.freeze(tensor)
    for other in known[1:]:
        if not labels.unite(known[0], other):
            raise _refused(operator, "combines channels that lie differently")
    for tensor in (*wide, target):
        labels.last[tensor] = known[0]


def _prelu(file: FileModel, operator: Operator, labels: ChannelLabels) -> None:
    _same(file, operator, labels)
    slopes = operator.inputs[1]
    read = labels.last[operator.inputs[0]]
    if file.shape(slopes)[-1] == len(read.atoms):
        labels.last[slopes] = read


def _mean(file: FileModel, operator: Operator, labels: ChannelLabels) -> None:
    source, axes = operator.inputs
    rank = len(file.shape(source))
    if rank - 1 in [int(x) % rank for x in file.values(axes).ravel()]:
        raise _refused(operator, "mixes channels")
    _same(file, operator, labels)


def _pad(file: FileModel, operator: Operator, labels: ChannelLabels) -> None:
    if file.values(operator.inputs[1])[-1].any():
        raise _refused(operator, "adds channels")
    _same(file, operator, labels)


def _concatenation(
    file: FileModel, operator: Operator, labels: ChannelLabels
) -> None:
    parts = [labels.last.get(x) for x in operator.inputs]
    rank = len(file.shape(operator.outputs[0]))
    along = operator.options.axis % rank == rank - 1
    if not along or any(x is None or x.repeats > 1 for x in parts):
        raise _refused(operator, "does not put channels beside channels")
    atoms = np.concatenate([x.atoms for x in parts if x is not None])
    labels.last[operator.outputs[0]] = Dimension(atoms)


def _reshape(
    file: FileModel, operator: Operator, labels: ChannelLabels
) -> None:
    source, target = operator.inputs[0], operator.outputs[0]
    before, after = file.shape(source), file.shape(target)
    read = labels.last[source]
    if after[-1] == before[-1]:
        labels.last[target] = read
    elif after[-1] == np.prod(before[1:]) and read.repeats == 1:
        places = after[-1] // before[-1]
        labels.last[target] = Dimension(read.atoms, places)
    else:
        raise _refused(operator, "moves channels into another dimension")


def _slice(file: FileModel, operator: Operator, labels: ChannelLabels) -> None:
    source, target = operator.inputs[0], operator.outputs[0]
    same = file.shape(source)[-1] == file.shape(target)[-1]
    if not same or len(file.shape(source)) != len(file.shape(target)):
        raise _refused(operator, "takes some of the channels")
    _same(file, operator, labels)


def _softmax(
    file: FileModel, operator: Operator, labels: ChannelLabels
) -> None:
    _same(file, operator, labels)
    labels.normalised[operator.name] = labels.last[operator.outputs[0]].atoms


def _refused(operator: Operator, what: str) -> ValueError:
    return ValueError(
        f"operator {operator.kind} ('{operator.name}') {what}; convert the "
        "network of each sub-task by itself"
    )


_RULES: dict[str, Rule] = {
    **dict.fromkeys(SAME_CHANNELS, _same),
    **dict.fromkeys(ELEMENTWISE, _elementwise),
    "DEQUANTIZE": _dequantize,
    "CONV_2D": _convolution,
    "FULLY_CONNECTED": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "PRELU": _prelu,
    "MEAN": _mean,
    "PAD": _pad,
    "PADV2": _pad,
    "MIRROR_PAD": _pad,
    "CONCATENATION": _concatenation,
    "RESHAPE": _reshape,
    "SLICE": _slice,
    "STRIDED_SLICE": _slice,
    "SOFTMAX": _softmax,
}
