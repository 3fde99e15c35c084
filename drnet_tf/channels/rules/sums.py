"""Weighted sums of tensors: y = sum over i of s_i x_i."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from drnet_tf.channels.rules.merging import Merging, combined, rescaled
from drnet_tf.channels.rules.operands import operands
from drnet_tf.channels.rules.registry import register_rule
from drnet_tf.graph import Call


class Sum(Merging):
    """A constant operand is dropped with all that made it."""

    is_mean = False

    def weights(self, call: Call) -> np.ndarray:
        """`(operands,)` s."""
        return np.ones(len(operands(call)))

    def combine(self, call: Call, values: np.ndarray) -> np.ndarray:
        return self.weights(call) @ values

    def can_do_without(self, call: Call, left: int) -> bool:
        return left == 1

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
        weights = self.weights(call)
        constants = weights[~there] @ values[~there]
        if len(left) == 1:
            scale = weights[there][0]
            return rescaled(left[0], scale, constants, axis, name)
        scale = weights[0] * len(left) if self.is_mean else 1.0
        tensor = combined(operation, left)
        return rescaled(tensor, scale, constants, axis, f"{name}_constant")


@register_rule(keras.layers.Add, "Add")
class Add(Sum):
    """`Add`, `a + b`."""

    def can_do_without(self, call: Call, left: int) -> bool:
        return True


@register_rule(keras.layers.Average)
class Average(Sum):
    """Mean of the operands."""

    is_mean = True

    def weights(self, call: Call) -> np.ndarray:
        count = len(operands(call))
        return np.full(count, 1 / count)

    def can_do_without(self, call: Call, left: int) -> bool:
        return True


@register_rule(keras.layers.Subtract, "Subtract")
class Subtract(Sum):
    """First operand minus the second."""

    def weights(self, call: Call) -> np.ndarray:
        return np.array([1.0, -1.0])


@register_rule("inception_resnet_v2.CustomScaleLayer")
class ScaledResidual(Sum):
    """x + scale y, a layer of `keras.applications.InceptionResNetV2`."""

    def weights(self, call: Call) -> np.ndarray:
        return np.array([1.0, call.operation.scale])
