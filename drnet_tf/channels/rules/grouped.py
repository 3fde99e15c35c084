"""Convolutions in groups: an output reads the input channels of its group.

A group goes when all its channels go. What stays has to be groups of one size,
so a group may keep a channel more for the others' sake (`complete`).
"""

from __future__ import annotations

import keras
import numpy as np

from drnet_tf.channels.channel_flow import ChannelFlow, Channels
from drnet_tf.channels.rules import activations
from drnet_tf.channels.rules.convolution_shapes import channel_axis, is_padded
from drnet_tf.channels.rules.registry import Part, Rule, register_rule
from drnet_tf.graph import Call
from drnet_tf.graph_building import config_of


@register_rule(keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
class Grouped(Rule):
    """Conv1D, Conv2D and Conv3D with `groups` above 1."""

    def covers(self, operation: keras.Operation) -> bool:
        return operation.groups > 1 and activations.is_pointwise(
            operation.activation
        )

    def forward(self, call: Call, flow: ChannelFlow) -> None:
        axis = channel_axis(call, flow)
        flow.tie(call, axis)
        values = flow.on_axis(call.inputs[0], axis).values
        folded = _foldable(call, flow, values)
        bias = _bias(call, values, folded)
        groups = call.operation.groups
        live = (~folded).reshape(groups, -1).any(1)
        bias[np.repeat(live, len(bias) // groups)] = np.nan
        results = activations.apply(call.operation.activation, bias)
        first = flow.calls_of(call)[0]
        if first is call:
            flow.add_new(call.outputs[0], axis, results)
        else:
            atoms = flow[first.outputs[0]].atoms
            flow.add(call.outputs[0], axis, atoms, results)

    def backward(self, call: Call, flow: ChannelFlow) -> None:
        axis, groups = channel_axis(call, flow), call.operation.groups
        inputs = flow.on_axis(call.inputs[0], axis)
        needed = flow.needed(call.outputs[0]).reshape(groups, -1).any(1)
        needed = np.repeat(needed, len(inputs) // groups)
        values = flow.shared_values(call, axis)
        inputs.needed |= needed & ~_foldable(call, flow, values)

    def complete(self, call: Call, flow: ChannelFlow) -> None:
        inputs, outputs = _ends(call, flow)
        groups = call.operation.groups
        kept = [
            flow.is_kept(channels).reshape(groups, -1)
            for channels in (inputs, outputs)
        ]
        alive: np.ndarray = np.any(np.concatenate(kept, 1), axis=1)
        if not alive.any():
            alive[0] = True
        for channels, there in zip((inputs, outputs), kept, strict=True):
            atoms = channels.atoms.reshape(groups, -1)
            width = max(int(there.sum(1).max()), 1)
            for group in np.flatnonzero(alive):
                missing = atoms[group][~there[group]]
                more = width - int(there[group].sum())
                if more:
                    flow.keep(missing[:more], _reason(call))

    def couple(self, call: Call, flow: ChannelFlow) -> None:
        groups = call.operation.groups
        inputs, outputs = (
            channels.atoms.reshape(groups, -1) for channels in _ends(call, flow)
        )
        if 1 in (inputs.shape[1], outputs.shape[1]):  # whole groups go
            whole = np.concatenate([inputs, outputs], 1)
            for column in whole.T[1:]:
                flow.atoms.unite(whole[:, 0], column)
            return
        for atoms in (inputs, outputs):  # every group loses as many
            for group in atoms[1:]:
                flow.atoms.unite(atoms[0], group)

    def rebuild(self, call: Call, flow: ChannelFlow) -> Part:
        layer, groups = call.operation, call.operation.groups
        inputs, outputs = _ends(call, flow)
        values = flow.shared_values(call, inputs.axis)
        folded = _foldable(call, flow, values)
        bias = _bias(call, values, folded)
        kernel = _kernel(call)
        by_group = kernel.reshape(*kernel.shape[:-1], groups, -1)
        kept_in = flow.is_kept(inputs).reshape(groups, -1)
        kept_out = flow.is_kept(outputs).reshape(groups, -1)
        silent = flow.is_silent(call).reshape(groups, -1)
        bias[silent.ravel()] = 0
        parts = []
        for group in np.flatnonzero(kept_in.any(1)):
            part = by_group[..., group, :].copy()
            part[..., folded.reshape(groups, -1)[group], :] = 0
            part[..., silent[group]] = 0
            parts.append(part[..., kept_in[group], :][..., kept_out[group]])
        weights = [np.concatenate(parts, -1)]
        bias = bias[kept_out.ravel()]
        use_bias = layer.use_bias or bool(bias.any())
        if use_bias:
            weights.append(bias.astype(kernel.dtype))
        config = {
            **config_of(layer),
            "filters": len(bias),
            "groups": len(parts),
            "use_bias": use_bias,
        }
        return Part(config, weights)

    def can_silence(self, call: Call, flow: ChannelFlow) -> bool:
        return not flow.is_shared(call) and activations.keeps_zero(
            call.operation.activation
        )


def _reason(call: Call) -> str:
    return f"the groups of '{call.name}' have to be of one size"


def _ends(call: Call, flow: ChannelFlow) -> tuple[Channels, Channels]:
    axis = channel_axis(call, flow)
    return flow.on_axis(call.inputs[0], axis), flow[call.outputs[0]]


def _kernel(call: Call) -> np.ndarray:
    return keras.ops.convert_to_numpy(call.operation.kernel)


def _foldable(call: Call, flow: ChannelFlow, values: np.ndarray) -> np.ndarray:
    return values == 0 if is_padded(call, flow) else ~np.isnan(values)


def _bias(call: Call, values: np.ndarray, folded: np.ndarray) -> np.ndarray:
    """`(out,)` float64: the bias with the folded constants added."""
    layer, kernel = call.operation, _kernel(call)
    offsets = tuple(range(kernel.ndim - 2))
    sums = kernel.astype("float64").sum(offsets)
    known = np.where(folded, values, 0).reshape(layer.groups, -1)
    per_output = np.repeat(known, kernel.shape[-1] // layer.groups, 0)
    bias = (per_output.T * sums).sum(0)
    if layer.use_bias:
        bias += keras.ops.convert_to_numpy(layer.bias)
    return bias
