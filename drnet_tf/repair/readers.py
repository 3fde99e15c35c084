"""The layers that read a site's channels, and what they read and give."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence

import keras
import numpy as np

from drnet_tf.channels.analysis import couple
from drnet_tf.free_sites import GateSite
from drnet_tf.graph import Call, Graph
from drnet_tf.operations import is_a
from drnet_tf.progress import DelayedBar
from drnet_tf.repair.activations import (
    ArrayStore,
    batch_size_for,
    run_layer_by_layer,
)
from drnet_tf.repair.images import check_images
from drnet_tf.repair.linear_layers import is_linear, linear_layer
from drnet_tf.repair.reference import Images
from drnet_tf.repair.samples import Moments

_DEPTHWISE = ("DepthwiseConv1D", "DepthwiseConv2D")
# Takes a reader's moments and, by site, the gate of each of its unknowns,
# `(G, U)` int, -1 where it is none of the site's.
Visit = Callable[[Moments, Mapping[str, np.ndarray]], None]


def find_readers(
    graph: Graph, sites: Sequence[GateSite]
) -> dict[str, dict[str, np.ndarray]]:
    """Which convolutions and Dense layers read a site's channels.

    Args:
      graph: of the network.
      sites: free or tied.

    Returns:
      By call and site `(C,)` int: for every input channel of the call the
      number of its gate, -1 if it is none of the site's.
    """
    flow = couple(graph)
    places = {p.tensor: (s, p) for s in sites for p in s.places}
    found: dict[str, dict[str, np.ndarray]] = {}
    for call in graph.calls:
        if not is_linear(call.operation) or is_a(call, _DEPTHWISE):
            continue
        roots = flow.atoms.roots(flow[call.inputs[0]].atoms).tolist()
        for tensor in _places_before(call, graph, places):
            site, place = places[tensor]
            own = flow.atoms.roots(flow[tensor].atoms).tolist()
            gate_of = dict(zip(own, place.entries, strict=True))
            gates = np.array([gate_of.get(root, -1) for root in roots])
            if (gates >= 0).any():
                seen = found.setdefault(call.name, {})
                before = seen.get(site.name, gates)
                seen[site.name] = np.maximum(gates, before)
    return found


def visit_readers(
    graph: Graph,
    readers: Mapping[str, Mapping[str, np.ndarray]],
    images: np.ndarray,
    visit: Visit,
    *,
    samples: int,
    max_bytes: int,
    seed: int,
    progress: bool,
) -> None:
    """Runs a network on images and shows what every reader reads and gives.

    Args:
      graph: of the network.
      readers: see `find_readers`.
      images: as the network expects them.
      visit: is called for every reader, in graph order.
      samples: places of the images at which each layer is read.
      max_bytes: of activations held in memory.
      seed: of the places.
      progress: whether to show a bar if it takes long.
    """
    arrays = check_images(graph, images)
    size = batch_size_for(graph)
    batches = [slice(i, i + size) for i in range(0, len(arrays[0]), size)]
    drawn = Images(arrays, batches, samples, seed)
    bar = DelayedBar(len(graph.calls), "layer")
    with ArrayStore(max_bytes) as store:

        def reach(call: Call) -> None:
            if call.name in readers:
                layer = linear_layer(call.operation)
                visit(
                    _moments(call, drawn, store),
                    {
                        site: gates[layer.channels_of_unknowns(len(gates))]
                        for site, gates in readers[call.name].items()
                    },
                )

        for number in run_layer_by_layer(graph, arrays, batches, store, reach):
            if progress:
                bar.update(number + 1)


def _places_before(
    call: Call, graph: Graph, places: Container[int]
) -> list[int]:
    """The nearest gated tensors that a call reads; through a depthwise
    convolution, whose outputs go with its inputs, the next ones, too.
    """
    producers = graph.producers()
    found: list[int] = []
    seen, stack = set(), [call.inputs[0]]
    while stack:
        tensor = stack.pop()
        if tensor in seen:
            continue
        seen.add(tensor)
        if tensor in places:
            found.append(tensor)
            stack += _before_depthwise(tensor, producers)
            continue
        maker = producers.get(tensor)
        if maker and (
            not is_linear(maker.operation) or is_a(maker, _DEPTHWISE)
        ):
            stack += maker.inputs
    return found


def _before_depthwise(
    tensor: int, producers: Mapping[int, Call]
) -> tuple[int, ...]:
    """What the depthwise convolution reads that makes a tensor; () if none."""
    maker = producers.get(tensor)
    while maker is not None and len(maker.inputs) == 1:
        if is_a(maker, _DEPTHWISE):
            return maker.inputs
        if is_linear(maker.operation):
            break
        maker = producers.get(maker.inputs[0])
    return ()


def _moments(call: Call, images: Images, store: ArrayStore) -> Moments:
    """Of a layer's inputs and outputs in the full network."""
    layer = linear_layer(call.operation)
    kernel = layer.kernel()
    moments = Moments.zeros(*kernel.shape)
    outputs = keras.ops.convert_to_numpy(
        call.operation(store[call.inputs[0], 0][:1])
    )
    shape = layer.spatial(outputs.shape)
    for number in range(len(images.batches)):
        inputs = layer.channels_last(store[call.inputs[0], number])
        x = layer.samples(inputs, images.places(shape, number), shape)
        moments.add(x, x @ kernel)
    return moments
