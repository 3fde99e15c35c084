"""Functions of single values: y = f(x)."""

from __future__ import annotations

import keras
import numpy as np

from drnet_tf.channels.channel_flow import ChannelFlow
from drnet_tf.channels.rules import activations
from drnet_tf.channels.rules.registry import Rule, register_rule
from drnet_tf.graph import Call


@register_rule(
    keras.layers.ELU,
    keras.layers.LeakyReLU,
    keras.layers.ReLU,
)
class Pointwise(Rule):
    """Layers that apply one function to every value."""

    def forward(self, call: Call, flow: ChannelFlow) -> None:
        inputs = flow[call.inputs[0]]
        values = activations.apply(call.operation, inputs.values)
        flow.add(call.outputs[0], inputs.axis, inputs.atoms, values)

    def backward(self, call: Call, flow: ChannelFlow) -> None:
        flow[call.inputs[0]].needed |= flow.needed(call.outputs[0])

    def zero_from(self, call: Call, flow: ChannelFlow) -> int | None:
        zero = activations.apply(call.operation, np.zeros(1))[0] == 0
        return call.inputs[0] if zero else None


@register_rule(keras.layers.Activation)
class Activation(Pointwise):
    """`Activation` with one of Keras' point-wise functions."""

    def covers(self, operation: keras.Operation) -> bool:
        return activations.is_pointwise(operation.activation)
