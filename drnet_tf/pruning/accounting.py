"""Gathers a `PruneReport` from the finished analysis and both networks."""

from __future__ import annotations

import collections

import keras
import numpy as np

from drnet_tf.channels.channel_flow import ChannelFlow, MaskedSite
from drnet_tf.costs import count_costs
from drnet_tf.graph import Call, read_graph
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
    before, after = _macs(full), _macs(small)
    sites = flow.masks.items()
    kept = {tensor: _kept(flow, tensor, site) for tensor, site in sites}
    return PruneReport(
        model=full.name,
        layers=_layers(flow, small, before, after),
        kept_against_mask=_against(flow, kept),
        silenced=silenced,
        removed=tuple(
            call.name
            for call in flow.graph.calls
            if call.name not in flow.alive
        ),
        unknown=tuple(
            Unknown(call.name, type(call.operation).__name__)
            for call in flow.unknown
        ),
        masked=sum(int((~site.keep).sum()) for _, site in sites),
        masked_removed=sum(
            int((~site.keep & ~kept[tensor]).sum()) for tensor, site in sites
        ),
        parameters_before=full.count_params(),
        parameters_after=small.count_params(),
        macs_before=None if before is None else sum(before.values()),
        macs_after=None if after is None else sum(after.values()),
    )


def _kept(flow: ChannelFlow, tensor: int, site: MaskedSite) -> np.ndarray:
    """`(C,)` bool: which of a site's channels the small network has."""
    alive = flow.graph.producers()[tensor].name in flow.alive
    return flow.is_kept(flow.on_axis(tensor, site.axis)) & alive


def _macs(model: keras.Model) -> dict[str, int] | None:
    """MACs by call; None if they depend on an open image size."""
    graph = read_graph(model)
    if any(None in tensor.shape[1:] for tensor in graph.tensors):
        return None
    return {layer.name: layer.macs for layer in count_costs(model).layers}


def _layers(
    flow: ChannelFlow,
    small: keras.Model,
    macs_before: dict[str, int] | None,
    macs_after: dict[str, int] | None,
) -> tuple[LayerChange, ...]:
    names = layer_names(flow)
    times: collections.Counter[str] = collections.Counter()
    changes = []
    for call in flow.graph.calls:
        name, alive = names[id(call.operation)], call.name in flow.alive
        call_name = f"{name}:{times[name]}" if times[name] else name
        first = not times[name]
        times[name] += alive
        if not getattr(call.operation, "weights", ()):
            continue
        before = [_width(flow, call, x) for x in _ends(call)]
        after = [_width(flow, call, x, kept=True) * alive for x in _ends(call)]
        changes.append(
            LayerChange(
                name=call.name,
                kind=type(call.operation).__name__,
                inputs_before=before[0],
                inputs_after=after[0],
                outputs_before=before[1],
                outputs_after=after[1],
                parameters_before=_parameters_before(flow, call),
                parameters_after=small.get_layer(name).count_params()
                if alive and first
                else 0,
                macs_before=_macs_of(macs_before, call.name),
                macs_after=_macs_of(macs_after, call_name if alive else ""),
            )
        )
    return tuple(changes)


def _ends(call: Call) -> tuple[int, int]:
    return call.inputs[0], call.outputs[0]


def _width(
    flow: ChannelFlow, call: Call, tensor: int, kept: bool = False
) -> int:
    """Channels of a call's tensor, along the axis of its output's channels."""
    channels, axis = flow[tensor], flow[call.outputs[0]].axis
    if channels.axis != axis and -axis < len(flow.shape(tensor)):
        return flow.shape(tensor)[axis] or 1  # it was frozen
    return len(flow.kept(channels)) if kept else len(channels)


def _macs_of(macs: dict[str, int] | None, call_name: str) -> int | None:
    return None if macs is None else macs.get(call_name, 0)


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
    for pin in reversed(flow.pins):
        say(pin.atoms, pin.reason)
    return reasons
