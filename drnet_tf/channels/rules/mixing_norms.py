"""Norms over channels: each output depends on all of them, or on its group."""

from __future__ import annotations

import keras
import numpy as np

from drnet_tf.channels.channel_flow import ChannelFlow, Channels
from drnet_tf.channels.rules.registry import Part, Rule, register_rule
from drnet_tf.graph import Call


@register_rule(
    keras.layers.LayerNormalization,
    keras.layers.RMSNormalization,
    keras.layers.UnitNormalization,
)
class MixingNorm(Rule):
    """Mean and variance are those of the full width, so all of it stays."""

    def forward(self, call: Call, flow: ChannelFlow) -> None:
        inputs = flow[call.inputs[0]]
        flow.add(call.outputs[0], inputs.axis, inputs.atoms)

    def backward(self, call: Call, flow: ChannelFlow) -> None:
        if flow.needed(call.outputs[0]).any():
            flow.need_all(call.inputs[0])

    def complete(self, call: Call, flow: ChannelFlow) -> None:
        kind = type(call.operation).__name__
        reason = f"{kind} '{call.name}' reads all of them"
        flow.keep_all(call.inputs[0], reason)

    def couple(self, call: Call, flow: ChannelFlow) -> None:
        flow.freeze(call.inputs[0])


@register_rule(keras.layers.GroupNormalization)
class GroupNorm(Rule):
    """Every group has a mean and a variance: whole groups can go."""

    def forward(self, call: Call, flow: ChannelFlow) -> None:
        axis = _axis(call, flow)
        flow.tie(call, axis)
        inputs = _inputs(call, flow)
        values = _by_group(call, inputs.values)
        # A group of zeros, or of one constant channel, has no variance.
        flat = (values == 0).all(1, keepdims=True)
        if values.shape[1] == 1:
            flat = ~np.isnan(values)
        flat = np.broadcast_to(flat, values.shape).ravel()
        made = np.where(flat, _beta(call.operation), np.nan)
        flow.add(call.outputs[0], axis, inputs.atoms, made)

    def backward(self, call: Call, flow: ChannelFlow) -> None:
        inputs = _inputs(call, flow)
        needed: np.ndarray = np.any(
            _by_group(call, flow.needed(call.outputs[0])), axis=1
        )
        inputs.needed |= np.repeat(needed, len(inputs) // len(needed))

    def complete(self, call: Call, flow: ChannelFlow) -> None:
        inputs = _inputs(call, flow)
        kept: np.ndarray = np.any(_by_group(call, flow.is_kept(inputs)), axis=1)
        if not kept.any():
            kept[0] = True
        reason = f"GroupNormalization '{call.name}' reads their whole group"
        flow.keep(_by_group(call, inputs.atoms)[kept].ravel(), reason)

    def couple(self, call: Call, flow: ChannelFlow) -> None:
        atoms = _by_group(call, _inputs(call, flow).atoms)
        for column in atoms.T[1:]:
            flow.atoms.unite(atoms[:, 0], column)

    def rebuild(self, call: Call, flow: ChannelFlow) -> Part:
        layer, inputs = call.operation, _inputs(call, flow)
        kept = flow.kept(inputs)
        groups = len(kept) * _groups(call, inputs) // len(inputs)
        weights = [array[kept] for array in layer.get_weights()]
        return Part({**layer.get_config(), "groups": groups}, weights)


def _beta(layer: keras.layers.Layer) -> np.ndarray | float:
    if not layer.center:
        return 0.0
    return keras.ops.convert_to_numpy(layer.beta).astype("float64")


def _axis(call: Call, flow: ChannelFlow) -> int:
    axis = call.operation.axis
    return axis if axis < 0 else axis - len(flow.shape(call.inputs[0]))


def _inputs(call: Call, flow: ChannelFlow) -> Channels:
    return flow.on_axis(call.inputs[0], _axis(call, flow))


def _groups(call: Call, inputs: Channels) -> int:
    groups = call.operation.groups
    return len(inputs) if groups == -1 else groups


def _by_group(call: Call, values: np.ndarray) -> np.ndarray:
    groups = call.operation.groups
    return values.reshape(len(values) if groups == -1 else groups, -1)
