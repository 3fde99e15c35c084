"""Merges: several tensors combined channel by channel.

Layers (`Add()([a, b])`) and operators (`a + b`, `x * 2`, `x + bias`). Here is
what all have in common; the families stand in `sums.py` and `products.py`.
"""

from __future__ import annotations

import abc
from typing import Any

import keras
import numpy as np

from drnet_tf.channels.channel_flow import ChannelFlow
from drnet_tf.channels.rules.operands import arguments, operands
from drnet_tf.channels.rules.registry import Rule
from drnet_tf.graph import Call


class Merging(Rule):
    """Operands of one rank; widths agree, or are 1 and broadcast.

    A tensor whose needed channels are all constant is dropped, with all that
    made it, where the family knows how to do without (`can_do_without`).
    """

    operands = None
    neutral = 0.0  # a constant that changes nothing

    @abc.abstractmethod
    def combine(self, call: Call, values: np.ndarray) -> np.ndarray:
        """`(C,)` constants of the output from `(operands, C)`; NaN is live."""

    def can_do_without(self, call: Call, left: int) -> bool:
        """Whether `without` is there for that number of operands left."""
        return False

    def without(
        self,
        call: Call,
        operation: keras.Operation,
        left: list[Any],
        values: np.ndarray,
        there: np.ndarray,
        axis: int,
        name: str,
    ) -> Any:
        """The output where some tensors are replaced by their constants.

        Args:
          call: in the full network.
          operation: for the small network.
          left: the operands that are not dropped.
          values: `(operands, kept)` constants of the kept channels.
          there: `(operands,)` bool, which are not dropped.
          axis: the channel axis of the output.
          name: for a new layer.
        """
        raise NotImplementedError

    def matters(self, values: np.ndarray, needed: np.ndarray) -> np.ndarray:
        """`(operands, C)` bool: which of their channels outputs need."""
        return np.broadcast_to(needed, values.shape)

    def mixes(self, call: Call, flow: ChannelFlow) -> bool:
        rank = len(flow.shape(call.outputs[0]))
        return not all(x.is_regular(rank, flow) for x in operands(call))

    def forward(self, call: Call, flow: ChannelFlow) -> None:
        output = call.outputs[0]
        widest = max(call.inputs, key=lambda tensor: len(flow[tensor]))
        axis = flow[widest].axis
        width = flow.shape(output)[axis] or len(flow[widest])
        atoms = None
        for tensor in call.inputs:
            channels = flow.on_axis(tensor, axis)
            if len(channels) == width and atoms is not None:
                flow.atoms.unite(atoms, channels.atoms)
            elif len(channels) == width:
                atoms = channels.atoms
        if atoms is None:  # a constant has more channels than any tensor
            atoms = flow.atoms.new(width)
        with np.errstate(all="ignore"):
            values = self.combine(call, _values(call, flow, axis, width))
        flow.add(
            output, axis, atoms, np.where(np.isfinite(values), values, np.nan)
        )

    def backward(self, call: Call, flow: ChannelFlow) -> None:
        output = flow[call.outputs[0]]
        needed = flow.needed(call.outputs[0])
        values = _values(call, flow, output.axis, len(output))
        dropped = self._droppable(call, flow, ~np.isnan(values[:, needed]))
        flow.drop(call, dropped)
        marks = self.matters(values, needed)
        for operand, marked in zip(operands(call), marks, strict=True):
            if operand.tensor is None or operand.tensor in dropped:
                continue
            channels = flow.on_axis(operand.tensor, output.axis)
            same_width = len(channels) == len(marked)
            channels.needed |= marked if same_width else marked.any()

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
        output, dropped = flow[call.outputs[0]], flow.dropped[call.name]
        kept, found = flow.kept(output), operands(call)
        given = [
            argument
            if operand.tensor is not None or np.ndim(argument) == 0
            else operand.cut(output.axis, len(output), kept)
            for operand, argument in zip(
                found, arguments(operation, args, kwargs), strict=True
            )
        ]
        if not dropped:
            return combined(operation, given)
        values = _values(call, flow, output.axis, len(output))
        values[:, ~flow.needed(call.outputs[0])] = self.neutral
        return self.without(
            call,
            operation,
            [x for x in given if x is not None],
            values[:, kept],
            np.array([x.tensor not in dropped for x in found]),
            output.axis,
            _name(call, flow, operation),
        )

    def zero_from(
        self, call: Call, flow: ChannelFlow
    ) -> tuple[tuple[int, ...], ...]:
        constants = (x.constant for x in operands(call))
        if any(np.any(x) for x in constants if x is not None):
            return ()
        dropped = flow.dropped[call.name]
        return (tuple(x for x in call.inputs if x not in dropped),)

    def _droppable(
        self, call: Call, flow: ChannelFlow, is_constant: np.ndarray
    ) -> frozenset[int]:
        """Tensors without a needed live channel that the family can lose."""
        tensors = [x.tensor for x in operands(call)]
        drops = [
            tensor is not None and tensors.count(tensor) == 1 and known.all()
            for tensor, known in zip(tensors, is_constant, strict=True)
        ]
        shape = flow.shape(call.outputs[0])
        whole = [x is not None and flow.shape(x) == shape for x in tensors]
        if not any(whole):
            return frozenset()
        # One tensor that has the output's shape has to be left.
        if not any(w and not d for w, d in zip(whole, drops, strict=True)):
            drops[whole.index(True)] = False
        if not self.can_do_without(call, drops.count(False)):
            return frozenset()
        pairs = zip(tensors, drops, strict=True)
        return frozenset(x for x, drop in pairs if drop and x is not None)


def _name(call: Call, flow: ChannelFlow, operation: keras.Operation) -> str:
    """That of the operation; a shared one would give it several times."""
    number = flow.calls_of(call).index(call)
    return f"{operation.name}_call_{number}" if number else operation.name


def combined(operation: keras.Operation, given: list[Any]) -> Any:
    """Calls a layer with a list, an operator with arguments."""
    if isinstance(operation, keras.layers.Layer):
        return operation(given)
    return operation(*given)


def rescaled(
    tensor: Any, scale: Any, offset: np.ndarray, axis: int, name: str
) -> Any:
    """scale x + offset by one plain layer, or by none where it is x.

    `Rescaling` lays a scale of one or two axes along the first of three where
    Keras' `image_data_format` is "channels_first". So it gets one of three; for
    `(batch, C)`, which has no third, an operator multiplies.

    Args:
      tensor: x.
      scale: a number, or `(C,)`.
      offset: `(C,)`.
      axis: the channel axis.
      name: of the layer.
    """
    if np.all(scale == 1):
        scale = 1.0
    if np.ndim(scale) and len(tensor.shape) == 2:
        tensor = tensor * keras.ops.convert_to_tensor(scale, tensor.dtype)
        scale = 1.0
    if np.all(scale == 1) and not offset.any():
        return tensor
    shape = (-1, *[1] * (-axis - 1))
    three = (*[1] * (3 + axis), *shape)
    return keras.layers.Rescaling(
        np.reshape(scale, three).tolist() if np.ndim(scale) else float(scale),
        offset.reshape(shape).tolist() if offset.any() else 0.0,
        name=name,
        dtype=tensor.dtype,
    )(tensor)


def _values(call: Call, flow: ChannelFlow, axis: int, width: int) -> np.ndarray:
    """`(operands, C)` float64: constants of the operands, NaN where live."""
    return np.stack([x.values(axis, width, flow) for x in operands(call)])
