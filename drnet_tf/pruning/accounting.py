"""Gathers a `PruneReport` from the finished analysis and both networks."""

from __future__ import annotations

import collections

import keras
import numpy as np

from drnet_tf.costs import LayerCost, count_costs
from drnet_tf.pruning.channel_flow import ChannelFlow, MaskedSite
from drnet_tf.pruning.report import (
    KeptAgainstMask,
    LayerChange,
    PruneReport,
    Silenced,
    Unknown,
)
from drnet_tf.pruning.surgery.rebuild import layer_names


def account(
    full: keras.Model,
    small: keras.Model,
    flow: ChannelFlow,
    silenced: tuple[Silenced, ...],
) -> PruneReport:
    """Compares the small network with the full one.

    Args:
      full, small: before and after.
      flow: the complete analysis.
      silenced: from `silence(flow)`.
    """
    before, after = count_costs(full), count_costs(small)
    sites = flow.masks.items()
    kept = {
        tensor: flow.is_kept(flow.on_axis(tensor, site.axis))
        & _is_alive(flow, tensor)
        for tensor, site in sites
    }
    return PruneReport(
        full.name,
        _layers(
            flow,
            {x.name: x for x in before.layers},
            {x.name: x for x in after.layers},
        ),
        tuple(
            entry
            for tensor, site in sites
            for entry in _against(flow, tensor, site, kept[tensor])
        ),
        silenced,
        tuple(x.name for x in flow.graph.calls if x.name not in flow.alive),
        tuple(
            Unknown(x.name, type(x.operation).__name__) for x in flow.unknown
        ),
        sum(int((~site.keep).sum()) for _, site in sites),
        sum(int((~site.keep & ~kept[tensor]).sum()) for tensor, site in sites),
        before.parameters,
        after.parameters,
        before.macs,
        after.macs,
    )


def _is_alive(flow: ChannelFlow, tensor: int) -> bool:
    return flow.graph.producers()[tensor].name in flow.alive


def _layers(
    flow: ChannelFlow,
    before: dict[str, LayerCost],
    after: dict[str, LayerCost],
) -> tuple[LayerChange, ...]:
    names, times = layer_names(flow), collections.Counter()
    changes = []
    for call in flow.graph.calls:
        alive = call.name in flow.alive
        new = names[id(call.operation)]
        if alive:
            times[new] += 1
            new = f"{new}:{times[new] - 1}" if times[new] > 1 else new
        if not getattr(call.operation, "weights", ()):
            continue
        old_cost = before[call.name]
        new_cost = after[new] if alive else None
        ends = [flow[call.inputs[0]], flow[call.outputs[0]]]
        widths = [len(flow.kept(x)) if alive else 0 for x in ends]
        changes.append(
            LayerChange(
                call.name,
                old_cost.kind,
                len(ends[0]),
                widths[0],
                len(ends[1]),
                widths[1],
                old_cost.parameters,
                new_cost.parameters if new_cost else 0,
                old_cost.macs,
                new_cost.macs if new_cost else 0,
            )
        )
    return tuple(changes)


def _against(
    flow: ChannelFlow, tensor: int, site: MaskedSite, kept: np.ndarray
) -> list[KeptAgainstMask]:
    """Why a site keeps channels that its mask silences, one entry a reason."""
    channels = flow.on_axis(tensor, site.axis)
    roots = flow.atoms.roots(channels.atoms)
    against = roots[~site.keep & kept]
    counts: collections.Counter[str] = collections.Counter()
    for root in against.tolist():
        counts[_reason(flow, site, root)] += 1
    return [
        KeptAgainstMask(site.name, count, reason)
        for reason, count in counts.items()
    ]


def _reason(flow: ChannelFlow, site: MaskedSite, root: int) -> str:
    for pin in flow.pins:
        if root in flow.atoms.roots(pin.atoms):
            return pin.reason
    for tensor, other in flow.masks.items():
        channels = flow.on_axis(tensor, other.axis)
        tied = flow.atoms.roots(channels.atoms) == root
        if other is not site and (tied & other.keep & channels.needed).any():
            return f"tied to channels that '{other.name}' keeps"
    for call in flow.graph.calls:
        for tensor in call.outputs:
            tied = flow.atoms.roots(flow[tensor].atoms) == root
            if (tied & flow.needed(tensor)).any():
                return f"what '{call.name}' makes of them is needed"
    return "a layer cannot do with fewer"
