"""`keras.ops.split(x, ...)` and `x[..., :n]`: some of the channels.

A slice of the small network is written for the channels that it has. Where
they would not be evenly spaced (`x[..., ::2]` of what is left), all stay.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from drnet_tf.channels.channel_flow import ChannelFlow
from drnet_tf.channels.rules.registry import LAST, Part, Rule, register_rule
from drnet_tf.graph import Call


@register_rule("Split")
class Split(Rule):
    """`keras.ops.split`, along the channels or along places."""

    def forward(self, call: Call, flow: ChannelFlow) -> None:
        inputs = flow[call.inputs[0]]
        for tensor, part in zip(call.outputs, _parts(call, flow), strict=True):
            atoms, values = inputs.atoms[part], inputs.values[part]
            flow.add(tensor, inputs.axis, atoms, values)

    def backward(self, call: Call, flow: ChannelFlow) -> None:
        inputs = flow[call.inputs[0]]
        for tensor, part in zip(call.outputs, _parts(call, flow), strict=True):
            inputs.needed[part] |= flow.needed(tensor)

    def complete(self, call: Call, flow: ChannelFlow) -> None:
        for tensor in call.outputs:  # none of them may be empty
            if not flow.is_kept(flow[tensor]).any():
                flow.keep(flow[tensor].atoms[:1], LAST)

    def rebuild(self, call: Call, flow: ChannelFlow) -> Part:
        config = call.operation.get_config()
        if _axis(call, flow) != flow[call.inputs[0]].axis:
            return Part(config)
        widths = [len(flow.kept(flow[tensor])) for tensor in call.outputs]
        places = np.cumsum(widths)[:-1].tolist()
        return Part({**config, "indices_or_sections": places})


def _axis(call: Call, flow: ChannelFlow) -> int:
    axis = call.operation.axis
    return axis if axis < 0 else axis - len(flow.shape(call.inputs[0]))


def _parts(call: Call, flow: ChannelFlow) -> list[slice]:
    """For each output, which channels of the input it has."""
    axis = _axis(call, flow)
    if axis != flow[call.inputs[0]].axis:
        return [slice(None)] * len(call.outputs)
    ends = np.cumsum([flow.shape(x)[axis] for x in call.outputs]).tolist()
    starts = [0, *ends[:-1]]
    return [slice(a, b) for a, b in zip(starts, ends, strict=True)]


@register_rule("GetItem")
class Slice(Rule):
    """`x[key]`: slices of places and channels; whole images."""

    def mixes(self, call: Call, flow: ChannelFlow) -> bool:
        keys = _full_key(call, flow)
        return keys[0] != slice(None) or not isinstance(
            keys[_place(keys, flow[call.inputs[0]].axis)], slice
        )

    def forward(self, call: Call, flow: ChannelFlow) -> None:
        inputs, part = flow[call.inputs[0]], _channels_of(call, flow)
        atoms, values = inputs.atoms[part], inputs.values[part]
        flow.add(call.outputs[0], _axis_after(call, flow), atoms, values)

    def backward(self, call: Call, flow: ChannelFlow) -> None:
        needed = flow.needed(call.outputs[0])
        flow[call.inputs[0]].needed[_channels_of(call, flow)] |= needed

    def complete(self, call: Call, flow: ChannelFlow) -> None:
        inputs, output = flow[call.inputs[0]], flow[call.outputs[0]]
        if not flow.is_kept(output).any():
            flow.keep(output.atoms[:1], LAST)
        part = _channels_of(call, flow)
        if _small_slice(part, flow.is_kept(inputs)) is None:
            reason = f"the slice '{call.name}' has to be evenly spaced"
            flow.keep_all(call.inputs[0], reason)

    def couple(self, call: Call, flow: ChannelFlow) -> None:
        if abs(_channels_of(call, flow).step or 1) > 1:
            flow.freeze(call.inputs[0])

    def run(
        self,
        call: Call,
        flow: ChannelFlow,
        operation: keras.Operation,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        if self.mixes(call, flow):
            return operation(*args, **kwargs)
        inputs, keys = flow[call.inputs[0]], _full_key(call, flow)
        keys[_place(keys, inputs.axis)] = _small_slice(
            _channels_of(call, flow), flow.is_kept(inputs)
        )
        return operation(args[0], tuple(keys))


def _full_key(call: Call, flow: ChannelFlow) -> list[Any]:
    """The key with a slice or number for every axis, or a None for a new one.

    Example: `x[..., :2]` of a batch of images is `x[:, :, :, :2]`.
    """
    given = call.kwargs.get("key", call.args[1] if call.args[1:] else ())
    keys = list(given) if isinstance(given, (tuple, list)) else [given]
    rank = len(flow.shape(call.inputs[0]))
    missing = rank - sum(x is not None and x is not Ellipsis for x in keys)
    if Ellipsis not in keys:
        keys.append(Ellipsis)
    place = keys.index(Ellipsis)
    return [*keys[:place], *[slice(None)] * missing, *keys[place + 1 :]]


def _place(keys: list[Any], axis: int) -> int:
    """Where the key of an axis of the input stands."""
    places = [i for i, key in enumerate(keys) if key is not None]
    return places[axis]


def _channels_of(call: Call, flow: ChannelFlow) -> slice:
    """Which channels it takes."""
    keys = _full_key(call, flow)
    return keys[_place(keys, flow[call.inputs[0]].axis)]


def _axis_after(call: Call, flow: ChannelFlow) -> int:
    """The channel axis of the output: numbers take axes away, None adds."""
    keys = _full_key(call, flow)
    behind = keys[_place(keys, flow[call.inputs[0]].axis) + 1 :]
    return -1 - sum(not isinstance(key, int) for key in behind)


def _small_slice(part: slice, kept: np.ndarray) -> slice | None:
    """The slice of the kept channels that takes those kept of `part`."""
    places = (np.cumsum(kept) - 1)[part][kept[part]]
    if not len(places):
        return None
    steps = np.unique(np.diff(places))
    if len(steps) > 1:
        return None
    step = int(steps[0]) if len(steps) else 1
    stop = int(places[-1]) + (1 if step > 0 else -1)
    return slice(int(places[0]), None if stop < 0 else stop, step)
