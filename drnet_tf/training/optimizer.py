"""SGD whose weight decay goes through the momentum, as in DRNet's settings."""

from __future__ import annotations

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="drnet_tf")
class CoupledDecaySGD(keras.optimizers.SGD):
    """SGD with momentum μ and the weight decay δ in the gradient.

        v ← μ v - η (g + δ w),    w ← w + v.

    Keras' own `weight_decay` stands beside the momentum, w ← w - η δ w (I.
    Loshchilov, F. Hutter, "Decoupled Weight Decay Regularization",
    arXiv:1711.05101), so that at μ = 0.9 the same number means a tenth of it.

    Args:
      learning_rate: η, a number or a schedule.
      momentum: μ.
      coupled_decay: δ.
      **options: see `keras.optimizers.SGD`.

    Example:
      >>> import numpy as np
      >>> weight = keras.Variable(np.array(2.0, "float32"))
      >>> optimizer = CoupledDecaySGD(0.1, coupled_decay=0.5)
      >>> optimizer.apply([keras.ops.zeros(())], [weight])
      >>> round(float(weight), 4)  # 2 - 0.1 * 0.5 * 2
      1.9
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        coupled_decay: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, momentum, **options)
        self.coupled_decay = coupled_decay

    def update_step(
        self, gradient: Any, variable: Any, learning_rate: Any
    ) -> None:
        """One update of one variable."""
        ops = keras.ops
        if self.coupled_decay:
            gradient = ops.add(
                ops.cast(gradient, variable.dtype),
                ops.multiply(
                    variable, ops.cast(self.coupled_decay, variable.dtype)
                ),
            )
        super().update_step(gradient, variable, learning_rate)

    def get_config(self) -> dict[str, Any]:
        """The arguments, as Keras saves them."""
        return {**super().get_config(), "coupled_decay": self.coupled_decay}
