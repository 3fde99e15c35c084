"""Pooling, padding, dropout and other layers that treat every channel alike."""

from __future__ import annotations

import keras
import numpy as np

from drnet_tf.channels.channel_flow import ChannelFlow, Channels
from drnet_tf.channels.rules.convolution_shapes import channel_axis
from drnet_tf.channels.rules.registry import Rule, register_rule
from drnet_tf.graph import Call

# They have no `data_format`: their channels are last.
_ALONG_AXIS_1 = (
    keras.layers.Cropping1D,
    keras.layers.UpSampling1D,
    keras.layers.ZeroPadding1D,
)


@register_rule(
    keras.layers.ActivityRegularization,
    keras.layers.AlphaDropout,
    keras.layers.AveragePooling1D,
    keras.layers.AveragePooling2D,
    keras.layers.AveragePooling3D,
    keras.layers.Cropping1D,
    keras.layers.Cropping2D,
    keras.layers.Cropping3D,
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.GlobalAveragePooling1D,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalAveragePooling3D,
    keras.layers.GlobalMaxPooling1D,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.GlobalMaxPooling3D,
    keras.layers.Identity,
    keras.layers.MaxPooling1D,
    keras.layers.MaxPooling2D,
    keras.layers.MaxPooling3D,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
    keras.layers.UpSampling1D,
    keras.layers.UpSampling2D,
    keras.layers.UpSampling3D,
    # Operators, and a layer of `keras.applications` that trains only.
    "AveragePool",
    "MaxPool",
    "convnext.StochasticDepth",
)
class ChannelWise(Rule):
    """A constant channel in is the same constant channel out."""

    def forward(self, call: Call, flow: ChannelFlow) -> None:
        inputs, output = self._inputs(call, flow), call.outputs[0]
        pooled = len(flow.shape(output)) < len(flow.shape(call.inputs[0]))
        axis = -1 if pooled else inputs.axis
        flow.add(output, axis, inputs.atoms, self.values(inputs.values))

    def values(self, values: np.ndarray) -> np.ndarray:
        """Output constants from input constants."""
        return values

    def backward(self, call: Call, flow: ChannelFlow) -> None:
        self._inputs(call, flow).needed |= flow.needed(call.outputs[0])

    def zero_from(
        self, call: Call, flow: ChannelFlow
    ) -> tuple[tuple[int, ...], ...]:
        return (call.inputs,)

    def _inputs(self, call: Call, flow: ChannelFlow) -> Channels:
        tensor = call.inputs[0]
        if hasattr(call.operation, "data_format") or isinstance(
            call.operation, _ALONG_AXIS_1
        ):
            return flow.on_axis(tensor, channel_axis(call, flow))
        return flow[tensor]


@register_rule(keras.layers.Resizing)
class Resizing(ChannelWise):
    """Weights of neighbours that sum up to one."""

    same_in_training = True  # Keras calls image layers so by default

    def covers(self, operation: keras.Operation) -> bool:
        return not operation.pad_to_aspect_ratio


@register_rule(
    keras.layers.ZeroPadding1D,
    keras.layers.ZeroPadding2D,
    keras.layers.ZeroPadding3D,
)
class ZeroPadding(ChannelWise):
    """Zeros around: only a channel of zeros stays constant."""

    def values(self, values: np.ndarray) -> np.ndarray:
        return np.where(values == 0, 0.0, np.nan)
