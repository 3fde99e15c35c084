"""`keras.ops.mean(x, axis=(1, 2))` and its like: axes reduced to one value."""

from __future__ import annotations

import keras
import numpy as np

from drnet_tf.channels.channel_flow import ChannelFlow
from drnet_tf.channels.rules.registry import Rule, register_rule
from drnet_tf.graph import Call


@register_rule("Amax", "Amin", "Max", "Mean", "Min")
class Reduction(Rule):
    """Over places; over channels it reads all of them."""

    def covers(self, operation: keras.Operation) -> bool:
        return getattr(operation, "initial", None) is None

    def values(self, values: np.ndarray) -> np.ndarray:
        """Output constants from input constants."""
        return values

    def mixes(self, call: Call, flow: ChannelFlow) -> bool:
        rank = len(flow.shape(call.inputs[0]))
        kept = {-rank, flow[call.inputs[0]].axis}
        return bool(kept & _axes(call, rank))

    def forward(self, call: Call, flow: ChannelFlow) -> None:
        inputs, behind = flow[call.inputs[0]], 0
        if not call.operation.keepdims:
            axes = _axes(call, len(flow.shape(call.inputs[0])))
            behind = sum(axis > inputs.axis for axis in axes)
        values = self.values(inputs.values)
        flow.add(call.outputs[0], inputs.axis + behind, inputs.atoms, values)

    def backward(self, call: Call, flow: ChannelFlow) -> None:
        flow[call.inputs[0]].needed |= flow.needed(call.outputs[0])

    def zero_from(
        self, call: Call, flow: ChannelFlow
    ) -> tuple[tuple[int, ...], ...]:
        return (call.inputs,)


@register_rule("Sum", "Std", "Var")
class Total(Reduction):
    """Of constants only zero stays what it is."""

    def values(self, values: np.ndarray) -> np.ndarray:
        return np.where(values == 0, 0.0, np.nan)


def _axes(call: Call, rank: int) -> set[int]:
    """Reduced axes, counted from the end."""
    axes = call.operation.axis
    given = range(rank) if axes is None else np.atleast_1d(axes).tolist()
    return {axis if axis < 0 else axis - rank for axis in given}
