"""What weights say about the channels of a site, without any image."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import keras
import numpy as np

from drnet_tf.free_sites import GateSite, is_convolution
from drnet_tf.graph import Call, Graph
from drnet_tf.operations import is_a


def filter_magnitudes(
    graph: Graph, sites: Iterable[GateSite]
) -> dict[str, np.ndarray]:
    """`(C_l,)` by site: mean absolute weight of each channel's filters.

    Where several convolutions write a site's channels, the sum of their means.
    """
    calls = {call.name: call.operation for call in graph.calls}
    found = {}
    for site in sites:
        sums = np.zeros(site.channels)
        for name in site.convs:
            widths = _filter_means(calls[name])
            # A tied site numbers channels by its gates, not by the filters.
            place = next(
                (x for x in site.places if len(x.entries) == len(widths)), None
            )
            if place is not None:
                np.add.at(sums, place.index, widths)
        found[site.name] = sums
    return found


def norm_scales(
    graph: Graph, sites: Iterable[GateSite]
) -> dict[str, np.ndarray]:
    """`(C_l,)` by site: |γ| of the batch norms that make its channels.

    Where several do (the branches of a residual sum), the sum of theirs.

    Raises:
      ValueError: a site without a batch norm that has a scale.
    """
    sites = tuple(sites)
    gated = {place.tensor for site in sites for place in site.places}
    found = {}
    for site in sites:
        sums = np.zeros(site.channels)
        norms: set[str] = set()
        for place in site.places:
            for call in _norms_before(graph, place.tensor, gated):
                scale = getattr(call.operation, "gamma", None)
                if scale is None or scale.shape[0] != len(place.entries):
                    continue
                if call.name not in norms:  # two places may lie behind one norm
                    norms.add(call.name)
                    scale = np.abs(keras.ops.convert_to_numpy(scale))
                    np.add.at(sums, place.index, scale)
        if not norms:
            raise ValueError(
                f"Site '{site.name}': found no batch norm with a scale before "
                f"it (behind {', '.join(map(repr, site.convs))}), expected "
                "one at every site; use Magnitude or Taylor, which need none."
            )
        found[site.name] = sums
    return found


def _norms_before(
    graph: Graph, tensor: int, gated: Collection[int]
) -> list[Call]:
    """The nearest batch norms on all ways back, as far as other sites."""
    producers = graph.producers()
    stack, seen = [tensor], {tensor}
    norms: list[Call] = []
    while stack:
        call = producers.get(stack.pop())
        if call is None or is_convolution(call, graph):
            continue
        if is_a(call, ("BatchNormalization",)):
            norms.append(call)
            continue
        for index in call.inputs:
            if index not in seen and index not in gated:
                seen.add(index)
                stack.append(index)
    return norms


def _filter_means(layer: keras.Layer) -> np.ndarray:
    """`(out,)`: mean absolute weight of each output channel's filter."""
    name = type(layer).__name__
    if name.startswith("Separable"):
        kernel = keras.ops.convert_to_numpy(layer.pointwise_kernel)
    else:
        kernel = keras.ops.convert_to_numpy(layer.kernel)
    if name.startswith("Depthwise"):
        kernel = kernel.reshape(*kernel.shape[:-2], -1)
    if name.endswith("Transpose"):
        kernel = kernel.swapaxes(-1, -2)
    return np.abs(kernel).mean(tuple(range(kernel.ndim - 1)))
