"""Builds the small network, call by call."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from drnet_tf.channels.analysis import rule_of
from drnet_tf.channels.channel_flow import ChannelFlow
from drnet_tf.channels.rules.merging import rescaled
from drnet_tf.graph import Call, TensorRef, replay
from drnet_tf.graph_building import (
    make_names_unique,
    model_like,
    new_inputs,
    remade,
)


@dataclasses.dataclass(frozen=True)
class Built:
    """The small network.

    Attributes:
      model: the network.
      tensors: its tensors, by the number of the full network's.
      made: the same as its calls make them: where a layer of its own makes
        channels zero, before it.
      sizes: parameters of its operations, by the `id` of the full network's.
    """

    model: keras.Model
    tensors: dict[int, keras.KerasTensor]
    made: dict[int, keras.KerasTensor]
    sizes: dict[int, int]


def rebuild(model: keras.Model, flow: ChannelFlow) -> Built:
    """Builds the network of the channels that `flow` keeps.

    The arrays of a layer are cut when it is built and let go when it has them,
    so that never more than one layer's are there twice.

    Args:
      model: the full network; it is not changed.
      flow: the complete analysis, with `silence` done.
    """
    builder = _Builder(flow)
    inputs = new_inputs(model)
    builder.tensors.update(zip(flow.graph.inputs, inputs, strict=True))
    outputs = replay(flow.graph, inputs, builder.call)
    make_names_unique(inputs, outputs, builder.named)
    small = model_like(model, inputs, outputs)
    return Built(small, builder.tensors, builder.made, builder.sizes)


class _Builder:
    """Remembers the new operations, as layers may be shared."""

    def __init__(self, flow: ChannelFlow) -> None:
        self._flow = flow
        self._operations: dict[int, keras.Operation] = {}
        self._weights: dict[int, Sequence[np.ndarray]] = {}
        self._names = layer_names(flow)
        self.tensors: dict[int, keras.KerasTensor] = {}
        self.made: dict[int, keras.KerasTensor] = {}
        self.sizes: dict[int, int] = {}

    @property
    def named(self) -> frozenset[int]:
        """`id` of the new operations that stand for one of the full network."""
        return frozenset(map(id, self._operations.values()))

    def call(
        self, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Runs one call on the small network's tensors; None if it is dead."""
        if call.name not in self._flow.alive:
            return [None] * len(call.outputs)
        rule = rule_of(call)
        read = frozenset(rule.reads(call, self._flow))
        args, kwargs = keras.tree.map_structure(
            lambda ref, tensor: (
                None
                if isinstance(ref, TensorRef) and ref.index not in read
                else tensor
            ),
            (call.args, call.kwargs),
            (args, kwargs),
        )
        outputs = rule.run(
            call, self._flow, self._operation(call), args, kwargs
        )
        weights = self._weights.pop(id(call.operation), ())
        if len(weights):
            self._operation(call).set_weights(weights)
        made = dict(zip(call.outputs, keras.tree.flatten(outputs), strict=True))
        closed = {tensor: self._close(tensor, x) for tensor, x in made.items()}
        self.made |= made
        self.tensors |= closed
        return list(closed.values())

    def _operation(self, call: Call) -> keras.Operation:
        key = id(call.operation)
        if key not in self._operations:
            part = rule_of(call).rebuild(call, self._flow)
            config = {**part.config, "name": self._names[key]}
            self._operations[key] = remade(call.operation, config)
            self._weights[key] = part.weights
            self.sizes[key] = sum(np.size(array) for array in part.weights)
        return self._operations[key]

    def _close(self, tensor: int, output: keras.KerasTensor) -> Any:
        """Silences a site's channels by a layer of its own."""
        places = self._flow.closed.get(tensor)
        if places is None:
            return output
        site = self._flow.masks[tensor]
        channels = self._flow.on_axis(tensor, site.axis)
        factors = np.where(places, 0.0, 1.0)[self._flow.kept(channels)]
        name = f"{_plain(site.name)}_mask"
        nothing = np.zeros(len(factors))
        return rescaled(output, factors, nothing, site.axis, name)


def layer_names(flow: ChannelFlow) -> dict[int, str]:
    """New names by `id(operation)`: as in the full network where unique."""
    operations = {
        id(call.operation): (call.operation.name, _plain(call.name))
        for call in reversed(flow.graph.calls)
    }
    counts = collections.Counter(name for name, _ in operations.values())
    taken = {name for name, count in counts.items() if count == 1}
    names = {}
    for key, (name, path) in operations.items():
        if counts[name] > 1:
            name = path
            while name in taken:  # `a/b` and a layer that is named `a_b`
                name += "_"
            taken.add(name)
        names[key] = name
    return names


def _plain(name: str) -> str:
    return name.replace("/", "_").replace(":", "_")
