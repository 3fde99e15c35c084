"""Copies of a component's operations, with logits at the end."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from drnet_tf.assembly.component import Part
from drnet_tf.graph import Call
from drnet_tf.graph_building import config_of, give_weights, remade


class Copies:
    """Runs a part's calls with copies of its operations; see `graph.replay`.

    Args:
      part: whose operations are copied; they are not changed.
      prefix: of the names of the copies.
    """

    def __init__(self, part: Part, prefix: str) -> None:
        self._part, self._prefix = part, prefix
        self._copies: dict[int, keras.Operation] = {}

    def call(
        self, step: Call, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Calls the copy of an operation; a softmax at the end is left out."""
        part, operation = self._part, step.operation
        if step.name in part.softmaxes and step.name != part.head.name:
            return keras.tree.flatten((args, kwargs))[0]
        if id(operation) in self._copies:
            return self._copies[id(operation)](*args, **kwargs)
        config = copied_config(part, step)
        name = f"{self._prefix}{plain_name(step)}"
        new = remade(operation, {**config, "name": name})
        self._copies[id(operation)] = new
        outputs = new(*args, **kwargs)
        if isinstance(operation, keras.layers.Layer):
            give_weights(new, copied_weights(part, step))
        return outputs


def copied_config(part: Part, step: Call) -> dict[str, Any]:
    """An operation's config; the head's without a softmax."""
    config = config_of(step.operation)
    if step.name == part.head.name and step.name in part.softmaxes:
        config["activation"] = "linear"
    return config


def copied_weights(part: Part, step: Call) -> list[np.ndarray]:
    """A layer's arrays; the head's rows are multiplied by their factors."""
    arrays = step.operation.get_weights()
    if step.name == part.head.name:
        return [array * part.factors for array in arrays]
    return list(arrays)


def plain_name(step: Call) -> str:
    """A call's name as a layer's name, which may not hold "/"."""
    return step.name.replace("/", "_").replace(":", "_")
