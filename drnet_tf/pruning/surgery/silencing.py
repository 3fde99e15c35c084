"""Makes masked channels zero that have to stay for others' sake.

Where a weight can carry the zero (a norm's gamma and beta, a convolution's
kernel and bias) it does, at no cost; elsewhere the site gets a
`keras.layers.Rescaling` with 0 or 1 for each channel.
"""

from __future__ import annotations

import numpy as np

from drnet_tf.channels.analysis import rule_of
from drnet_tf.channels.channel_flow import ChannelFlow
from drnet_tf.pruning.report import Silenced


def silence(flow: ChannelFlow) -> tuple[Silenced, ...]:
    """Fills `flow.silent` and `flow.closed`; says what was done where."""
    done = []
    producers = flow.graph.producers()
    for tensor, site in flow.masks.items():
        if producers[tensor].name not in flow.alive:
            continue
        channels = flow.on_axis(tensor, site.axis)
        places = ~site.keep & channels.needed & flow.is_kept(channels)
        if not places.any():
            continue
        same_axis = flow[tensor].axis == site.axis
        name = _silence_by_weights(flow, tensor, places) if same_axis else None
        if name is None:
            flow.closed[tensor] = places
        how = f"weights of '{name}'" if name else "a Rescaling layer"
        done.append(Silenced(site.name, int(places.sum()), how))
    return tuple(done)


def _silence_by_weights(
    flow: ChannelFlow, tensor: int, places: np.ndarray
) -> str | None:
    """Name of the call whose weights make the channels zero, or None."""
    producers = flow.graph.producers()
    while True:
        call = producers.get(tensor)
        if call is None or flow.needed(tensor)[places].any():
            return None
        rule = rule_of(call)
        if rule.can_silence(call, flow):
            flow.silent[call.name] = flow.is_silent(call) | places
            return call.name
        source = rule.zero_from(call, flow)
        if source is None or len(flow[source]) != len(places):
            return None
        tensor = source
