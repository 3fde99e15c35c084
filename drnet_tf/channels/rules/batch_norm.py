"""Batch normalisation: y = gamma (x - mean) / sqrt(variance + eps) + beta.

A constant channel stays constant, and gamma = 0 makes any constant; a norm
without gamma or beta gets one where it has to make a constant.
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
        live = np.isnan(flow.shared_values(call, axis))
        inputs.needed |= flow.needed(call.outputs[0]) & live

    def rebuild(self, call: Call, flow: ChannelFlow) -> Part:
        layer = call.operation
        kept = flow.kept(flow[call.outputs[0]])
        values = flow.shared_values(call, _axis(call, flow))
        made = _normalize(call, values)[kept]
        is_made, silent = ~np.isnan(made), flow.is_silent(call)[kept]
        arrays = {name: array[kept] for name, array in _arrays(layer).items()}
        config = layer.get_config()
        if (is_made | silent).any():
            width, dtype = len(kept), layer.variable_dtype
            arrays = {
                "gamma": np.ones(width, dtype),
                "beta": np.zeros(width, dtype),
                **arrays,
            }
            arrays["gamma"][is_made | silent] = 0
            arrays["beta"][is_made] = made[is_made]
            arrays["beta"][silent] = 0
            config |= {"scale": True, "center": True}
        return Part(config, list(arrays.values()))

    def can_silence(self, call: Call, flow: ChannelFlow) -> bool:
        return not flow.is_shared(call)


def _axis(call: Call, flow: ChannelFlow) -> int:
    axis = call.operation.axis
    axis = axis[0] if isinstance(axis, (list, tuple)) else axis
    return axis if axis < 0 else axis - len(flow.shape(call.inputs[0]))


def _arrays(layer: keras.layers.Layer) -> dict[str, np.ndarray]:
    """Weights by name, in the order of `get_weights()`."""
    names = ["gamma"] * layer.scale + ["beta"] * layer.center
    names += ["moving_mean", "moving_variance"]
    return {
        name: keras.ops.convert_to_numpy(getattr(layer, name)) for name in names
    }


def _normalize(call: Call, values: np.ndarray) -> np.ndarray:
    """`(C,)` float64: what constants become, NaN where the input is live."""
    if np.isnan(values).all():
        return values
    layer = call.operation
    arrays = {k: x.astype("float64") for k, x in _arrays(layer).items()}
    factor = arrays.get("gamma", 1.0) / np.sqrt(
        arrays["moving_variance"] + layer.epsilon
    )
    shifted = (values - arrays["moving_mean"]) * factor
    return shifted + arrays.get("beta", 0.0)
