"""PReLU: y = x for x > 0, else alpha x, with alphas that are learned."""

from __future__ import annotations

import keras
import numpy as np

from drnet_tf.channels.channel_flow import ChannelFlow
from drnet_tf.channels.rules.registry import Part, Rule, register_rule
from drnet_tf.graph import Call


@register_rule(keras.layers.PReLU)
class Prelu(Rule):
    """An alpha for each channel, or for each place of each channel."""

    def forward(self, call: Call, flow: ChannelFlow) -> None:
        inputs = flow[call.inputs[0]]
        flow.tie(call, inputs.axis)
        # A negative constant has as many values as there are alphas.
        values = np.where(inputs.values >= 0, inputs.values, np.nan)
        flow.add(call.outputs[0], inputs.axis, inputs.atoms, values)

    def backward(self, call: Call, flow: ChannelFlow) -> None:
        flow[call.inputs[0]].needed |= flow.needed(call.outputs[0])

    def rebuild(self, call: Call, flow: ChannelFlow) -> Part:
        inputs = flow[call.inputs[0]]
        (alpha,) = call.operation.get_weights()
        if alpha.shape[inputs.axis] == len(inputs):  # not shared by channels
            alpha = np.take(alpha, flow.kept(inputs), inputs.axis)
        return Part(call.operation.get_config(), [alpha])

    def zero_from(
        self, call: Call, flow: ChannelFlow
    ) -> tuple[tuple[int, ...], ...]:
        return (call.inputs,)
