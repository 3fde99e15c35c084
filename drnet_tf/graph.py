"""The graph of a Keras model as plain data: which call reads which tensor.

Keras 3 has no public way to walk a Functional graph tensor by tensor, so this
is the one module of the package that reads Keras' private attributes
(`KerasTensor._keras_history` and `Operation._inbound_nodes`);
`tests/graph_test.py` holds them against the installed Keras. Everything else
works on `Graph`.
"""

from __future__ import annotations

import collections
import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import keras


@dataclasses.dataclass(frozen=True)
class TensorRef:
    """Stands for tensor number `index` of a `Graph` in a call's arguments."""

    index: int


@dataclasses.dataclass(frozen=True)
class Call:
    """One call of an operation (a layer may be called several times).

    Attributes:
      name: unique in the graph: the operation's name; `name:1`, `name:2`, ...
        for the further calls of a shared layer; `inner_model/name` for the
        operations of a nested model.
      operation: the `keras.Operation`: a layer, or an operator (`a + b`).
      args, kwargs: its arguments, every tensor replaced by a `TensorRef`.
      inputs: numbers of the tensors it reads, in the order of the arguments.
      outputs: numbers of the tensors it makes.
    """

    name: str
    operation: keras.Operation
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Graph:
    """A model's calls in an order in which they can run.

    Nested Functional and Sequential models are opened: their calls stand here
    like any other.

    Attributes:
      calls: all calls that lie between inputs and outputs.
      tensors: symbolic `keras.KerasTensor` (shape and dtype) of each number.
      inputs, outputs: numbers of the model's inputs and outputs, flat.
    """

    calls: tuple[Call, ...]
    tensors: tuple[keras.KerasTensor, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def consumers(self) -> dict[int, tuple[Call, ...]]:
        """Maps the number of each tensor to the calls that read it."""
        found: dict[int, list[Call]] = {i: [] for i in range(len(self.tensors))}
        for call in self.calls:
            for index in dict.fromkeys(call.inputs):
                found[index].append(call)
        return {index: tuple(calls) for index, calls in found.items()}

    def producers(self) -> dict[int, Call]:
        """Maps the number of each tensor to the call that makes it."""
        return {index: call for call in self.calls for index in call.outputs}


def check_model(model: keras.Model) -> None:
    """Refuses what has no graph: anything but a built Functional or Sequential.

    Raises:
      TypeError: `model` is not a Keras model, or overrides `call`.
      ValueError: `model` is a Sequential whose input shape is not known yet.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"model: expected a Functional or Sequential keras.Model, got "
            f"{type(model).__name__}; load it with keras.models.load_model."
        )
    if not _runs_its_graph(model):
        raise TypeError(
            f"Model '{model.name}': expected a Functional or Sequential model, "
            f"got the subclass {type(model).__name__}, whose graph cannot be "
            "read; rebuild it as keras.Model(inputs, outputs)."
        )
    if not _has_graph(model):
        raise ValueError(
            f"Model '{model.name}': this Sequential has no input shape yet, so "
            "it has no graph; add a keras.Input or call "
            "model.build(input_shape) first."
        )


def read_graph(model: keras.Model) -> Graph:
    """Reads the graph of a Functional or Sequential model.

    Args:
      model: a built Functional or Sequential model; it is not changed. Models
        nested in it are opened.

    Raises:
      TypeError, ValueError: see `check_model`.

    Example:
      >>> import keras
      >>> x = keras.Input((8, 8, 3))
      >>> y = keras.layers.Conv2D(4, 3, name="conv")(x)
      >>> [call.name for call in read_graph(keras.Model(x, y)).calls]
      ['conv']
    """
    check_model(model)
    reader = _Reader()
    inputs = tuple(reader.new_tensor(x) for x in model.inputs)
    outputs = reader.read(model, inputs, prefix="")
    return Graph(tuple(reader.calls), tuple(reader.tensors), inputs, outputs)


def replay(
    graph: Graph,
    inputs: list[Any],
    call: Callable[[Call, tuple[Any, ...], dict[str, Any]], Any] | None = None,
) -> list[Any]:
    """Runs the graph on new inputs, symbolic or concrete.

    Args:
      graph: what to run.
      inputs: one tensor for each of `graph.inputs`.
      call: how one call runs, `(call, args, kwargs) -> outputs`; by default
        `call.operation(*args, **kwargs)`.

    Returns:
      One tensor for each of `graph.outputs`.
    """
    values: dict[int, Any] = dict(zip(graph.inputs, inputs, strict=True))
    for step in graph.calls:
        args, kwargs = keras.tree.map_structure(
            lambda x: values[x.index] if isinstance(x, TensorRef) else x,
            (step.args, step.kwargs),
        )
        if call is None:
            outputs = step.operation(*args, **kwargs)
        else:
            outputs = call(step, args, kwargs)
        values.update(
            zip(step.outputs, keras.tree.flatten(outputs), strict=True)
        )
    return [values[index] for index in graph.outputs]


class _Reader:
    """Collects calls and numbers tensors while models are read."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.tensors: list[keras.KerasTensor] = []
        self._times_called: collections.Counter[str] = collections.Counter()

    def new_tensor(self, tensor: keras.KerasTensor) -> int:
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def read(
        self,
        model: Any,
        inputs: tuple[int, ...],
        prefix: str,
        training: bool | None = None,
    ) -> tuple[int, ...]:
        """Reads `model` fed with the tensors `inputs`; gives its outputs."""
        numbers = dict(zip(map(id, model.inputs), inputs, strict=True))
        for node in nodes_in_order(model):
            args, kwargs = keras.tree.map_structure(
                lambda x: (
                    TensorRef(numbers[id(x)])
                    if isinstance(x, keras.KerasTensor)
                    else x
                ),
                (node.arguments.args, node.arguments.kwargs),
            )
            refs = tuple(
                x.index
                for x in keras.tree.flatten((args, kwargs))
                if isinstance(x, TensorRef)
            )
            operation = node.operation
            kwargs = _trained_as(training, operation, kwargs)
            path = prefix + operation.name
            if _has_graph(operation):
                outputs = self.read(
                    operation, refs, f"{path}/", kwargs.get("training")
                )
            else:
                outputs = tuple(self.new_tensor(x) for x in node.outputs)
                name = self._unique_name(path)
                self.calls.append(
                    Call(name, operation, args, kwargs, refs, outputs)
                )
            numbers.update(zip(map(id, node.outputs), outputs, strict=True))
        return tuple(numbers[id(x)] for x in model.outputs)

    def _unique_name(self, name: str) -> str:
        times = self._times_called[name]
        self._times_called[name] += 1
        return f"{name}:{times}" if times else name


def _has_graph(operation: keras.Operation) -> bool:
    sequential = isinstance(operation, keras.Sequential)
    if sequential and not (operation.built and operation.inputs):
        return False
    return _runs_its_graph(operation)


def _runs_its_graph(operation: keras.Operation) -> bool:
    """Whether calling it does what its graph says, and no more."""
    functional = keras.src.models.functional.Functional
    return any(
        isinstance(operation, base) and type(operation).call is base.call
        for base in (functional, keras.Sequential)
    )


def _trained_as(
    training: bool | None, operation: keras.Operation, kwargs: dict[str, Any]
) -> dict[str, Any]:
    """Hands a nested model's `training=` on, as Keras does when it calls it."""
    if training is None or kwargs.get("training") is not None:
        return kwargs
    if _has_graph(operation) or (
        isinstance(operation, keras.layers.Layer)
        and "training" in inspect.signature(operation.call).parameters
    ):
        return {**kwargs, "training": training}
    return kwargs


def nodes_in_order(model: keras.Model) -> list[Any]:
    """Keras' nodes between the inputs and outputs, each after those it reads.

    Depth first without recursion (deep networks outrun Python's stack).
    """
    order: list[Any] = []
    done: set[int] = {id(x) for x in model.inputs}  # tensors at hand
    seen: set[int] = set()  # nodes
    stack = [x for x in reversed(model.outputs)]
    while stack:
        tensor = stack[-1]
        if id(tensor) in done:
            stack.pop()
            continue
        history = tensor._keras_history
        node = history.operation._inbound_nodes[history.node_index]
        waiting = [x for x in node.arguments.keras_tensors if id(x) not in done]
        if waiting:
            stack.extend(reversed(waiting))
            continue
        stack.pop()
        if id(node) not in seen:
            seen.add(id(node))
            order.append(node)
        done.update(map(id, node.outputs))
    return order
