"""`keras.ops.pad`: places around, or channels beside."""

from __future__ import annotations

import keras
import numpy as np

from drnet_tf.channels.channel_flow import ChannelFlow
from drnet_tf.channels.rules.registry import Rule, register_rule
from drnet_tf.graph import Call


@register_rule("Pad")
class Pad(Rule):
    """With a constant: a channel of that constant stays one.

    Where channels are padded all of them stay: the small network would need
    its zeros elsewhere.
    """

    def covers(self, operation: keras.Operation) -> bool:
        return operation.mode == "constant"

    def mixes(self, call: Call, flow: ChannelFlow) -> bool:
        width = call.operation.pad_width
        axis = flow[call.inputs[0]].axis
        return any(width[axis if len(width) > 1 else 0])

    def forward(self, call: Call, flow: ChannelFlow) -> None:
        inputs = flow[call.inputs[0]]
        padding = call.kwargs.get("constant_values") or 0
        values = np.where(inputs.values == padding, inputs.values, np.nan)
        flow.add(call.outputs[0], inputs.axis, inputs.atoms, values)

    def backward(self, call: Call, flow: ChannelFlow) -> None:
        flow[call.inputs[0]].needed |= flow.needed(call.outputs[0])
