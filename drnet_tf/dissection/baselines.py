"""Plain importances to compare with: random, magnitude, mean activation.

They have the sites and classes of a given importance, so that masks of the same
width at every site can be made of both (`masks.mask_of_widths`).
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from drnet_tf.graph import Call, Graph, read_graph, replay
from drnet_tf.importance import ChannelImportance
from drnet_tf.labeled_images import LabeledImages
from drnet_tf.sites import sites_for

_READ = 128  # images run at a time


def random_importance(
    like: ChannelImportance, seed: int = 0
) -> ChannelImportance:
    """Scores drawn evenly from [0, 1), for each class its own."""
    generator = np.random.default_rng(seed)
    scores = {
        site: generator.random(x.shape, np.float32)
        for site, x in like.scores.items()
    }
    return _like(like, scores, "random", {"seed": seed})


def magnitude_importance(
    model: keras.Model, like: ChannelImportance
) -> ChannelImportance:
    """Mean absolute weight of the filters of a channel; all classes alike.

    Li et al., "Pruning Filters for Efficient ConvNets". Where several
    convolutions write a site's channels, the sum of their means.
    """
    graph = read_graph(model)
    calls = {call.name: call.operation for call in graph.calls}
    scores = {}
    for site in sites_for(graph, like.channels):
        sums = np.zeros(site.channels)
        for name in site.convs:
            widths = _filter_means(calls[name])
            # A tied site numbers channels by its gates, not by the filters.
            place = next(
                (x for x in site.places if len(x.entries) == len(widths)), None
            )
            if place is not None:
                np.add.at(sums, list(place.entries), widths)
        scores[site.name] = np.tile(sums, (len(like.class_names), 1))
    return _like(like, scores, "magnitude", {})


def activation_importance(
    model: keras.Model, like: ChannelImportance, images: LabeledImages
) -> ChannelImportance:
    """Mean absolute value of a channel over the images of a class.

    Args:
      model: the network.
      like: whose sites and classes are taken.
      images: labels numbered in `like.class_names`; some of every class.
    """
    graph = read_graph(model)
    sites = sites_for(graph, like.channels)
    places = {
        (place.tensor, place.axis) for site in sites for place in site.places
    }
    classes, counts = len(like.class_names), np.bincount(images.labels)
    scores = {x.name: np.zeros((classes, x.channels)) for x in sites}
    for start in range(0, len(images), _READ):
        part = slice(start, start + _READ)
        labels = images.labels[part]
        means = _mean_values(graph, dict(places), images.images[part])
        for site in sites:
            for place in site.places:
                gates = np.array(place.entries)
                np.add.at(
                    scores[site.name],
                    (labels[:, None], gates),
                    means[place.tensor] / counts[labels, None],
                )
    return _like(like, scores, "activation", {"images": len(images)})


def _mean_values(
    graph: Graph, axes: dict[int, int], images: np.ndarray
) -> dict[int, np.ndarray]:
    """`(N, C)` by tensor: mean absolute value of every channel and image.

    Args:
      graph: of the network.
      axes: of the channels of the tensors wanted, counted from the end.
      images: `(N, ...)`.
    """
    found: dict[int, np.ndarray] = {}

    def call(step: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        outputs = step.operation(*args, **kwargs)
        for tensor, values in zip(
            step.outputs, keras.tree.flatten(outputs), strict=True
        ):
            if tensor in axes:
                array = np.abs(keras.ops.convert_to_numpy(values))
                array = np.moveaxis(array, axes[tensor], -1)
                array = array.reshape(len(array), -1, array.shape[-1])
                found[tensor] = array.mean(1)
        return outputs

    replay(graph, [keras.ops.convert_to_tensor(images)], call)
    return found


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


def _like(
    like: ChannelImportance,
    scores: dict[str, np.ndarray],
    method: str,
    config: dict[str, Any],
) -> ChannelImportance:
    return ChannelImportance(
        scores,
        like.class_names,
        method,
        config,
        fingerprint=like.fingerprint,
    )
