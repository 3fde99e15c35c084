"""What is known of silenced channels further down, whatever the image.

A run on a few images cannot tell it: a channel may be constant by chance.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from drnet_tflite.planning.channel_labels import ChannelLabels
from drnet_tflite.planning.file_model import FileModel, Operator
from drnet_tflite.planning.groups import Groups

VARIES, CONSTANT, ZERO = 0, 1, 2

# Operators of which 0 makes 0.
_KEEP_ZERO = (
    "ABS", "AVERAGE_POOL_2D", "DEQUANTIZE", "ELU", "GELU", "HARD_SWISH",
    "LEAKY_RELU", "MAX_POOL_2D", "MEAN", "MIRROR_PAD", "NEG", "PAD", "PRELU",
    "QUANTIZE", "RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1", "RESHAPE",
    "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "SLICE", "SQRT", "SQUARE",
    "STRIDED_SLICE", "TANH",
)  # fmt: skip
_MIX = ("CONV_2D", "FULLY_CONNECTED", "SOFTMAX")


def follow_silent(
    file: FileModel, labels: ChannelLabels, groups: Groups
) -> dict[int, np.ndarray]:
    """`(C,)` for each computed tensor: `VARIES`, `CONSTANT` or `ZERO`.

    Args:
      file, labels, groups: of one file. Channels of a group are silenced at the
        sites; of others nothing is said.
    """
    sites = {x.tensor: x.atoms for x in groups.places}
    everything_goes = [np.zeros(width, bool) for width in groups.widths]
    known: dict[int, np.ndarray] = {
        x: np.zeros(len(labels.last[x].atoms), int) for x in file.inputs
    }
    for operator in file.operators:
        if not set(operator.inputs) & known.keys():
            continue  # decodes weights
        for tensor in operator.outputs:
            state = _after(file, operator, labels, known)
            if tensor in sites:
                silent = ~groups.kept(sites[tensor], everything_goes)
                state = np.where(silent, ZERO, state)
            known[tensor] = state
    return known


def _after(
    file: FileModel,
    operator: Operator,
    labels: ChannelLabels,
    known: Mapping[int, np.ndarray],
) -> np.ndarray:
    width = len(labels.last[operator.outputs[0]].atoms)
    kind = operator.kind
    if kind in _MIX:
        return np.full(width, VARIES)
    states = [known[x] for x in operator.inputs if x in known]
    if kind == "CONCATENATION":
        return np.concatenate(states)
    if kind in _KEEP_ZERO:
        return states[0]
    if kind == "MUL":
        factors = np.stack([np.broadcast_to(x, width) for x in states])
        zero = (factors == ZERO).any(0)
        return np.where(zero, ZERO, factors.min(0))
    # All others make a constant of constants, 0 of zeros if nothing is added.
    lowest = np.min([np.broadcast_to(x, width) for x in states], axis=0)
    adds = kind not in ("ADD", "SUB", "MAXIMUM", "MINIMUM")
    if adds or len(states) < len(operator.inputs):
        return np.minimum(lowest, CONSTANT)
    return lowest
