"""Tied sites: one vector of gates for all channels that only go together.

A residual stage adds the outputs of all its blocks, so a channel of the stream
can be removed only if no block needs it. With a gate at every activation each
block decides for itself, and most silenced channels have to stay (DRNet leaves
this open in section 5.4). A tied site gates the channel at all places at once,
so what it silences can go.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np

from drnet_tf.channels.analysis import analyse, couple
from drnet_tf.channels.channel_flow import ChannelFlow, MaskedSite
from drnet_tf.free_sites import GatePlace, GateSite, find_free_sites
from drnet_tf.graph import Call, Graph
from drnet_tf.operations import is_a


def find_tied_sites(graph: Graph) -> tuple[GateSite, ...]:
    """The tied sites of a graph, in graph order; see `sites.gate_sites`.

    Free sites are joined where they share a channel. A joined site whose
    channels can never go, as a norm over channels or the model's output reads
    them, is left out. So is one that fails the proof: half of its gates are
    closed, and the analysis has to find that all those channels go. Where a
    tensor is read before it reaches a gate, the site gets further places, at
    what its convolutions write.
    """
    flow = couple(graph)
    sites = [_join(group, flow) for group in _groups(graph, flow)]
    sites = [site for site in sites if site.channels]
    failed = _failing(sites, graph)
    wider = {
        site.name: _with_writers(site, graph, flow)
        for site in sites
        if site.name in failed
    }
    sites = [wider.get(site.name, site) for site in sites]
    while failed := _failing(sites, graph):
        sites = [site for site in sites if site.name not in failed]
    return tuple(sites)


def _groups(graph: Graph, flow: ChannelFlow) -> list[list[GateSite]]:
    """Free sites that share a channel, in graph order, without frozen ones."""
    groups: list[tuple[set[int], list[GateSite]]] = []
    for site in find_free_sites(graph):
        if flow[site.tensor].axis != site.axis:
            continue
        roots, members = set(_roots(site.tensor, flow).tolist()), [site]
        for group in [x for x in groups if x[0] & roots]:
            groups.remove(group)
            roots |= group[0]
            members = [*group[1], *members]
        groups.append((roots, members))
    frozen = {
        root
        for atoms in flow.frozen
        for root in flow.atoms.roots(atoms).tolist()
    }
    order = [
        (sorted(members, key=lambda site: site.tensor), roots)
        for roots, members in groups
    ]
    order.sort(key=lambda group: group[0][0].tensor)
    return [
        members
        for members, roots in order
        if not roots & frozen and len({site.axis for site in members}) == 1
    ]


def _roots(tensor: int, flow: ChannelFlow) -> np.ndarray:
    return flow.atoms.roots(flow[tensor].atoms)


def _join(members: list[GateSite], flow: ChannelFlow) -> GateSite:
    """One site of several: a gate for each set of channels that are tied."""
    gates: dict[int, int] = {}
    for site in members:
        for root in _roots(site.tensor, flow).tolist():
            gates.setdefault(root, len(gates))
    places = tuple(_place(x.tensor, x.axis, gates, flow) for x in members)
    first = members[0]
    alone = len(members) == 1 and len(gates) == first.channels
    return dataclasses.replace(
        first,
        name=first.name if alone else f"{first.name}+{len(members) - 1}",
        channels=len(gates),
        convs=tuple(dict.fromkeys(x for site in members for x in site.convs)),
        places=places,
    )


def _place(
    tensor: int, axis: int, gates: dict[int, int], flow: ChannelFlow
) -> GatePlace:
    roots = _roots(tensor, flow).tolist()
    return GatePlace(tensor, axis, tuple(gates[root] for root in roots))


def _with_writers(site: GateSite, graph: Graph, flow: ChannelFlow) -> GateSite:
    """The site with a place at what each of its convolutions writes."""
    gates = {
        root: gate
        for place in site.places
        for root, gate in zip(
            _roots(place.tensor, flow).tolist(), place.entries, strict=True
        )
    }
    there = {place.tensor for place in site.places}
    further = [
        _place(tensor, site.axis, gates, flow)
        for tensor in _written(site.convs, graph)
        if tensor not in there
        and flow[tensor].axis == site.axis
        and gates.keys() >= set(_roots(tensor, flow).tolist())
    ]
    # Not under the name of a free site: masks are told apart by their names.
    return dataclasses.replace(
        site,
        name=site.name if "+" in site.name else f"{site.name}+0",
        places=(*site.places, *further),
    )


def _written(convs: Iterable[str], graph: Graph) -> list[int]:
    """Outputs of convolutions, or of the norms that alone read them."""
    consumers = graph.consumers()
    calls: dict[str, Call] = {call.name: call for call in graph.calls}
    written = []
    for name in convs:
        tensor = calls[name].outputs[0]
        readers = consumers[tensor]
        if len(readers) == 1 and is_a(readers[0], ("BatchNormalization",)):
            tensor = readers[0].outputs[0]
        written.append(tensor)
    return written


def _failing(sites: list[GateSite], graph: Graph) -> set[str]:
    """Names of the sites of which a closed gate leaves a channel."""
    failing: set[str] = set()
    for parity in (0, 1):
        closed = {
            site.name: np.arange(site.channels) % 2 == parity
            for site in sites
            if site.channels > 1
        }
        failing |= _left_by(closed, sites, graph)
    for site in sites:
        if site.channels == 1:
            failing |= _left_by({site.name: np.ones(1, bool)}, sites, graph)
    return failing


def _left_by(
    closed: dict[str, np.ndarray], sites: list[GateSite], graph: Graph
) -> set[str]:
    masks = {
        place.tensor: MaskedSite(
            site.name, place.axis, ~closed[site.name][place.index]
        )
        for site in sites
        if site.name in closed
        for place in site.places
    }
    flow = analyse(graph, masks)
    producers = graph.producers()
    return {
        mask.name
        for tensor, mask in masks.items()
        if producers[tensor].name in flow.alive
        and flow.is_kept(flow[tensor])[~mask.keep].any()
    }
