"""Rescaling and Normalization: y = scale x + offset, channel by channel."""

from __future__ import annotations

import keras
import numpy as np

from drnet_tf.channels.channel_flow import ChannelFlow
from drnet_tf.channels.rules.registry import Part, Rule, register_rule
from drnet_tf.graph import Call


@register_rule(keras.layers.Rescaling)
class Rescaling(Rule):
    """Numbers, or one number for each channel."""

    def forward(self, call: Call, flow: ChannelFlow) -> None:
        inputs, output = flow[call.inputs[0]], call.outputs[0]
        factors = [_factors(x, call, flow) for x in _settings(call)]
        if any(x is None for x in factors):
            reason = f"'{call.name}' scales more than channels"
            flow.freeze(call.inputs[0], reason)
            flow.add(output, inputs.axis, inputs.atoms)
            return
        scale, offset = factors
        # A zero scale silences whatever comes in.
        values = np.where(scale == 0, 0.0, inputs.values * scale) + offset
        flow.add(output, inputs.axis, inputs.atoms, values)

    def backward(self, call: Call, flow: ChannelFlow) -> None:
        scale = _factors(call.operation.scale, call, flow)
        needed = flow.needed(call.outputs[0])
        if scale is not None:
            needed = needed & (scale != 0)
        flow[call.inputs[0]].needed |= needed

    def rebuild(self, call: Call, flow: ChannelFlow) -> Part:
        inputs = flow[call.inputs[0]]
        kept, config = flow.kept(inputs), call.operation.get_config()
        for key, setting in zip(
            ("scale", "offset"), _settings(call), strict=True
        ):
            array = np.asarray(setting)
            if array.ndim and array.shape[inputs.axis] == len(inputs):
                config[key] = np.take(array, kept, inputs.axis).tolist()
        return Part(config)

    def zero_from(self, call: Call, flow: ChannelFlow) -> int | None:
        return None if np.any(call.operation.offset) else call.inputs[0]


def _settings(call: Call) -> tuple[object, object]:
    return call.operation.scale, call.operation.offset


def _factors(
    setting: object, call: Call, flow: ChannelFlow
) -> np.ndarray | None:
    """One number per channel, or None if there are more."""
    array = np.asarray(setting, "float64")
    inputs = flow[call.inputs[0]]
    if array.size == 1:
        return np.full(len(inputs), array.item())
    if (
        keras.config.image_data_format() == "channels_first"
        or array.ndim < -inputs.axis
        or array.size != len(inputs)
        or array.shape[inputs.axis] != len(inputs)
    ):
        return None
    return array.ravel()


@register_rule(keras.layers.Normalization)
class Normalization(Rule):
    """Statistics of the data set; its channels, mostly an image's, all stay."""

    def forward(self, call: Call, flow: ChannelFlow) -> None:
        inputs = flow[call.inputs[0]]
        flow.freeze(call.inputs[0], f"'{call.name}' normalises the input")
        flow.add(call.outputs[0], inputs.axis, inputs.atoms)

    def backward(self, call: Call, flow: ChannelFlow) -> None:
        """Nothing is left to do: `freeze` marked the input as needed."""

    def rebuild(self, call: Call, flow: ChannelFlow) -> Part:
        layer, config = call.operation, call.operation.get_config()
        if config["mean"] is None and layer.built:
            # Adapted statistics are weights that only loading from a file
            # would put to use; as settings they always are.
            for key in ("mean", "variance"):
                value = keras.ops.convert_to_numpy(getattr(layer, key))
                config[key] = value.tolist()
        return Part(config)
