"""Softmax: over the channels it reads all of them."""

from __future__ import annotations

import keras

from drnet_tf.channels.channel_flow import ChannelFlow
from drnet_tf.channels.rules import activations
from drnet_tf.channels.rules.registry import Rule, register_rule
from drnet_tf.graph import Call


@register_rule(keras.layers.Softmax, keras.layers.Activation)
class Softmax(Rule):
    """`Softmax` and `Activation("softmax")`.

    Where class rows are cut (`flow.head`) the softmax over the rows that stay
    is what is asked for, so rows go and stay alone.
    """

    operands = None

    def covers(self, operation: keras.Operation) -> bool:
        if isinstance(operation, keras.layers.Softmax):
            return isinstance(operation.axis, int)
        return activations.is_softmax(operation.activation)

    def forward(self, call: Call, flow: ChannelFlow) -> None:
        inputs = flow[call.inputs[0]]
        if self._over_channels(call, flow):
            reason = f"the softmax '{call.name}' reads all of them"
            for tensor in call.inputs:
                flow.freeze(tensor, reason)
        elif len(call.inputs) > 1:
            for tensor in call.inputs[1:]:
                flow.freeze(tensor, f"they mask the softmax '{call.name}'")
        flow.add(call.outputs[0], inputs.axis, inputs.atoms)

    def backward(self, call: Call, flow: ChannelFlow) -> None:
        flow[call.inputs[0]].needed |= flow.needed(call.outputs[0])

    def _over_channels(self, call: Call, flow: ChannelFlow) -> bool:
        if call.name in flow.head:
            return False
        axis = getattr(call.operation, "axis", -1)
        rank = len(flow.shape(call.inputs[0]))
        axis = axis if axis < 0 else axis - rank
        return len(call.inputs) > 1 or axis == flow[call.inputs[0]].axis
