"""`keras.ops.mean(x, axis=(1, 2))` and its like: axes reduced to one value."""

from __future__ import annotations

import keras
import numpy as np

from drnet_tf.channels.channel_flow import ChannelFlow
from drnet_tf.channels.rules.registry import Rule, register_rule
from drnet_tf.channels.rules.unknown import WHOLE
from drnet_tf.graph import Call


@register_rule("Amax", "Amin", "Max", "Mean", "Min")
class Reduction(Rule):
    """Over places; over channels it reads all of them."""

    def covers(self, operation: keras.Operation) -> bool:
        return getattr(operation, "initial", None) is None

    def values(self, values: np.ndarray) -> np.ndarray:
        """Output constants from input constants."""
        return values

    def forward(self, call: Call, flow: ChannelFlow) -> None:
        axes = _axes(call, flow)
        inputs = flow[call.inputs[0]]
        if axes is None:
            WHOLE.forward(call, flow)
            return
        behind = 0
        if not call.operation.keepdims:
            behind = sum(axis > inputs.axis for axis in axes)
        values = self.values(inputs.values)
        flow.add(call.outputs[0], inputs.axis + behind, inputs.atoms, values)

    def backward(self, call: Call, flow: ChannelFlow) -> None:
        if _axes(call, flow) is None:
            WHOLE.backward(call, flow)
        else:
            needed = flow.needed(call.outputs[0])
            flow[call.inputs[0]].needed |= needed

    def complete(self, call: Call, flow: ChannelFlow) -> None:
        if _axes(call, flow) is None:
            WHOLE.complete(call, flow)
        else:
            super().complete(call, flow)

    def couple(self, call: Call, flow: ChannelFlow) -> None:
        if _axes(call, flow) is None:
            WHOLE.couple(call, flow)

    def zero_from(
        self, call: Call, flow: ChannelFlow
    ) -> tuple[tuple[int, ...], ...]:
        return () if _axes(call, flow) is None else (call.inputs,)


@register_rule("Sum", "Std", "Var")
class Total(Reduction):
    """Of constants only zero stays what it is."""

    def values(self, values: np.ndarray) -> np.ndarray:
        return np.where(values == 0, 0.0, np.nan)


def _axes(call: Call, flow: ChannelFlow) -> set[int] | None:
    """Axes counted from the end; None if a channel is not alone with itself."""
    axes, rank = call.operation.axis, len(flow.shape(call.inputs[0]))
    if axes is None:
        return None
    found = {x if x < 0 else x - rank for x in np.atleast_1d(axes).tolist()}
    return None if found & {-rank, flow[call.inputs[0]].axis} else found
