"""Makes masked channels zero that have to stay for others' sake.

Where a weight can carry the zero (a norm's gamma and beta, a convolution's
kernel and bias) it does, at no cost; elsewhere the site gets a
`keras.layers.Rescaling` with 0 or 1 for each channel.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from drnet_tf.channels.analysis import flow_rule_of
from drnet_tf.channels.channel_flow import ChannelFlow
from drnet_tf.graph import Call
from drnet_tf.pruning.report import Silenced


def silence(flow: ChannelFlow) -> tuple[Silenced, ...]:
    """Fills `flow.silent` and `flow.closed`; says what was done where."""
    done = []
    producers = flow.graph.producers()
    for tensor, site in flow.masks.items():
        if producers[tensor].name not in flow.alive:
            continue
        channels = flow.on_axis(tensor, site.axis)
        needed = flow.relied_on(tensor, site.axis)
        places = ~site.keep & needed & flow.is_kept(channels)
        if not places.any():
            continue
        same_axis = flow[tensor].axis == site.axis
        names = _carriers(flow, producers, tensor, places) if same_axis else ()
        for name in names:
            flow.silent[name] = flow.silent.get(name, False) | places
        if not names:
            flow.closed[tensor] = places
        quoted = " and ".join(f"'{name}'" for name in names)
        how = f"weights of {quoted}" if names else "a Rescaling layer"
        done.append(Silenced(site.name, int(places.sum()), how))
    return tuple(done)


def _carriers(
    flow: ChannelFlow,
    producers: Mapping[int, Call],
    tensor: int,
    places: np.ndarray,
) -> tuple[str, ...]:
    """Names of calls whose weights can make a tensor's channels zero.

    Goes up from the tensor as long as nobody needs the channels' values.
    """
    call = producers.get(tensor)
    if call is None or flow.needed(tensor)[places].any():
        return ()
    rule = flow_rule_of(call, flow)
    if rule.can_silence(call, flow):
        return (call.name,)
    for alternative in rule.zero_from(call, flow):
        names: list[str] = []
        for source in alternative:
            fits = len(flow[source]) == len(places)
            found = fits and _carriers(flow, producers, source, places)
            if not found:
                break
            names += found
        else:
            return tuple(dict.fromkeys(names))
    return ()
