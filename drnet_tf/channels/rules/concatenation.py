"""Concatenate: along the channels, or along another axis."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from drnet_tf.channels.channel_flow import ChannelFlow
from drnet_tf.channels.rules.registry import Rule, register_rule
from drnet_tf.graph import Call, TensorRef


@register_rule(keras.layers.Concatenate, "Concatenate")
class Concatenation(Rule):
    """Channels side by side; a part without channels is left out."""

    operands = None

    def mixes(self, call: Call, flow: ChannelFlow) -> bool:
        listed = keras.tree.flatten((*call.args, *call.kwargs.values())[0])
        return not all(isinstance(x, TensorRef) for x in listed)  # constants

    def forward(self, call: Call, flow: ChannelFlow) -> None:
        axis = self._axis(call, flow)
        if self._along_channels(call, flow):
            parts = [flow.on_axis(x, axis) for x in call.inputs]
            atoms = np.concatenate([x.atoms for x in parts])
            values = np.concatenate([x.values for x in parts])
            flow.add(call.outputs[0], axis, atoms, values)
            return
        axis = flow[call.inputs[0]].axis
        parts = [flow.on_axis(x, axis) for x in call.inputs]
        for part in parts[1:]:
            flow.atoms.unite(parts[0].atoms, part.atoms)
        values = parts[0].values.copy()
        for part in parts[1:]:
            values[values != part.values] = np.nan
        flow.add(call.outputs[0], axis, parts[0].atoms, values)

    def backward(self, call: Call, flow: ChannelFlow) -> None:
        needed = flow.needed(call.outputs[0])
        if not self._along_channels(call, flow):
            for tensor in call.inputs:
                axis = flow[call.outputs[0]].axis
                flow.on_axis(tensor, axis).needed |= needed
            return
        start = 0
        for tensor in call.inputs:
            part = flow.on_axis(tensor, self._axis(call, flow))
            part.needed |= needed[start : start + len(part)]
            start += len(part)

    def reads(self, call: Call, flow: ChannelFlow) -> list[int]:
        if not self._along_channels(call, flow):
            return list(call.inputs)
        return [
            tensor
            for tensor in call.inputs
            if flow.is_kept(flow.on_axis(tensor, self._axis(call, flow))).any()
        ]

    def run(
        self,
        call: Call,
        flow: ChannelFlow,
        operation: keras.Operation,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        if self.mixes(call, flow):
            return operation(*args, **kwargs)
        left = [x for x in keras.tree.flatten(args) if x is not None]
        return operation(left) if len(left) > 1 else left[0]

    def _axis(self, call: Call, flow: ChannelFlow) -> int:
        axis = call.operation.axis
        return axis if axis < 0 else axis - len(flow.shape(call.outputs[0]))

    def _along_channels(self, call: Call, flow: ChannelFlow) -> bool:
        axes = {flow[tensor].axis for tensor in call.inputs}
        return axes != {flow[call.inputs[0]].axis} or axes == {
            self._axis(call, flow)
        }
