"""What differs between Keras backends: gradients and compilation.

Everything else of a dissection is written in `keras.ops`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

SUPPORTED_BACKENDS = ("tensorflow", "jax")


def check_backend() -> None:
    """Refuses a Keras backend without a gradient here.

    Raises:
      RuntimeError: the running backend is not in `SUPPORTED_BACKENDS`.
    """
    if keras.backend.backend() not in SUPPORTED_BACKENDS:
        raise RuntimeError(
            f"Dissection runs on the Keras backends {SUPPORTED_BACKENDS}, "
            f"got '{keras.backend.backend()}'; set KERAS_BACKEND to one of "
            "them."
        )


def gradient(
    function: Callable[[Any], tuple[Any, Any]], variable: Any
) -> tuple[Any, Any]:
    """Gradient of a scalar function that also returns other results.

    Args:
      function: maps a tensor, or a list of them, to `(scalar, others)`.
      variable: where the gradient is taken: a tensor, or a list of them.

    Returns:
      `(d scalar / d variable, others)`, structured as `variable`; zeros where
      the scalar does not depend on it.
    """
    if keras.backend.backend() == "jax":
        import jax

        return jax.grad(function, has_aux=True)(variable)
    import tensorflow as tf

    # The network's weights are read, not trained: no gradient for them.
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(variable)
        value, others = function(variable)
    slope = tape.gradient(
        value, variable, unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    return slope, others


def compiled(
    function: Callable[..., Any], shapes: list[tuple[int | None, ...]]
) -> Callable[..., Any]:
    """Compiles a function of float32 tensors once, with an open batch axis.

    Args:
      function: a function of as many tensors as there are `shapes`.
      shapes: their shapes, None for an axis that may change from call to call.
    """
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    import tensorflow as tf

    return tf.function(
        function,
        input_signature=[tf.TensorSpec(s, tf.float32) for s in shapes],
        autograph=False,
    )
