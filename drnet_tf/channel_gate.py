"""The gate: a factor per channel, as a function and as a Keras layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras


def apply_gates(
    inputs: Any,
    gates: Any,
    axis: int = -1,
    entries: Sequence[int] | None = None,
) -> Any:
    """Multiplies every channel by its gate: y[n, .., c] = λ[n, c] x[n, .., c].

    Args:
      inputs: tensor of any rank, channels on `axis`.
      gates: λ, shape `(channels,)`, or `(batch, channels)` for gates per image.
      axis: the channel axis.
      entries: for each channel the number of its gate, where several channels
        share one; by default each has its own, in order.

    Returns:
      A tensor of the shape and dtype of `inputs`.
    """
    if entries is not None and list(entries) != list(range(gates.shape[-1])):
        gates = keras.ops.take(gates, keras.ops.array(entries), axis=-1)
    rank = len(inputs.shape)
    shape = [1] * rank
    shape[axis] = -1
    if len(gates.shape) == 2:
        # -1 can stand once only, and the batch is the open axis.
        shape[0] = -1
        shape[axis] = gates.shape[1]
    gates = keras.ops.cast(gates, inputs.dtype)
    return inputs * keras.ops.reshape(gates, shape)


@keras.saving.register_keras_serializable(package="drnet_tf")
class ChannelGate(keras.layers.Layer):
    """A gate λ for every channel: y = λ x, one factor per channel.

    The gates start open (1), so a new layer changes nothing, bit for bit.

    Args:
      axis: the channel axis, e.g. -1 for channels last, 1 for channels first.
      size: number of gates, where it is not that of the channels.
      **kwargs: `name`, `dtype`, `trainable`, as for every Keras layer.

    Call arguments:
      inputs: tensor of any rank >= 2 with channels on `axis`.
      entries: for each channel the number of its gate; by default its own. A
        tied site calls its gate at several tensors.

    Input shape: any, e.g. `(batch, height, width, channels)`.
    Output shape: that of the input.
    Reference: DRNet section 3.1; Wang et al., CVPR 2018 (control gates).

    Example:
      >>> import numpy as np
      >>> gate = ChannelGate()
      >>> x = np.ones((1, 2), "float32")
      >>> np.array_equal(gate(x), x)
      True
      >>> gate.set_weights([np.array([0.5, 0.0])])
      >>> gate(x).numpy().tolist()
      [[0.5, 0.0]]
    """

    def __init__(
        self, axis: int = -1, size: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if axis == 0:
            raise ValueError(
                f"ChannelGate '{self.name}': axis 0 is the batch; expected the "
                "channel axis, e.g. -1 for channels last or 1 for channels "
                "first."
            )
        self.axis = axis
        self.size = size
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        rank = len(input_shape)
        if not -rank < self.axis < rank or input_shape[self.axis] is None:
            raise ValueError(
                f"ChannelGate '{self.name}': expected a known number of "
                f"channels on axis {self.axis}, got shape "
                f"{tuple(input_shape)}; pass the axis that holds the channels."
            )
        self.gates = self.add_weight(
            shape=(self.size or input_shape[self.axis],),
            initializer="ones",
            name="gates",
        )

    def call(self, inputs: Any, entries: Sequence[int] | None = None) -> Any:
        return apply_gates(inputs, self.gates, self.axis, entries)

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis, "size": self.size}
