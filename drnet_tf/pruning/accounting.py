"""Gathers a `PruneReport` from the finished analysis."""

from __future__ import annotations

import collections
from collections.abc import Mapping

import keras
import numpy as np

from drnet_tf.call_costs import kept_weights, products
from drnet_tf.channels.analysis import rule_of
from drnet_tf.channels.channel_flow import ChannelFlow
from drnet_tf.channels.rules.unknown import UNKNOWN
from drnet_tf.graph import Call
from drnet_tf.pruning.report import (
    KeptAgainstMask,
    LayerChange,
    PruneReport,
    Silenced,
    Unknown,
)


def account(
    model: keras.Model,
    flow: ChannelFlow,
    silenced: tuple[Silenced, ...],
    sizes: Mapping[int, int],
) -> PruneReport:
    """What the small network costs, without building it.

    Args:
      model: the full network.
      flow: the complete analysis, with `silence` done.
      silenced: from `silence(flow)`.
      sizes: parameters of each operation of the small network, by its `id` in
        the full one.
    """
    producers = flow.graph.producers()
    alive = {
        tensor: producers[tensor].name in flow.alive for tensor in flow.masks
    }
    sites = flow.masks.items()
    kept = {
        tensor: flow.is_kept(flow.on_axis(tensor, site.axis)) & alive[tensor]
        for tensor, site in sites
    }
    layers = _layers(flow, sizes)
    macs = [(layer.macs_before, layer.macs_after) for layer in layers]
    is_open = any(before is None for before, _ in macs)
    removed = sum(x.parameters_before - x.parameters_after for x in layers)
    return PruneReport(
        model=model.name,
        layers=layers,
        kept_against_mask=_against(flow, kept),
        silenced=silenced,
        removed=tuple(
            call.name
            for call in flow.graph.calls
            if call.name not in flow.alive
        ),
        unknown=tuple(
            Unknown(call.name, type(call.operation).__name__)
            for call in flow.graph.calls
            if call.name in flow.alive and rule_of(call) is UNKNOWN
        ),
        masked=sum(int((~site.keep).sum()) for _, site in sites),
        masked_removed=sum(
            int((~site.keep & ~kept[tensor]).sum()) for tensor, site in sites
        ),
        parameters_before=model.count_params(),
        parameters_after=model.count_params() - removed,
        macs_before=None if is_open else sum(x or 0 for x, _ in macs),
        macs_after=None if is_open else sum(x or 0 for _, x in macs),
    )


def count_sizes(flow: ChannelFlow) -> dict[int, int]:
    """`sizes` for `account`, where the small network is not built."""
    sizes: dict[int, int] = {}
    for call in flow.graph.calls:
        key = id(call.operation)
        if call.name in flow.alive and key not in sizes:
            weights = rule_of(call).rebuild(call, flow).weights
            sizes[key] = sum(np.size(array) for array in weights)
    return sizes


def _layers(
    flow: ChannelFlow, sizes: Mapping[int, int]
) -> tuple[LayerChange, ...]:
    is_open = any(None in x.shape[1:] for x in flow.graph.tensors)
    counted: set[int] = set()  # operations of the small network
    changes = []
    for call in flow.graph.calls:
        alive, key = call.name in flow.alive, id(call.operation)
        if getattr(call.operation, "weights", ()):
            before = [_width(flow, call, x) for x in _ends(call)]
            after = [_width(flow, call, x, kept=True) for x in _ends(call)]
            macs = (None, None) if is_open else _macs(flow, call)
            changes.append(
                LayerChange(
                    name=call.name,
                    kind=type(call.operation).__name__,
                    inputs_before=before[0],
                    inputs_after=after[0] * alive,
                    outputs_before=before[1],
                    outputs_after=after[1] * alive,
                    parameters_before=_parameters_before(flow, call),
                    parameters_after=sizes.get(key, 0)
                    if alive and key not in counted
                    else 0,
                    macs_before=macs[0],
                    macs_after=macs[1],
                )
            )
        if alive:
            counted.add(key)
    return tuple(changes)


def _ends(call: Call) -> tuple[int, int]:
    return call.inputs[0], call.outputs[0]


def _width(
    flow: ChannelFlow, call: Call, tensor: int, kept: bool = False
) -> int:
    """Channels of a call's tensor, along the axis of its output's channels."""
    channels, axis = flow[tensor], flow[call.outputs[0]].axis
    if channels.axis != axis and -axis < len(flow.shape(tensor)):
        return flow.shape(tensor)[axis] or 1  # all of them stay
    return len(flow.kept(channels)) if kept else len(channels)


def _macs(flow: ChannelFlow, call: Call) -> tuple[int, int]:
    """Multiply-accumulates for one image, before and after."""
    parts = products(call, flow.graph)
    if not parts:
        return 0, 0
    axis = flow[call.outputs[0]].axis
    kept = [flow.is_kept(flow.on_axis(x, axis)) for x in _ends(call)]
    before, after = kept_weights(parts, None, None), kept_weights(parts, *kept)
    alive = call.name in flow.alive
    return (
        sum(p.positions * n for p, n in zip(parts, before, strict=True)),
        sum(p.positions * n * alive for p, n in zip(parts, after, strict=True)),
    )


def _parameters_before(flow: ChannelFlow, call: Call) -> int:
    first = flow.calls_of(call)[0] is call
    return call.operation.count_params() if first else 0


def _against(
    flow: ChannelFlow, kept: dict[int, np.ndarray]
) -> tuple[KeptAgainstMask, ...]:
    """Why sites keep channels that the mask silences, one entry a reason."""
    reasons = _find_reasons(flow)
    entries = []
    for tensor, site in flow.masks.items():
        channels = flow.on_axis(tensor, site.axis)
        roots = flow.atoms.roots(channels.atoms)
        counts = collections.Counter(
            reasons.get(root, "a layer cannot do with fewer")
            for root in roots[~site.keep & kept[tensor]].tolist()
        )
        entries += [
            KeptAgainstMask(site.name, count, reason)
            for reason, count in counts.items()
        ]
    return tuple(entries)


def _find_reasons(flow: ChannelFlow) -> dict[int, str]:
    """Why each tied set of channels stays, by its root."""
    reasons: dict[int, str] = {}

    def say(atoms: np.ndarray, reason: str) -> None:
        for root in flow.atoms.roots(atoms).tolist():
            reasons[root] = reason

    # Later ones overwrite: the strongest reason comes last.
    for call in reversed(flow.graph.calls):
        for tensor in call.outputs:
            say(
                flow[tensor].atoms[flow.needed(tensor)],
                f"what '{call.name}' makes of them is needed",
            )
    for tensor, site in reversed(flow.masks.items()):
        channels = flow.on_axis(tensor, site.axis)
        say(
            channels.atoms[site.keep & channels.needed],
            f"tied to channels that '{site.name}' keeps",
        )
    for (reason, _), atoms in reversed(flow.kept_for.items()):
        say(atoms, reason)
    return reasons
