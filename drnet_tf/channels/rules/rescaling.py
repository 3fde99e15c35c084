"""y = scale x + offset, channel by channel: Rescaling, Normalization, ..."""

from __future__ import annotations

import abc

import keras
import numpy as np

from drnet_tf.channels.channel_flow import ChannelFlow
from drnet_tf.channels.rules.registry import Part, Rule, register_rule
from drnet_tf.graph import Call

Factors = tuple[np.ndarray, np.ndarray]


class Affine(Rule):
    """A number, or one for each channel; where there are more, all stay."""

    @abc.abstractmethod
    def factors(self, call: Call, flow: ChannelFlow) -> Factors | None:
        """`(C,)` scale and offset, or None if they are no numbers a channel."""

    def mixes(self, call: Call, flow: ChannelFlow) -> bool:
        return self.factors(call, flow) is None

    def forward(self, call: Call, flow: ChannelFlow) -> None:
        inputs, (scale, offset) = flow[call.inputs[0]], self._both(call, flow)
        if len(np.unique(scale)) > 1 or len(np.unique(offset)) > 1:
            flow.tie(call, inputs.axis)
        # A zero scale silences whatever comes in.
        values = np.where(scale == 0, 0.0, inputs.values * scale) + offset
        flow.add(call.outputs[0], inputs.axis, inputs.atoms, values)

    def backward(self, call: Call, flow: ChannelFlow) -> None:
        scale, _ = self._both(call, flow)
        needed = flow.needed(call.outputs[0]) & (scale != 0)
        flow[call.inputs[0]].needed |= needed

    def zero_from(
        self, call: Call, flow: ChannelFlow
    ) -> tuple[tuple[int, ...], ...]:
        _, offset = self._both(call, flow)
        return () if offset.any() else (call.inputs,)

    def _both(self, call: Call, flow: ChannelFlow) -> Factors:
        """The factors of a call that does not mix."""
        nothing = np.zeros(0)
        return self.factors(call, flow) or (nothing, nothing)


@register_rule(keras.layers.Rescaling)
class Rescaling(Affine):
    """Settings, no weights."""

    def factors(self, call: Call, flow: ChannelFlow) -> Factors | None:
        layer = call.operation
        scales = np.asarray(layer.scale, "float64")
        if (
            scales.size > 1
            and scales.ndim < 3
            and keras.config.image_data_format() == "channels_first"
        ):
            return None  # Keras lays them along the first of three axes.
        scale = _per_channel(scales, call, flow)
        offset = _per_channel(np.asarray(layer.offset, "float64"), call, flow)
        return None if scale is None or offset is None else (scale, offset)

    def rebuild(self, call: Call, flow: ChannelFlow) -> Part:
        config = call.operation.get_config()
        for key in ("scale", "offset"):
            array = np.asarray(getattr(call.operation, key))
            config[key] = _cut(array, call, flow).tolist()
        return Part(config)


@register_rule(keras.layers.Normalization)
class Normalization(Affine):
    """Statistics of the data set: (x - mean) / max(sqrt(variance), epsilon)."""

    def factors(self, call: Call, flow: ChannelFlow) -> Factors | None:
        layer = call.operation
        if layer.mean is None:
            return None
        mean = _per_channel(_array(layer.mean), call, flow)
        variance = _per_channel(_array(layer.variance), call, flow)
        if mean is None or variance is None:
            return None
        deviation = np.maximum(np.sqrt(variance), keras.config.epsilon())
        if layer.invert:
            return deviation, mean
        return 1 / deviation, -mean / deviation

    def rebuild(self, call: Call, flow: ChannelFlow) -> Part:
        layer, config = call.operation, call.operation.get_config()
        if layer.mean is not None:
            # Adapted statistics are weights that only loading from a file
            # would put to use; as settings they always are.
            for key in ("mean", "variance"):
                array = _cut(_array(getattr(layer, key)), call, flow)
                kept_axes = [size for size in array.shape if size != 1]
                config[key] = array.reshape(kept_axes or ()).tolist()
        return Part(config)


@register_rule("convnext.LayerScale")
class LayerScale(Affine):
    """gamma x, a layer of `keras.applications.ConvNeXt...`."""

    def factors(self, call: Call, flow: ChannelFlow) -> Factors | None:
        scale = _per_channel(_array(call.operation.gamma), call, flow)
        return None if scale is None else (scale, np.zeros(len(scale)))

    def rebuild(self, call: Call, flow: ChannelFlow) -> Part:
        gamma = _cut(np.array(_array(call.operation.gamma)), call, flow)
        silent = flow.is_silent(call)[flow.kept(flow[call.outputs[0]])]
        gamma = np.where(silent, 0, gamma).astype("float32")
        config = call.operation.get_config()
        return Part({**config, "projection_dim": len(gamma)}, [gamma])

    def can_silence(self, call: Call, flow: ChannelFlow) -> bool:
        return not flow.is_shared(call)


def _array(values: object) -> np.ndarray:
    return keras.ops.convert_to_numpy(values).astype("float64")


def _per_channel(
    array: np.ndarray, call: Call, flow: ChannelFlow
) -> np.ndarray | None:
    """One number per channel, or None if there are more."""
    inputs = flow[call.inputs[0]]
    if array.size == 1:
        return np.full(len(inputs), array.item())
    if (
        array.ndim < -inputs.axis
        or array.size != len(inputs)
        or array.shape[inputs.axis] != len(inputs)
    ):
        return None
    return array.ravel()


def _cut(array: np.ndarray, call: Call, flow: ChannelFlow) -> np.ndarray:
    """The numbers of the kept channels, if there is one for each channel."""
    inputs = flow[call.inputs[0]]
    if array.ndim < -inputs.axis or array.shape[inputs.axis] != len(inputs):
        return array
    return array.take(flow.kept(inputs), inputs.axis)
