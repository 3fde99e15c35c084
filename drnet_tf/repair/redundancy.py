"""How much of what a layer computes follows from a site's best channels.

A site's channels are ordered by their importance. For every layer that reads
them and every number k,

    r(k) = min over W, b of sum |x_k W + b - y|^2 / sum |y - mean(y)|^2,

x_k being the layer's inputs without the site's channels from the k-th on, y its
outputs before norm and activation: the share of y that is lost however the
layer is refitted. All k come from one Cholesky factor of the ordered Gram
matrix G = L L': with Z = L^-1 x'y, the first m unknowns explain the sum of the
squares of Z's first m rows (the matrix form of Gram-Schmidt).
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

import keras
import numpy as np

from drnet_tf.channels.analysis import couple
from drnet_tf.free_sites import GateSite
from drnet_tf.graph import Call, Graph, read_graph
from drnet_tf.importance import ChannelImportance
from drnet_tf.operations import is_a
from drnet_tf.progress import DelayedBar
from drnet_tf.repair.activations import (
    ArrayStore,
    batch_size_for,
    run_layer_by_layer,
)
from drnet_tf.repair.images import check_images
from drnet_tf.repair.linear_layers import is_linear, linear_layer
from drnet_tf.repair.positive import Cholesky
from drnet_tf.repair.reference import Images
from drnet_tf.repair.samples import Moments
from drnet_tf.rules import subtask_scores
from drnet_tf.sites import sites_for

_DEPTHWISE = ("DepthwiseConv1D", "DepthwiseConv2D")
_RIDGE = 1e-3  # of the mean variance of the inputs, as in `ridge`


def reconstruction_losses(
    model: keras.Model,
    images: np.ndarray,
    importance: ChannelImportance,
    classes: Sequence[str],
    *,
    rule: str = "mean",
    samples: int = 12_000,
    max_bytes: int = 1 << 30,
    seed: int = 0,
    progress: bool = True,
) -> dict[str, np.ndarray]:
    """What a site's readers lose if it keeps its best k channels only.

    Args:
      model: the full network; it is not changed.
      images: unlabelled, of the sub-task, as the network expects them.
      importance: orders the channels.
      classes: the sub-task.
      rule: see `rules.subtask_scores`.
      samples: places of the images at which each layer is read.
      max_bytes: of activations held in memory.
      seed: of the places.
      progress: whether to show a bar if it takes long.

    Returns:
      By site `(C_l + 1,)`, for k = 0 to C_l: the sum over its readers of r(k),
      falling; zeros for a site that no convolution or Dense layer reads.
    """
    graph = read_graph(model)
    sites = sites_for(graph, importance.channels)
    orders = {
        site: np.argsort(-scores, kind="stable")
        for site, scores in subtask_scores(importance, classes, rule).items()
    }
    readers = find_readers(graph, sites)
    arrays = check_images(graph, images)
    size = batch_size_for(graph)
    batches = [slice(i, i + size) for i in range(0, len(arrays[0]), size)]
    drawn = Images(arrays, batches, samples, seed)
    losses = {x.name: np.zeros(x.channels + 1) for x in sites}
    bar = DelayedBar(len(graph.calls), "layer")
    with ArrayStore(max_bytes) as store:

        def reach(call: Call) -> None:
            if call.name in readers:
                moments = _moments(call, drawn, store)
                layer = linear_layer(call.operation)
                for site, gates in readers[call.name].items():
                    reads = gates[layer.channels_of_unknowns(len(gates))]
                    losses[site] += loss_of_prefixes(
                        moments, reads, orders[site]
                    )

        for number in run_layer_by_layer(graph, arrays, batches, store, reach):
            if progress:
                bar.update(number + 1)
    return losses


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


def loss_of_prefixes(
    moments: Moments, gates: np.ndarray, order: np.ndarray
) -> np.ndarray:
    """r(k) for k = 0 to the number of gates; see the module.

    Args:
      moments: of the layer's inputs and outputs.
      gates: `(G, U)` int, the gate of each unknown's input, or -1.
      order: `(gates,)` int, the best first.
    """
    rank = np.full(len(order) + 1, -1)
    rank[order] = np.arange(len(order))
    ranks = rank[gates]  # -1 picks the last entry: -1, always there
    explained = np.zeros(len(order) + 1)
    total = 0.0
    for group, own in enumerate(ranks):
        gained, all_of_it = _explained(moments, group, own, len(order))
        explained += gained
        total += all_of_it
    if not total > 0:
        return np.zeros(len(order) + 1)
    return np.clip(1 - explained / total, 0, 1)


def _explained(
    moments: Moments, group: int, ranks: np.ndarray, count: int
) -> tuple[np.ndarray, float]:
    """Sums of squares explained by k channels, and all of the outputs'."""
    n = max(moments.count, 1)
    x, y = moments.x[group] / n, moments.y[group] / n
    gram = moments.xx[group] / n - np.outer(x, x)
    cross = moments.xy[group] / n - np.outer(x, y)
    order = np.argsort(ranks, kind="stable")
    gram = gram[np.ix_(order, order)]
    strength = _RIDGE * np.trace(gram) / len(gram) or 1.0
    gram[np.diag_indices_from(gram)] += strength
    squares = np.square(Cholesky(gram).solve_lower(cross[order])).sum(1)
    gained = np.concatenate([[0.0], np.cumsum(squares)])
    # How many unknowns are there with k channels.
    lengths = np.searchsorted(ranks[order], np.arange(count + 1), "left")
    total = np.maximum(moments.yy[group] / n - y**2, 0).sum()
    return gained[lengths], float(total)


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
