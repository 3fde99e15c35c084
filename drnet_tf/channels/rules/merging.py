"""Add and its relatives: channel by channel over several tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from drnet_tf.channels.channel_flow import ChannelFlow
from drnet_tf.channels.rules.registry import Rule, register_rule
from drnet_tf.graph import Call


class Merging(Rule):
    """Operands of one rank; widths agree, or are 1 and broadcast."""

    operands = None

    combine: Callable[[np.ndarray], np.ndarray]

    def forward(self, call: Call, flow: ChannelFlow) -> None:
        output = call.outputs[0]
        if self._is_irregular(call, flow):
            reason = f"'{call.name}' merges tensors of other shapes"
            for tensor in call.inputs:
                flow.freeze(tensor, reason)
            flow.add_frozen(output, reason)
            return
        axis, width = self._axis(call, flow), 1
        for tensor in call.inputs:
            width = max(width, len(flow.on_axis(tensor, axis)))
        operands = [flow.on_axis(tensor, axis) for tensor in call.inputs]
        full = [x.atoms for x in operands if len(x) == width]
        for atoms in full[1:]:
            flow.atoms.unite(full[0], atoms)
        values = [np.broadcast_to(x.values, width) for x in operands]
        flow.add(output, axis, full[0], type(self).combine(np.stack(values)))

    def backward(self, call: Call, flow: ChannelFlow) -> None:
        if self._is_irregular(call, flow):
            return
        needed = flow.needed(call.outputs[0])
        for tensor in call.inputs:
            self.mark(call, flow, tensor, needed)

    def mark(
        self, call: Call, flow: ChannelFlow, tensor: int, needed: np.ndarray
    ) -> None:
        """Marks channels of one operand as needed, if it has them."""
        operand = flow.on_axis(tensor, self._axis(call, flow))
        operand.needed |= needed if len(operand) > 1 else needed.any()

    def _is_irregular(self, call: Call, flow: ChannelFlow) -> bool:
        rank = len(flow.shape(call.outputs[0]))
        return any(len(flow.shape(x)) != rank for x in call.inputs)

    def _axis(self, call: Call, flow: ChannelFlow) -> int:
        """That of the widest operand."""
        widest = max(call.inputs, key=lambda tensor: len(flow[tensor]))
        return flow[widest].axis

    def _values(self, call: Call, flow: ChannelFlow) -> np.ndarray:
        """`(operands, C)` float64."""
        axis, width = self._axis(call, flow), len(flow[call.outputs[0]])
        values = [flow.on_axis(x, axis).values for x in call.inputs]
        return np.stack([np.broadcast_to(x, width) for x in values])


@register_rule(keras.layers.Average)
class Average(Merging):
    """Mean of the operands."""

    combine = staticmethod(lambda values: values.mean(0))


@register_rule(keras.layers.Maximum)
class Maximum(Merging):
    """Largest of the operands."""

    combine = staticmethod(lambda values: values.max(0))


@register_rule(keras.layers.Minimum)
class Minimum(Merging):
    """Smallest of the operands."""

    combine = staticmethod(lambda values: values.min(0))


@register_rule(keras.layers.Subtract)
class Subtract(Merging):
    """First operand minus the second."""

    combine = staticmethod(lambda values: values[0] - values[1])


def _product(values: np.ndarray) -> np.ndarray:
    return np.where((values == 0).any(0), 0.0, values.prod(0))


@register_rule(keras.layers.Multiply)
class Multiply(Merging):
    """Product of the operands: one zero makes it zero."""

    combine = staticmethod(_product)

    def backward(self, call: Call, flow: ChannelFlow) -> None:
        if self._is_irregular(call, flow):
            return
        needed = flow.needed(call.outputs[0])
        zero = self._values(call, flow) == 0
        first = zero & (zero.cumsum(0) == 1)
        for tensor, makes_zero in zip(call.inputs, first, strict=True):
            matters = needed & (makes_zero | ~zero.any(0))
            self.mark(call, flow, tensor, matters)


@register_rule(keras.layers.Add)
class Add(Merging):
    """Sum of the operands; a constant one is dropped with all that made it."""

    combine = staticmethod(lambda values: values.sum(0))

    def backward(self, call: Call, flow: ChannelFlow) -> None:
        if self._is_irregular(call, flow):
            return
        needed = flow.needed(call.outputs[0])
        constant = ~np.isnan(self._values(call, flow)[:, needed]).any(1)
        shapes = [flow.shape(tensor) for tensor in call.inputs]
        whole = [shape == flow.shape(call.outputs[0]) for shape in shapes]
        if not any(w and not c for w, c in zip(whole, constant, strict=True)):
            constant[whole.index(True) if any(whole) else slice(None)] = False
        dropped = [
            tensor
            for tensor, drops in zip(call.inputs, constant, strict=True)
            if drops and call.inputs.count(tensor) == 1
        ]
        flow.drop(call, frozenset(dropped))
        for tensor in set(call.inputs) - set(dropped):
            self.mark(call, flow, tensor, needed)

    def run(
        self,
        call: Call,
        flow: ChannelFlow,
        operation: keras.Operation,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        dropped = flow.dropped.get(call.name, frozenset())
        if not dropped:
            return operation(*args, **kwargs)
        left = [x for x in keras.tree.flatten((args, kwargs)) if x is not None]
        name, constants = operation.name, self._dropped_sum(call, flow)
        if len(left) > 1:
            left = [operation(left)]
            name = f"{name}_constant"
        if not constants.any():
            return left[0]
        axis = flow[call.outputs[0]].axis
        return keras.layers.Rescaling(
            1.0,
            constants.reshape(-1, *[1] * (-axis - 1)).tolist(),
            name=name,
            dtype=operation.dtype_policy,
        )(left[0])

    def _dropped_sum(self, call: Call, flow: ChannelFlow) -> np.ndarray:
        """`(kept,)`: what the dropped operands add; 0 where nobody reads it."""
        drops = [x in flow.dropped[call.name] for x in call.inputs]
        sums = self._values(call, flow)[drops].sum(0)
        sums[~flow.needed(call.outputs[0])] = 0
        return sums[flow.kept(flow[call.outputs[0]])]
