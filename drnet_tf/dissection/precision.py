"""The same network computed in another precision."""

from __future__ import annotations

from typing import Any

import keras

from drnet_tf.graph import Call, model_like, new_inputs, read_graph, replay


def with_dtype_policy(model: keras.Model, policy: str) -> keras.Model:
    """A copy of a network under another dtype policy, weights copied.

    Args:
      model: a Functional or Sequential model; it is not changed.
      policy: a Keras policy, e.g. "mixed_bfloat16": weights stay float32, the
        layers compute in bfloat16.

    Example:
      >>> import keras
      >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
      >>> with_dtype_policy(model, "mixed_bfloat16").layers[-1].compute_dtype
      'bfloat16'
    """
    copies: dict[int, keras.layers.Layer] = {}

    def call(step: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        layer = step.operation
        if not isinstance(layer, keras.layers.Layer):
            return layer(*args, **kwargs)
        copy = copies.get(id(layer))
        if copy is None:
            config = {**layer.get_config(), "dtype": policy}
            copy = copies[id(layer)] = type(layer).from_config(config)
            outputs = copy(*args, **kwargs)
            copy.set_weights(layer.get_weights())
            return outputs
        return copy(*args, **kwargs)

    inputs = new_inputs(model)
    return model_like(model, inputs, replay(read_graph(model), inputs, call))
