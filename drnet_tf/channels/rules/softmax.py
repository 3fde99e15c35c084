"""Softmax: over the channels it reads all of them."""

from __future__ import annotations

import keras

from drnet_tf.channels.channel_flow import ChannelFlow
from drnet_tf.channels.rules import activations
from drnet_tf.channels.rules.registry import Rule, register_rule
from drnet_tf.graph import Call


@register_rule(
    keras.layers.Softmax, keras.layers.Activation, "Softmax", "LogSoftmax"
)
class Softmax(Rule):
    """`Softmax`, `Activation("softmax")` and `keras.ops.softmax(x)`.

    Where class rows are cut (`flow.head`) the softmax over the rows that stay
    is what is asked for, so rows go and stay alone.
    """

    operands = None

    def covers(self, operation: keras.Operation) -> bool:
        if isinstance(operation, keras.layers.Activation):
            return activations.is_softmax(operation.activation)
        return isinstance(operation.axis, int)

    def forward(self, call: Call, flow: ChannelFlow) -> None:
        inputs = flow[call.inputs[0]]
        flow.add(call.outputs[0], inputs.axis, inputs.atoms)

    def backward(self, call: Call, flow: ChannelFlow) -> None:
        needed = flow.needed(call.outputs[0])
        over = self._over_channels(call, flow)
        flow[call.inputs[0]].needed |= needed.any() if over else needed
        if needed.any():
            for tensor in call.inputs[1:]:
                flow.need_all(tensor)

    def complete(self, call: Call, flow: ChannelFlow) -> None:
        super().complete(call, flow)
        if self._over_channels(call, flow):
            reason = f"the softmax '{call.name}' reads all of them"
            flow.keep_all(call.inputs[0], reason)
        for tensor in call.inputs[1:]:
            flow.keep_all(tensor, f"they mask the softmax '{call.name}'")

    def couple(self, call: Call, flow: ChannelFlow) -> None:
        frozen = call.inputs[not self._over_channels(call, flow) :]
        for tensor in frozen:
            flow.freeze(tensor)

    def _over_channels(self, call: Call, flow: ChannelFlow) -> bool:
        if call.name in flow.head:
            return False
        axis = getattr(call.operation, "axis", -1)
        rank = len(flow.shape(call.inputs[0]))
        axis = axis if axis < 0 else axis - rank
        return len(call.inputs) > 1 or axis == flow[call.inputs[0]].axis
