"""Norms over the channels: each output depends on all of them."""

from __future__ import annotations

import keras

from drnet_tf.channels.channel_flow import ChannelFlow
from drnet_tf.channels.rules.registry import Rule, register_rule
from drnet_tf.graph import Call


@register_rule(
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
    keras.layers.RMSNormalization,
    keras.layers.UnitNormalization,
)
class MixingNorm(Rule):
    """Mean and variance are those of the full width, so all of it stays."""

    def forward(self, call: Call, flow: ChannelFlow) -> None:
        inputs = flow[call.inputs[0]]
        kind = type(call.operation).__name__
        flow.freeze(call.inputs[0], f"{kind} '{call.name}' reads all of them")
        flow.add(call.outputs[0], inputs.axis, inputs.atoms)

    def backward(self, call: Call, flow: ChannelFlow) -> None:
        """Nothing is left to do: `freeze` marked the input as needed."""
