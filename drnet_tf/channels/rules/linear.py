"""Convolutions and Dense layers: every output reads every input channel.

y[o] = activation(bias[o] + sum over c and offsets d of kernel[d, c, o] x[c]).
A constant input channel c is read as a change of the bias, so it can go.
"""

from __future__ import annotations

import keras
import numpy as np

from drnet_tf.channels.channel_flow import ChannelFlow
from drnet_tf.channels.rules import activations
from drnet_tf.channels.rules.convolution_shapes import channel_axis, is_padded
from drnet_tf.channels.rules.registry import Part, Rule, register_rule
from drnet_tf.graph import Call


class Linear(Rule):
    """What `Conv` and `Dense` share; the kernel's last axes are (in, out)."""

    width_key = ""  # in the layer's config

    def axis(self, call: Call, flow: ChannelFlow) -> int:
        """The channel axis of input and output."""
        return -1

    def folds(self, call: Call, flow: ChannelFlow) -> bool:
        """Whether a constant other than zero is a constant in the output."""
        return True

    def forward(self, call: Call, flow: ChannelFlow) -> None:
        layer, axis, output = (
            call.operation,
            self.axis(call, flow),
            call.outputs[0],
        )
        flow.tie(call, axis)
        values = flow.on_axis(call.inputs[0], axis).values
        if self._foldable(call, flow, values).all():
            results = self._constants(call, values)
        else:
            results = np.full(self._kernel(call).shape[-1], np.nan)
        first = flow.calls_of(call)[0]
        if first is call:
            flow.add_new(output, axis, results)
        else:
            atoms = flow[first.outputs[0]].atoms
            flow.add(output, axis, atoms, results)
        if call.name not in flow.head and not activations.is_pointwise(
            layer.activation
        ):
            flow.pin(
                flow[output].atoms,
                f"the activation of '{call.name}' reads all of them",
            )

    def backward(self, call: Call, flow: ChannelFlow) -> None:
        axis = self.axis(call, flow)
        if flow.needed(call.outputs[0]).any():
            values = flow.shared_values(call, axis)
            flow.on_axis(call.inputs[0], axis).needed |= ~self._foldable(
                call, flow, values
            )

    def rebuild(self, call: Call, flow: ChannelFlow) -> Part:
        layer, axis = call.operation, self.axis(call, flow)
        inputs = flow.kept(flow.on_axis(call.inputs[0], axis))
        outputs = flow.kept(flow[call.outputs[0]])
        values = flow.shared_values(call, axis)
        folded = self._foldable(call, flow, values)
        silent = flow.is_silent(call)
        kernel = self._kernel(call).copy()
        bias = self._bias(call, values, folded)
        kernel[..., folded, :] = 0
        kernel[..., silent] = 0
        bias[silent] = 0
        weights = [kernel[..., inputs, :][..., outputs]]
        use_bias = layer.use_bias or bool(bias[outputs].any())
        if use_bias:
            weights.append(bias[outputs].astype(kernel.dtype))
        config = {
            **layer.get_config(),
            self.width_key: len(outputs),
            "use_bias": use_bias,
        }
        return Part(config, weights)

    def can_silence(self, call: Call, flow: ChannelFlow) -> bool:
        return not flow.is_shared(call) and activations.keeps_zero(
            call.operation.activation
        )

    def _kernel(self, call: Call) -> np.ndarray:
        return keras.ops.convert_to_numpy(call.operation.kernel)

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
        kernel = self._kernel(call)
        offsets = tuple(range(kernel.ndim - 2))
        sums = kernel[..., folded, :].astype("float64").sum(offsets)
        bias = values[folded] @ sums
        if call.operation.use_bias:
            bias += keras.ops.convert_to_numpy(call.operation.bias)
        return bias

    def _constants(self, call: Call, values: np.ndarray) -> np.ndarray:
        bias = self._bias(call, values, ~np.isnan(values))
        if not activations.is_pointwise(call.operation.activation):
            return np.full(len(bias), np.nan)
        return activations.apply(call.operation.activation, bias)


@register_rule(keras.layers.Dense)
class Dense(Linear):
    """Dense: the last axis is mixed, all others pass."""

    width_key = "units"


@register_rule(keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
class Conv(Linear):
    """Convolutions of one group."""

    width_key = "filters"

    def covers(self, operation: keras.Operation) -> bool:
        return operation.groups == 1

    def axis(self, call: Call, flow: ChannelFlow) -> int:
        return channel_axis(call, flow)

    def folds(self, call: Call, flow: ChannelFlow) -> bool:
        return not is_padded(call, flow)
