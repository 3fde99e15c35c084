"""Convolutions and Dense layers: every output reads every input channel.

y[o] = activation(bias[o] + sum over c and offsets d of kernel[d, c, o] x[c]).
A constant input channel c is read as a change of the bias, so it can go.
"""

from __future__ import annotations

import abc

import keras
import numpy as np

from drnet_tf.channels.channel_flow import ChannelFlow
from drnet_tf.channels.rules import activations
from drnet_tf.channels.rules.convolution_shapes import channel_axis, is_padded
from drnet_tf.channels.rules.registry import Part, Rule, register_rule
from drnet_tf.graph import Call
from drnet_tf.graph_building import config_of


class Linear(Rule):
    """What dense, plain, separable and transposed convolutions share."""

    width_key = "filters"  # in the layer's config

    @abc.abstractmethod
    def kernels(
        self,
        call: Call,
        read: np.ndarray,
        inputs: np.ndarray,
        outputs: np.ndarray,
        silent: np.ndarray,
    ) -> list[np.ndarray]:
        """Arrays of the small layer, in the order of `get_weights()`.

        Args:
          call: of the layer.
          read: `(in,)` bool, input channels that are read.
          inputs, outputs: numbers of the channels that are kept.
          silent: `(out,)` bool, output channels that are zero.
        """

    @abc.abstractmethod
    def sums(self, call: Call, channels: np.ndarray) -> np.ndarray:
        """`(n, out)` float64: what a one in each channel adds to the outputs.

        Args:
          call: of the layer.
          channels: `(n,)` int, numbers of input channels.
        """

    def axis(self, call: Call, flow: ChannelFlow) -> int:
        """The channel axis of input and output."""
        return channel_axis(call, flow)

    def folds(self, call: Call, flow: ChannelFlow) -> bool:
        """Whether a constant other than zero is a constant in the output."""
        return not is_padded(call, flow)

    def forward(self, call: Call, flow: ChannelFlow) -> None:
        axis, output = self.axis(call, flow), call.outputs[0]
        flow.tie(call, axis)
        values = flow.on_axis(call.inputs[0], axis).values
        results = None
        if self._foldable(call, flow, values).all():
            results = self._constants(call, values)
        first = flow.calls_of(call)[0]
        if first is call:
            flow.add_new(output, axis, results)
        else:
            atoms = flow[first.outputs[0]].atoms
            flow.add(output, axis, atoms, results)

    def backward(self, call: Call, flow: ChannelFlow) -> None:
        axis = self.axis(call, flow)
        if flow.needed(call.outputs[0]).any():
            values = flow.shared_values(call, axis)
            flow.on_axis(call.inputs[0], axis).needed |= ~self._foldable(
                call, flow, values
            )

    def complete(self, call: Call, flow: ChannelFlow) -> None:
        super().complete(call, flow)
        if self._has_softmax(call, flow):
            reason = f"the activation of '{call.name}' reads all of them"
            flow.keep_all(call.outputs[0], reason)

    def couple(self, call: Call, flow: ChannelFlow) -> None:
        if self._has_softmax(call, flow):
            flow.freeze(call.outputs[0])

    def rebuild(self, call: Call, flow: ChannelFlow) -> Part:
        layer, axis = call.operation, self.axis(call, flow)
        inputs = flow.kept(flow.on_axis(call.inputs[0], axis))
        outputs = flow.kept(flow[call.outputs[0]])
        values = flow.shared_values(call, axis)
        folded = self._foldable(call, flow, values)
        silent = flow.is_silent(call)
        weights = self.kernels(call, ~folded, inputs, outputs, silent)
        bias = self._bias(call, values, folded)
        bias[silent] = 0
        use_bias = layer.use_bias or bool(bias[outputs].any())
        if use_bias:
            weights.append(bias[outputs].astype(weights[-1].dtype))
        if isinstance(layer.activation, keras.Layer):
            # PReLU's: it reads all channels, so all of them stay.
            weights += layer.activation.get_weights()
        config = {
            **config_of(layer),
            self.width_key: len(outputs),
            "use_bias": use_bias,
        }
        return Part(config, weights)

    def can_silence(self, call: Call, flow: ChannelFlow) -> bool:
        return not flow.is_shared(call) and activations.keeps_zero(
            call.operation.activation
        )

    def _has_softmax(self, call: Call, flow: ChannelFlow) -> bool:
        """Whether the activation reads all channels at once: a softmax."""
        return call.name not in flow.head and not activations.is_pointwise(
            call.operation.activation
        )

    def _foldable(
        self, call: Call, flow: ChannelFlow, values: np.ndarray
    ) -> np.ndarray:
        if self.folds(call, flow):
            return ~np.isnan(values)
        return values == 0

    def _bias(
        self, call: Call, values: np.ndarray, folded: np.ndarray
    ) -> np.ndarray:
        """`(out,)` float64: the bias with the folded constants added."""
        layer = call.operation
        constant = np.flatnonzero(folded & (values != 0))
        bias = values[constant] @ self.sums(call, constant)
        if layer.use_bias:
            bias += keras.ops.convert_to_numpy(layer.bias)
        return bias

    def _constants(self, call: Call, values: np.ndarray) -> np.ndarray:
        bias = self._bias(call, values, ~np.isnan(values))
        if not activations.is_pointwise(call.operation.activation):
            return np.full(len(bias), np.nan)
        return activations.apply(call.operation.activation, bias)


@register_rule(keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
class Conv(Linear):
    """Convolutions of one group; kernel `(..., in, out)`."""

    def covers(self, operation: keras.Operation) -> bool:
        return operation.groups == 1

    def kernels(
        self,
        call: Call,
        read: np.ndarray,
        inputs: np.ndarray,
        outputs: np.ndarray,
        silent: np.ndarray,
    ) -> list[np.ndarray]:
        kernel = keras.ops.convert_to_numpy(call.operation.kernel)
        kernel = kernel.take(inputs, -2).take(outputs, -1)
        kernel[..., ~read[inputs], :] = 0
        kernel[..., silent[outputs]] = 0
        return [kernel]

    def sums(self, call: Call, channels: np.ndarray) -> np.ndarray:
        kernel = keras.ops.convert_to_numpy(call.operation.kernel)
        offsets = tuple(range(kernel.ndim - 2))
        return kernel.take(channels, -2).astype("float64").sum(offsets)


@register_rule(keras.layers.Dense)
class Dense(Conv):
    """Dense: the last axis is mixed, all others pass."""

    width_key = "units"

    def covers(self, operation: keras.Operation) -> bool:
        return True

    def axis(self, call: Call, flow: ChannelFlow) -> int:
        return -1

    def folds(self, call: Call, flow: ChannelFlow) -> bool:
        return True


@register_rule(keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
class Separable(Linear):
    """A depthwise, then a 1x1 convolution, without anything between.

    Kernels `(..., in, m)` and `(..., in m, out)` for a depth multiplier m.
    """

    def kernels(
        self,
        call: Call,
        read: np.ndarray,
        inputs: np.ndarray,
        outputs: np.ndarray,
        silent: np.ndarray,
    ) -> list[np.ndarray]:
        depthwise, pointwise = _separable_kernels(call)
        depthwise = depthwise.take(inputs, -2)
        depthwise[..., ~read[inputs], :] = 0
        times = depthwise.shape[-1]
        middle = (inputs[:, None] * times + np.arange(times)).ravel()
        pointwise = pointwise.take(middle, -2).take(outputs, -1)
        pointwise[..., silent[outputs]] = 0
        return [depthwise, pointwise]

    def sums(self, call: Call, channels: np.ndarray) -> np.ndarray:
        depthwise, pointwise = _separable_kernels(call)
        offsets = tuple(range(depthwise.ndim - 2))
        taps = depthwise.take(channels, -2).astype("float64").sum(offsets)
        mixed = pointwise.reshape(depthwise.shape[-2], -1, pointwise.shape[-1])
        return np.einsum("cm,cmo->co", taps, mixed[channels])


def _separable_kernels(call: Call) -> tuple[np.ndarray, np.ndarray]:
    layer = call.operation
    return (
        keras.ops.convert_to_numpy(layer.depthwise_kernel),
        keras.ops.convert_to_numpy(layer.pointwise_kernel),
    )


@register_rule(
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)
class Transposed(Linear):
    """Transposed convolutions; kernel `(..., out, in)`.

    Their places do not all see the same taps, so that of the constants only
    zero is one in the output.
    """

    def folds(self, call: Call, flow: ChannelFlow) -> bool:
        return False

    def kernels(
        self,
        call: Call,
        read: np.ndarray,
        inputs: np.ndarray,
        outputs: np.ndarray,
        silent: np.ndarray,
    ) -> list[np.ndarray]:
        kernel = keras.ops.convert_to_numpy(call.operation.kernel)
        kernel = kernel.take(inputs, -1).take(outputs, -2)
        kernel[..., ~read[inputs]] = 0
        kernel[..., silent[outputs], :] = 0
        return [kernel]

    def sums(self, call: Call, channels: np.ndarray) -> np.ndarray:
        return np.zeros((len(channels), call.operation.filters))
