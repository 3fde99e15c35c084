"""Batch normalisation: y = gamma (x - mean) / sqrt(variance + eps) + beta.

A constant channel stays constant, and gamma = 0 makes any constant.
"""

from __future__ import annotations

import keras
import numpy as np

from drnet_tf.channels.channel_flow import ChannelFlow
from drnet_tf.channels.rules.registry import Part, Rule, register_rule
from drnet_tf.graph import Call


@register_rule(keras.layers.BatchNormalization)
class BatchNorm(Rule):
    """BatchNormalization with the statistics of inference."""

    def forward(self, call: Call, flow: ChannelFlow) -> None:
        axis = _axis(call, flow)
        flow.tie(call, axis)
        inputs = flow.on_axis(call.inputs[0], axis)
        values = _normalize(call, inputs.values)
        flow.add(call.outputs[0], axis, inputs.atoms, values)

    def backward(self, call: Call, flow: ChannelFlow) -> None:
        axis = _axis(call, flow)
        inputs = flow.on_axis(call.inputs[0], axis)
        made = _made(call, flow.shared_values(call, axis))
        inputs.needed |= flow.needed(call.outputs[0]) & ~made

    def rebuild(self, call: Call, flow: ChannelFlow) -> Part:
        layer = call.operation
        values = flow.shared_values(call, _axis(call, flow))
        made, silent = _made(call, values), flow.is_silent(call)
        arrays = _arrays(layer)
        if "gamma" in arrays:
            arrays["gamma"][made | silent] = 0
        if "beta" in arrays:
            arrays["beta"][made] = _normalize(call, values)[made]
            arrays["beta"][silent] = 0
        kept = flow.kept(flow[call.outputs[0]])
        config = layer.get_config()
        return Part(config, [array[kept] for array in arrays.values()])

    def can_silence(self, call: Call, flow: ChannelFlow) -> bool:
        return call.operation.scale and not flow.is_shared(call)


def _axis(call: Call, flow: ChannelFlow) -> int:
    axis = call.operation.axis
    axis = axis[0] if isinstance(axis, (list, tuple)) else axis
    return axis if axis < 0 else axis - len(flow.shape(call.inputs[0]))


def _arrays(layer: keras.layers.Layer) -> dict[str, np.ndarray]:
    """Weights by name, in the order of `get_weights()`."""
    names = ["gamma"] * layer.scale + ["beta"] * layer.center
    names += ["moving_mean", "moving_variance"]
    return {
        name: np.array(keras.ops.convert_to_numpy(getattr(layer, name)))
        for name in names
    }


def _normalize(call: Call, values: np.ndarray) -> np.ndarray:
    layer = call.operation
    arrays = {k: x.astype("float64") for k, x in _arrays(layer).items()}
    factor = arrays.get("gamma", 1.0) / np.sqrt(
        arrays["moving_variance"] + layer.epsilon
    )
    shifted = (values - arrays["moving_mean"]) * factor
    return shifted + arrays.get("beta", 0.0)


def _made(call: Call, values: np.ndarray) -> np.ndarray:
    """Which constants gamma = 0 and beta make, whatever comes in."""
    layer = call.operation
    return ~np.isnan(values) & (layer.scale and layer.center)
