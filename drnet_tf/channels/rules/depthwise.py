"""Depthwise convolutions: every channel has kernels of its own.

y[c, j] = activation(bias[c, j] + sum over offsets d of kernel[d, c, j] x[c]),
for j below the depth multiplier; the channels y[c, j] go and stay with x[c].
"""

from __future__ import annotations

import keras
import numpy as np

from drnet_tf.channels.channel_flow import ChannelFlow
from drnet_tf.channels.rules import activations
from drnet_tf.channels.rules.convolution_shapes import channel_axis, is_padded
from drnet_tf.channels.rules.registry import Part, Rule, register_rule
from drnet_tf.graph import Call
from drnet_tf.graph_building import config_of


@register_rule(keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
class Depthwise(Rule):
    """DepthwiseConv1D and DepthwiseConv2D."""

    def covers(self, operation: keras.Operation) -> bool:
        return activations.is_pointwise(operation.activation)

    def forward(self, call: Call, flow: ChannelFlow) -> None:
        axis = channel_axis(call, flow)
        flow.tie(call, axis)
        inputs = flow.on_axis(call.inputs[0], axis)
        values = activations.apply(
            call.operation.activation, _biases(call, flow, inputs.values)
        )
        times = call.operation.depth_multiplier
        flow.add(call.outputs[0], axis, np.repeat(inputs.atoms, times), values)

    def backward(self, call: Call, flow: ChannelFlow) -> None:
        axis = channel_axis(call, flow)
        times = call.operation.depth_multiplier
        needed = flow.needed(call.outputs[0]).reshape(-1, times).any(1)
        folded = _foldable(call, flow, flow.shared_values(call, axis))
        flow.on_axis(call.inputs[0], axis).needed |= needed & ~folded

    def rebuild(self, call: Call, flow: ChannelFlow) -> Part:
        layer, axis = call.operation, channel_axis(call, flow)
        inputs = flow.kept(flow.on_axis(call.inputs[0], axis))
        outputs = flow.kept(flow[call.outputs[0]])
        values = flow.shared_values(call, axis)
        kernel = keras.ops.convert_to_numpy(layer.kernel).copy()
        constants = _biases(call, flow, values)
        folded = ~np.isnan(constants)
        bias = np.where(folded, constants, _bias(call))
        silent = flow.is_silent(call)
        zero = (folded | silent).reshape(kernel.shape[-2:])
        kernel[..., zero] = 0
        bias[silent] = 0
        weights = [kernel[..., inputs, :]]
        use_bias = layer.use_bias or bool(bias[outputs].any())
        if use_bias:
            weights.append(bias[outputs].astype(kernel.dtype))
        return Part({**config_of(layer), "use_bias": use_bias}, weights)

    def can_silence(self, call: Call, flow: ChannelFlow) -> bool:
        return not flow.is_shared(call) and activations.keeps_zero(
            call.operation.activation
        )


def _foldable(call: Call, flow: ChannelFlow, values: np.ndarray) -> np.ndarray:
    return values == 0 if is_padded(call, flow) else ~np.isnan(values)


def _bias(call: Call) -> np.ndarray:
    layer = call.operation
    if layer.use_bias:
        return keras.ops.convert_to_numpy(layer.bias).astype("float64")
    return np.zeros(np.prod(layer.kernel.shape[-2:]))


def _biases(call: Call, flow: ChannelFlow, values: np.ndarray) -> np.ndarray:
    """Constants before the activation, NaN where the output is live."""
    kernel = keras.ops.convert_to_numpy(call.operation.kernel)
    offsets = tuple(range(kernel.ndim - 2))
    sums = kernel.astype("float64").sum(offsets)
    known = np.where(_foldable(call, flow, values), values, np.nan)
    return (known[:, None] * sums).ravel() + _bias(call)
