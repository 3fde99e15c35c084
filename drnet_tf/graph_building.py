"""New graphs in the likeness of a model: inputs, names, the model itself."""

from __future__ import annotations

import copy
import sys
import types
import warnings
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from drnet_tf.graph import nodes_in_order, read_graph

_FUNCTIONS = ("activation", "recurrent_activation")


def new_inputs(model: keras.Model) -> list[keras.KerasTensor]:
    """Fresh symbolic inputs like those of a model: shape, dtype and name."""
    # The names are the layers': tensors are numbered through the session. A
    # Sequential does not show its input layer, a model of the inputs does.
    ends = keras.Model(model.inputs, model.inputs, name="inputs")
    names = {id(layer.output): layer.name for layer in ends.layers}
    return [
        keras.Input(batch_shape=x.shape, dtype=x.dtype, name=names[id(x)])
        for x in model.inputs
    ]


def model_like(
    model: keras.Model,
    inputs: list[keras.KerasTensor],
    outputs: list[keras.KerasTensor],
) -> keras.Model:
    """A Functional model of flat tensors, structured and named as `model`."""
    if isinstance(model, keras.Sequential):
        return functional_model(inputs[0], outputs[0], model.name)
    return functional_model(
        keras.tree.pack_sequence_as(model.input, inputs),
        keras.tree.pack_sequence_as(model.output, outputs),
        model.name,
    )


def functional_model(
    inputs: Any, outputs: Any, name: str | None = None
) -> keras.Model:
    """`keras.Model(inputs, outputs)`, however deep the graph is.

    Keras goes through a new graph by recursion, a step for each operation, and
    hits Python's limit (1,000) on networks that the gates made deeper.
    """
    ends = types.SimpleNamespace(
        inputs=keras.tree.flatten(inputs), outputs=keras.tree.flatten(outputs)
    )
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + 2 * len(nodes_in_order(ends)))
    try:
        return keras.Model(inputs, outputs, name=name)
    finally:
        sys.setrecursionlimit(limit)


def config_of(operation: keras.Operation) -> dict[str, Any]:
    """Its config, with functions of the user's own as they are.

    Keras writes a function by its name, and reads a name as its own function
    of that name: somebody's `relu` would come back as Keras'.

    Args:
      operation: a layer or an operator; it is not changed.

    Raises:
      ValueError: it has no config.

    Example:
      >>> def relu(x):
      ...     return keras.ops.maximum(x, 0.1 * x)
      >>> own = keras.layers.Dense(2, activation=relu)
      >>> config_of(own)["activation"] is relu
      True
      >>> config_of(keras.layers.Dense(2, activation="relu"))["activation"]
      'relu'
    """
    try:
        with warnings.catch_warnings():
            # It is not loaded from anywhere: the function itself is taken.
            warnings.filterwarnings("ignore", "The object being serialized")
            config = copy.deepcopy(operation.get_config())
    except Exception as error:
        raise _not_remade(operation, error) from error
    for name in _FUNCTIONS:
        own = getattr(operation, name, None)
        if name in config and callable(own) and not _is_of_keras(own):
            config[name] = own
    return config


def remade(
    operation: keras.Operation, config: Mapping[str, Any]
) -> keras.Operation:
    """A new operation of the same class.

    Args:
      operation: a layer or an operator; it is not changed.
      config: of `config_of`, maybe with other values.

    Raises:
      ValueError: the class does not take its config back.
    """
    try:
        if type(operation) is keras.layers.Lambda:
            # Its config holds code, which Keras reads from nobody.
            own = ("function", "mask", "arguments")
            functions = {name: getattr(operation, name) for name in own}
            return keras.layers.Lambda(**{**config, **functions})
        return type(operation).from_config(dict(config))
    except Exception as error:
        raise _not_remade(operation, error) from error


def give_weights(layer: keras.Layer, arrays: Sequence[np.ndarray]) -> None:
    """Sets the arrays of a layer that was made anew, and puts them to use."""
    layer.set_weights(arrays)
    _put_to_use(layer)


def _put_to_use(operation: keras.Operation) -> None:
    if isinstance(operation, keras.layers.Normalization):
        operation.finalize_state()  # reads adapted statistics only here


def _is_of_keras(function: Callable[..., Any]) -> bool:
    """Whether a config tells it: a layer, or a function that Keras names."""
    name = getattr(function, "__name__", "")
    return (
        isinstance(function, keras.Operation)
        or getattr(keras.activations, name, None) is function
    )


def _not_remade(operation: keras.Operation, error: Exception) -> ValueError:
    reason = str(error).strip().split("\n")[0]
    return ValueError(
        f"Layer '{operation.name}': its {type(operation).__name__} cannot be "
        f"made anew from its config ({reason}); give it a get_config() and "
        "register it by keras.saving.register_keras_serializable()."
    )


def copied(model: keras.Model, dtype_policy: str | None = None) -> keras.Model:
    """A network of the same layers and weights, none of them shared.

    Args:
      model: what is copied.
      dtype_policy: by which the copy computes, e.g. "mixed_bfloat16"; None: as
        the model does.
    """

    def clone(layer: keras.Layer) -> keras.Layer:
        config = config_of(layer)
        if dtype_policy is not None and "dtype" in config:
            config["dtype"] = dtype_policy
        return remade(layer, config)

    made = keras.models.clone_model(model, clone_function=clone)
    made.set_weights(model.get_weights())
    for call in read_graph(made).calls:
        _put_to_use(call.operation)
    return made


def seed_dropout(model: keras.Model, seed: int) -> None:
    """Gives each layer that draws at random a seed of its own.

    Copies of layers would draw theirs from Python's random.
    """
    for number, call in enumerate(read_graph(model).calls):
        generator = getattr(call.operation, "seed_generator", None)
        if generator is not None:
            generator.state.assign(np.array([seed, number], "uint32"))


def as_inputs(model: keras.Model, *arrays: Any) -> Any:
    """Arrays in the structure in which a model takes its inputs.

    Example:
      >>> x = keras.Input((2,))
      >>> as_inputs(keras.Model([x], x), 5)
      [5]
    """
    if isinstance(model, keras.Sequential):
        return arrays[0]
    return keras.tree.pack_sequence_as(model.input, list(arrays))


def run_untraced(
    model: keras.Model, images: np.ndarray, batch_size: int
) -> np.ndarray:
    """A model's outputs at inference, batch by batch.

    Called a few times only, a network is faster untraced.

    Args:
      model: with one input and one output.
      images: `(N, ...)`.
      batch_size: images run at a time.
    """
    parts = [
        keras.ops.convert_to_numpy(
            model(as_inputs(model, images[i : i + batch_size]), training=False)
        )
        for i in range(0, len(images), batch_size)
    ]
    return np.concatenate(parts)


def make_names_unique(
    inputs: list[keras.KerasTensor],
    outputs: list[keras.KerasTensor],
    named: Container[int],
) -> None:
    """Renames operations whose name another one of a new graph has.

    Keras numbers operators by itself, and wants names unique in a model.

    Args:
      inputs, outputs: of the graph.
      named: `id` of operations that keep their names, unique among them.
    """
    ends = types.SimpleNamespace(inputs=inputs, outputs=outputs)
    found = {id(x.operation): x.operation for x in nodes_in_order(ends)}
    taken = {x.name for x in found.values() if id(x) in named}
    taken |= {x.name for x in inputs}
    for key, operation in found.items():
        if key in named:
            continue
        name, number = operation.name, 0
        while operation.name in taken:
            number += 1
            operation.name = f"{name}_{number}"
        taken.add(operation.name)
