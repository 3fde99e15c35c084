"""Fingerprints: which network an artefact was made from."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import keras
import numpy as np

from drnet_tf.graph import Call, Graph, read_graph


def fingerprint(model: keras.Model) -> str:
    """Identifies a network: its structure and every bit of its weights.

    SHA-256 over, call by call in graph order: the call's name, the class of its
    operation, its activation, which tensors it reads, the shapes of those it
    makes (batch axis aside), and the shape, type and bytes of its weights.
    Saving and loading, freezing layers, compiling and the computation type
    (mixed precision) leave it as it is; one changed weight does not.

    Args:
      model: a Functional or Sequential model; it is not changed.

    Returns:
      64 hexadecimal digits.

    Raises:
      TypeError, ValueError: the model has no graph; see `graph.check_model`.

    Example:
      >>> import keras
      >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
      >>> before = fingerprint(model)
      >>> _ = model.layers[0].bias.assign([0.0, 1e-6])
      >>> len(before), fingerprint(model) == before
      (64, False)
    """
    graph = read_graph(model)
    digest = hashlib.sha256()
    _add_line(digest, [_shape(graph, index) for index in graph.inputs])
    seen: set[int] = set()
    for call in graph.calls:
        _add_line(digest, _structure(graph, call))
        if id(call.operation) not in seen:  # a shared layer has one set
            seen.add(id(call.operation))
            _add_weights(digest, call.operation)
    _add_line(digest, list(graph.outputs))
    return digest.hexdigest()


def _structure(graph: Graph, call: Call) -> list[Any]:
    activation = getattr(call.operation, "activation", None)
    return [
        call.name,
        type(call.operation).__name__,
        getattr(activation, "__name__", type(activation).__name__),
        list(call.inputs),
        [_shape(graph, index) for index in call.outputs],
    ]


def _shape(graph: Graph, index: int) -> list[int | None]:
    return list(graph.tensors[index].shape[1:])


def _add_weights(digest: Any, operation: keras.Operation) -> None:
    for weight in getattr(operation, "weights", ()):
        tensor = keras.ops.convert_to_tensor(weight)
        array = np.asarray(keras.ops.convert_to_numpy(tensor))
        _add_line(digest, [list(array.shape), str(array.dtype)])
        # A view as bytes: copies nothing, and takes bfloat16 as well.
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8))


def _add_line(digest: Any, values: list[Any]) -> None:
    digest.update(json.dumps(values).encode() + b"\n")
