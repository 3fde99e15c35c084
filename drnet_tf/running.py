"""Which channels of a tensor run in a sub-task, followed through the graph."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence

import keras
import numpy as np

from drnet_tf.call_costs import Product
from drnet_tf.free_sites import (
    MERGES,
    NORMS,
    GateSite,
    channel_axis,
    is_activation,
)
from drnet_tf.graph import Call, Graph
from drnet_tf.operations import class_names

# Each channel of the output depends on the same channel of the input alone.
_CHANNEL_WISE = re.compile(
    r"(Average|Max|AdaptiveAverage|AdaptiveMax)Pooling[123]D|"
    r"(Zero|Spatial|Up|Cropping).*[123]D|"
    r"(Alpha|Gaussian)?Dropout|GaussianNoise|ActivityRegularization|"
    r"Identity|Rescaling|Cast"
)
_POOLED = re.compile(r"Global(Average|Max)Pooling[123]D|Mean|Max")
_SAME_ORDER = ("Flatten", "Reshape", "Squeeze", "ExpandDims")


@dataclasses.dataclass(frozen=True, eq=False)
class Running:
    """The channels of a tensor that run.

    Attributes:
      flags: `(C,)` bool.
      axis: where the channels are, counted from the end.
    """

    flags: np.ndarray
    axis: int


@dataclasses.dataclass(frozen=True, eq=False)
class Use:
    """The channels that run before and after a call.

    Attributes:
      before: `(C,)` bool for a convolution or Dense layer; None: all run.
      after: `(C,)` bool; None: all run.
      axis: of the channels `after`, counted from the end.
    """

    before: np.ndarray | None = None
    after: np.ndarray | None = None
    axis: int = -1

    def key(self) -> tuple[bytes | None, bytes | None, int]:
        """Equal for uses of the same channels."""
        before, after = (
            None if flags is None else flags.tobytes()
            for flags in (self.before, self.after)
        )
        return before, after, self.axis

    def __or__(self, other: Use) -> Use:
        """What runs in either of two calls of a shared layer."""
        return Use(
            _either(self.before, other.before),
            _either(self.after, other.after),
            self.axis,
        )


def follow(
    graph: Graph,
    products: Sequence[tuple[Product, ...]],
    sites: Sequence[GateSite],
    keep: Mapping[str, np.ndarray],
    rows: Mapping[str, np.ndarray],
) -> list[Use]:
    """Follows the running channels from the sites through the whole graph.

    Args:
      graph: of the network.
      products: of each call, from `call_costs.products`.
      sites: of the network.
      keep: `(C_l,)` bool for each site.
      rows: `(K,)` bool for calls whose outputs are cut otherwise (the head).

    Returns:
      One entry for each call of `graph`.
    """
    at_tensor = {site.tensor: site for site in sites}
    made = dict(rows)  # by the names of the convolutions
    for site in sites:
        for conv in site.convs:
            made[conv] = made.get(conv, False) | keep[site.name]
    states: dict[int, Running | None] = {}
    uses = []
    for call, parts in zip(graph.calls, products, strict=True):
        before = [states.get(index) for index in call.inputs]
        if parts:
            use = _use_product(call, before[0], made.get(call.name), graph)
        else:
            state = flow(call, before, graph)
            use = Use(None, state.flags, state.axis) if state else Use()
        uses.append(use)
        for index in call.outputs:
            if index in at_tensor:
                site = at_tensor[index]
                states[index] = Running(keep[site.name], site.axis)
            elif use.after is not None:
                states[index] = Running(use.after, use.axis)
    return uses


def head_of(
    graph: Graph, products: Sequence[tuple[Product, ...]]
) -> tuple[str, int] | None:
    """Name and width of the call that makes the class scores, if there is one.

    Args:
      graph: of the network.
      products: of each call, from `call_costs.products`.
    """
    producers = graph.producers()
    widths = {
        call.name: parts[-1].outputs
        for call, parts in zip(graph.calls, products, strict=True)
        if parts
    }
    call = producers.get(graph.outputs[0])
    while call is not None and call.name not in widths:
        call = producers.get(call.inputs[0])
    return (call.name, widths[call.name]) if call else None


def _use_product(
    call: Call, before: Running | None, after: np.ndarray | None, graph: Graph
) -> Use:
    axis = channel_axis(call, len(graph.tensors[call.outputs[0]].shape))
    # A Dense layer on images with their channels first mixes other axes.
    if before is None or before.axis != axis:
        return Use(None, after, axis)
    return Use(before.flags, after, axis)


def _either(
    first: np.ndarray | None, second: np.ndarray | None
) -> np.ndarray | None:
    return None if first is None or second is None else first | second


def flow(
    call: Call, inputs: Sequence[Running | None], graph: Graph
) -> Running | None:
    """The running channels of a call's output, from those of its inputs.

    Args:
      call: of an operation that is no convolution and no Dense layer.
      inputs: one entry for each of `call.inputs`; None: every channel runs.
      graph: that the call is in.

    Returns:
      None if every channel runs, or if the operation is not known here.
    """
    if all(state is None for state in inputs) or len(call.outputs) != 1:
        return None
    names = class_names(call)
    if names & {*MERGES}:
        return _combine(inputs, np.logical_or)
    if names & {"Multiply"}:
        return _combine(inputs, np.logical_and)
    if names & {"Concatenate"}:
        return _concatenate(call, inputs, graph)
    state = inputs[0]
    if state is None or len(inputs) != 1:
        return None
    if names & {*_SAME_ORDER, "Permute"}:
        return _rearrange(call, state, graph)
    if any(_POOLED.fullmatch(name) for name in names):
        return _pool(call, state, graph)
    activation = getattr(call.operation, "activation", None)
    if (
        is_activation(call)
        or getattr(activation, "__name__", "") == "linear"
        or names & {*NORMS}
        or any(_CHANNEL_WISE.fullmatch(name) for name in names)
    ):
        return state
    return None


def _combine(
    inputs: Sequence[Running | None], rule: np.ufunc
) -> Running | None:
    """Channel by channel; a tensor that runs whole decides a sum."""
    known = [state for state in inputs if state is not None]
    if rule is np.logical_or and len(known) < len(inputs):
        return None
    if len({state.axis for state in known}) > 1:
        return None
    flags = known[0].flags
    for state in known[1:]:
        flags = rule(flags, state.flags)
    return Running(flags, known[0].axis)


def _concatenate(
    call: Call, inputs: Sequence[Running | None], graph: Graph
) -> Running | None:
    shapes = [graph.tensors[index].shape for index in call.inputs]
    axis = call.operation.axis
    axis = axis if axis < 0 else axis - len(shapes[0])
    if {state.axis for state in inputs if state is not None} != {axis}:
        return _combine(inputs, np.logical_or)
    flags = [
        np.ones(shape[axis], bool) if state is None else state.flags
        for state, shape in zip(inputs, shapes, strict=True)
    ]
    return Running(np.concatenate(flags), axis)


def _rearrange(call: Call, state: Running, graph: Graph) -> Running | None:
    """Channels after a change of shape, if one axis still tells them apart."""
    before, after = (
        graph.tensors[index].shape[1:]
        for index in (call.inputs[0], call.outputs[0])
    )
    if None in before or None in after or state.axis < -len(before):
        return None
    behind = (1,) * (-state.axis - 1)
    runs = np.broadcast_to(state.flags.reshape(-1, *behind), before)
    if class_names(call) & {"Permute"}:
        runs = runs.transpose([axis - 1 for axis in call.operation.dims])
    elif getattr(call.operation, "data_format", None) == "channels_first":
        runs = np.moveaxis(runs, 0, -1)  # Flatten puts channels last first
    runs = runs.reshape(after)
    for axis in range(-1, -len(after) - 1, -1):
        others = tuple(i for i in range(-len(after), 0) if i != axis)
        flags = np.any(runs, axis=others)
        if np.array_equal(flags, np.all(runs, axis=others)):
            return Running(flags, axis)
    return None


def _pool(call: Call, state: Running, graph: Graph) -> Running | None:
    """Channels after whole axes were reduced to one value each."""
    rank = len(graph.tensors[call.inputs[0]].shape)
    pool = call.operation
    if isinstance(pool, keras.Layer):
        reduced = set(range(1 - rank, 0)) - {channel_axis(call, rank)}
    elif pool.axis is None:
        return None
    else:
        axes = np.atleast_1d(pool.axis).tolist()
        reduced = {axis if axis < 0 else axis - rank for axis in axes}
    if state.axis in reduced:
        return None
    if pool.keepdims:
        return state
    behind = sum(axis > state.axis for axis in reduced)
    return Running(state.flags, state.axis + behind)
