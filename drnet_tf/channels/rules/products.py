"""Products, quotients, powers and extremes of tensors."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from drnet_tf.channels.channel_flow import ChannelFlow
from drnet_tf.channels.rules.merging import Merging, combined, rescaled
from drnet_tf.channels.rules.registry import register_rule
from drnet_tf.graph import Call


@register_rule(keras.layers.Multiply, "Multiply")
class Multiply(Merging):
    """Product of the operands: one zero makes it zero."""

    neutral = 1.0

    def combine(self, call: Call, values: np.ndarray) -> np.ndarray:
        return np.where((values == 0).any(0), 0.0, values.prod(0))

    def matters(self, values: np.ndarray, needed: np.ndarray) -> np.ndarray:
        zero = values == 0
        first = zero & (zero.cumsum(0) == 1)
        return needed & (first | ~zero.any(0))

    def can_do_without(self, call: Call, left: int) -> bool:
        return True

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
        factors = values[~there].prod(0)
        tensor = left[0]
        if len(left) > 1:
            tensor, name = combined(operation, left), f"{name}_constant"
        return rescaled(tensor, factors, np.zeros(len(factors)), axis, name)

    def zero_from(
        self, call: Call, flow: ChannelFlow
    ) -> tuple[tuple[int, ...], ...]:
        dropped = flow.dropped.get(call.name, frozenset())
        return tuple((x,) for x in call.inputs if x not in dropped)


class Extreme(Merging):
    """Largest or smallest of the operands."""

    extreme: Any  # of numpy
    operator: Any  # of Keras

    def combine(self, call: Call, values: np.ndarray) -> np.ndarray:
        return type(self).extreme.reduce(values)

    def can_do_without(self, call: Call, left: int) -> bool:
        return True

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
        tensor = combined(operation, left) if len(left) > 1 else left[0]
        constants = keras.ops.convert_to_tensor(
            self.combine(call, values[~there]), dtype=tensor.dtype
        )
        shape = (-1, *[1] * (-axis - 1))
        constants = keras.ops.reshape(constants, shape)
        return type(self).operator(tensor, constants)


@register_rule(keras.layers.Maximum, "Maximum")
class Maximum(Extreme):
    """`Maximum`, `keras.ops.maximum(a, b)`."""

    extreme = np.maximum
    operator = staticmethod(keras.ops.maximum)


@register_rule(keras.layers.Minimum, "Minimum")
class Minimum(Extreme):
    """`Minimum`, `keras.ops.minimum(a, b)`."""

    extreme = np.minimum
    operator = staticmethod(keras.ops.minimum)


@register_rule("Divide", "TrueDivide")
class Divide(Merging):
    """`a / b`."""

    def combine(self, call: Call, values: np.ndarray) -> np.ndarray:
        return values[0] / values[1]

    def zero_from(
        self, call: Call, flow: ChannelFlow
    ) -> tuple[tuple[int, ...], ...]:
        return ()


@register_rule("Power")
class Power(Merging):
    """`a ** b`."""

    def combine(self, call: Call, values: np.ndarray) -> np.ndarray:
        return values[0] ** values[1]

    def zero_from(
        self, call: Call, flow: ChannelFlow
    ) -> tuple[tuple[int, ...], ...]:
        return ()
