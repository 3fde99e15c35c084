"""Flatten, Reshape and Permute: the same values in another shape.

The atoms of all places of the input are laid out in the output's shape; the
output's channel axis is one along which they vary. Flatten gives H W C
channels, each atom H W times; Reshape to (groups, C / groups) ties the groups.
"""

from __future__ import annotations

import abc
import math

import keras
import numpy as np

from drnet_tf.channels.channel_flow import ChannelFlow
from drnet_tf.channels.rules.registry import Part, Rule, register_rule
from drnet_tf.graph import Call


class Layout(Rule):
    """What Flatten, Reshape and Permute share."""

    @abc.abstractmethod
    def layout(
        self, values: np.ndarray, call: Call, flow: ChannelFlow
    ) -> np.ndarray:
        """An array of the input's shape (without batch) in the output's."""

    def mixes(self, call: Call, flow: ChannelFlow) -> bool:
        same = self._keeps_last_axis(call, flow)
        return not same and _is_open(call, flow)

    def forward(self, call: Call, flow: ChannelFlow) -> None:
        inputs, output = flow[call.inputs[0]], call.outputs[0]
        if self._keeps_last_axis(call, flow):
            flow.add(output, -1, inputs.atoms, inputs.values)
            return
        atoms = self._laid_out(inputs.atoms, call, flow)
        axis = _varying_axis(flow.atoms.roots(atoms))
        rows = np.moveaxis(atoms, axis, -1).reshape(-1, atoms.shape[axis])
        for row in np.unique(flow.atoms.roots(rows), axis=0)[1:]:
            flow.atoms.unite(rows[0], row)
        values = np.moveaxis(
            self._laid_out(inputs.values, call, flow), axis, -1
        ).reshape(rows.shape)
        agreed = np.where((values == values[0]).all(0), values[0], np.nan)
        flow.add(output, axis, rows[0], agreed)

    def backward(self, call: Call, flow: ChannelFlow) -> None:
        inputs, output = flow[call.inputs[0]], flow[call.outputs[0]]
        needed = flow.needed(call.outputs[0])
        if self._keeps_last_axis(call, flow):
            inputs.needed |= needed
        else:
            numbers = np.arange(len(inputs))
            places = np.moveaxis(
                self._laid_out(numbers, call, flow), output.axis, -1
            )
            inputs.needed[np.unique(places[..., needed])] = True

    def zero_from(
        self, call: Call, flow: ChannelFlow
    ) -> tuple[tuple[int, ...], ...]:
        same = self._keeps_last_axis(call, flow)
        return (call.inputs,) if same else ()

    def _laid_out(
        self, values: np.ndarray, call: Call, flow: ChannelFlow
    ) -> np.ndarray:
        """One number per channel, at every place of the output."""
        inputs = flow[call.inputs[0]]
        shape = _known(flow.shape(call.inputs[0])[1:])
        column = values.reshape(-1, *[1] * (-inputs.axis - 1))
        return self.layout(np.broadcast_to(column, shape), call, flow)

    def _keeps_last_axis(self, call: Call, flow: ChannelFlow) -> bool:
        return False


def _is_open(call: Call, flow: ChannelFlow) -> bool:
    """Whether sizes are open, or images are not kept apart."""
    shapes = [flow.shape(call.inputs[0]), flow.shape(call.outputs[0])]
    if any(None in shape[1:] for shape in shapes) or len(shapes[0]) < 2:
        return True
    sizes = [math.prod(_known(shape[1:])) for shape in shapes]
    return sizes[0] != sizes[1] or shapes[0][0] != shapes[1][0]


def _known(shape: tuple[int | None, ...]) -> tuple[int, ...]:
    """A shape without open axes, as `forward` refuses those."""
    return tuple(size or 0 for size in shape)


def _varying_axis(atoms: np.ndarray) -> int:
    """The last axis along which alone `atoms` vary; else the last axis."""
    for axis in range(-1, -atoms.ndim - 1, -1):
        rows = np.moveaxis(atoms, axis, -1).reshape(-1, atoms.shape[axis])
        if (rows == rows[0]).all():
            return axis
    return -1


@register_rule(keras.layers.Reshape, "Reshape")
class Reshape(Layout):
    """`Reshape`, also where the number of channels is typed in its target."""

    def layout(
        self, values: np.ndarray, call: Call, flow: ChannelFlow
    ) -> np.ndarray:
        return values.reshape(_known(flow.shape(call.outputs[0])[1:]))

    def rebuild(self, call: Call, flow: ChannelFlow) -> Part:
        config = call.operation.get_config()
        # The operator's shape has the batch, the layer's has not.
        key = "target_shape" if "target_shape" in config else "newshape"
        target, output = list(config[key]), flow[call.outputs[0]]
        if target[output.axis] != -1:
            target[output.axis] = len(flow.kept(output))
        return Part({**config, key: target})

    def _keeps_last_axis(self, call: Call, flow: ChannelFlow) -> bool:
        width = flow.shape(call.outputs[0])[-1]
        return flow[call.inputs[0]].axis == -1 and width == len(
            flow[call.inputs[0]]
        )


@register_rule(keras.layers.Flatten)
class Flatten(Reshape):
    """`Flatten`: channels last, also from channels-first tensors."""

    def layout(
        self, values: np.ndarray, call: Call, flow: ChannelFlow
    ) -> np.ndarray:
        if call.operation.data_format == "channels_first" and values.ndim > 1:
            values = np.moveaxis(values, 0, -1)
        return values.reshape(-1)

    def rebuild(self, call: Call, flow: ChannelFlow) -> Part:
        return Part(call.operation.get_config())

    def _keeps_last_axis(self, call: Call, flow: ChannelFlow) -> bool:
        places = flow.shape(call.inputs[0])[1:-1]
        return super()._keeps_last_axis(call, flow) and (
            None not in places and math.prod(_known(places)) == 1
        )


@register_rule(keras.layers.Permute)
class Permute(Layout):
    """`Permute`: the channel axis moves."""

    def layout(
        self, values: np.ndarray, call: Call, flow: ChannelFlow
    ) -> np.ndarray:
        return values.transpose([axis - 1 for axis in call.operation.dims])


@register_rule("Transpose")
class Transpose(Layout):
    """`keras.ops.transpose(x, axes)`; the images stay in front."""

    def covers(self, operation: keras.Operation) -> bool:
        axes = operation.axes
        return axes is not None and len(axes) > 0 and axes[0] == 0

    def layout(
        self, values: np.ndarray, call: Call, flow: ChannelFlow
    ) -> np.ndarray:
        rank = len(call.operation.axes)
        axes = [axis % rank - 1 for axis in call.operation.axes[1:]]
        return values.transpose(axes)


@register_rule("ExpandDims", "Squeeze")
class UnitAxes(Layout):
    """Axes of one place come or go."""

    def layout(
        self, values: np.ndarray, call: Call, flow: ChannelFlow
    ) -> np.ndarray:
        return values.reshape(_known(flow.shape(call.outputs[0])[1:]))
