"""A copy of a network, computed in the same or another precision."""

from __future__ import annotations

import collections
from typing import Any

import keras

from drnet_tf.graph import Call, Graph, read_graph, replay
from drnet_tf.graph_building import (
    config_of,
    give_weights,
    model_like,
    new_inputs,
    remade,
)


def copied_network(
    model: keras.Model, policy: str | None = None
) -> keras.Model:
    """A copy of a network, weights included; under another dtype policy.

    Args:
      model: a Functional or Sequential model; it is not changed.
      policy: a Keras policy, e.g. "mixed_bfloat16": weights stay float32, the
        layers compute in bfloat16; None: each layer keeps its own.

    Example:
      >>> import keras
      >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
      >>> copied_network(model, "mixed_bfloat16").layers[-1].compute_dtype
      'bfloat16'
    """
    graph = read_graph(model)
    names = _unique_names(graph)
    copies: dict[int, keras.Operation] = {}

    def call(step: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        original = step.operation
        key = id(original)
        if key in copies:
            return copies[key](*args, **kwargs)
        config = {**config_of(original), "name": names[key]}
        if policy is not None and isinstance(original, keras.layers.Layer):
            config["dtype"] = policy
        copies[key] = remade(original, config)
        outputs = copies[key](*args, **kwargs)
        if isinstance(original, keras.layers.Layer):
            give_weights(copies[key], original.get_weights())
        return outputs

    inputs = new_inputs(model)
    return model_like(model, inputs, replay(graph, inputs, call))


def _unique_names(graph: Graph) -> dict[int, str]:
    """Names by `id(operation)`: nested models may use the same ones."""
    operations = {
        id(call.operation): (call.operation.name, call.name)
        for call in reversed(graph.calls)
    }
    counts = collections.Counter(name for name, _ in operations.values())
    return {
        key: name if counts[name] == 1 else path.replace("/", "_")
        for key, (name, path) in operations.items()
    }
