"""Functions of single values: y = f(x)."""

from __future__ import annotations

from typing import Any

import keras

from drnet_tf.channels.channel_flow import ChannelFlow
from drnet_tf.channels.rules import activations
from drnet_tf.channels.rules.registry import Rule, register_rule
from drnet_tf.graph import Call, TensorRef


@register_rule(
    keras.layers.ELU,
    keras.layers.LeakyReLU,
    keras.layers.ReLU,
    # Operators: `-x`, `keras.ops.relu(x)` and its like.
    "Absolute",
    "Cast",
    "Ceil",
    "Celu",
    "Clip",
    "Copy",
    "Cos",
    "Elu",
    "Erf",
    "Exp",
    "Expm1",
    "Fabs",
    "Floor",
    "Gelu",
    "HardShrink",
    "HardSigmoid",
    "HardSilu",
    "HardTanh",
    "LeakyRelu",
    "Log",
    "Log1p",
    "LogSigmoid",
    "Negative",
    "Reciprocal",
    "Relu",
    "Relu6",
    "Round",
    "Rsqrt",
    "Selu",
    "Sigmoid",
    "Sign",
    "Silu",
    "Sin",
    "SoftShrink",
    "Softplus",
    "Softsign",
    "SparsePlus",
    "SparseSigmoid",
    "Sqrt",
    "Square",
    "Squareplus",
    "StopGradient",
    "Tanh",
    "TanhShrink",
    "Threshold",
)
class Pointwise(Rule):
    """Layers and operators that apply one function to every value."""

    def forward(self, call: Call, flow: ChannelFlow) -> None:
        inputs = flow[call.inputs[0]]
        values = activations.apply(_function(call), inputs.values)
        flow.add(call.outputs[0], inputs.axis, inputs.atoms, values)

    def backward(self, call: Call, flow: ChannelFlow) -> None:
        flow[call.inputs[0]].needed |= flow.needed(call.outputs[0])

    def zero_from(
        self, call: Call, flow: ChannelFlow
    ) -> tuple[tuple[int, ...], ...]:
        return (call.inputs,) if activations.keeps_zero(_function(call)) else ()


@register_rule(keras.layers.Activation)
class Activation(Pointwise):
    """`Activation` with one of Keras' point-wise functions."""

    def covers(self, operation: keras.Operation) -> bool:
        return activations.is_pointwise(operation.activation)


def _function(call: Call) -> Any:
    """The operation as a function of its tensor, all else as it is."""

    def function(x: Any) -> Any:
        args, kwargs = keras.tree.map_structure(
            lambda value: x if isinstance(value, TensorRef) else value,
            (call.args, call.kwargs),
        )
        return call.operation(*args, **kwargs)

    return function
