"""Plain methods to compare with: random, weights, activations.

`dissect` takes them like any other method. The functions `*_importance` give
the same scores at the sites and classes of a given importance, so that masks of
the same width at every site can be made of both (`width_masks.mask_of_widths`).
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np

from drnet_tf.dissection.channel_weights import filter_magnitudes, norm_scales
from drnet_tf.dissection.method import Problem
from drnet_tf.free_sites import GateSite
from drnet_tf.graph import Call, Graph, read_graph, replay
from drnet_tf.importance import ChannelImportance
from drnet_tf.labeled_images import LabeledImages
from drnet_tf.sites import sites_for

_READ = 128  # images run at a time
_Scores = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Random:
    """Scores drawn evenly from [0, 1) by the seed, for each class its own.

    A class keeps its scores wherever it stands, as its name is drawn with.

    Example:
      >>> Random().name
      'random'
    """

    name: ClassVar[str] = "random"

    def scores(self, problem: Problem) -> tuple[_Scores, dict[str, Any]]:
        """See `Method.scores`."""
        channels = {site.name: site.channels for site in problem.sites}
        return _drawn(channels, problem.class_names, problem.seed), {}


@dataclasses.dataclass(frozen=True)
class Magnitude:
    """Mean absolute weight of the filters of a channel; all classes alike.

    The L1 norm of Li et al., "Pruning Filters for Efficient ConvNets", ICLR
    2017, divided by the number of weights: the order within a site is theirs,
    and sites of different kernels can be compared. Where several convolutions
    write a site's channels, the sum of their means.

    Example:
      >>> Magnitude().name
      'magnitude'
    """

    name: ClassVar[str] = "magnitude"

    def scores(self, problem: Problem) -> tuple[_Scores, dict[str, Any]]:
        """See `Method.scores`."""
        found = filter_magnitudes(read_graph(problem.model), problem.sites)
        return _all_alike(found, problem.class_names), {}


@dataclasses.dataclass(frozen=True)
class BatchNormScale:
    """|γ| of the batch norm before the site; all classes alike.

    Liu et al., "Learning Efficient Convolutional Networks through Network
    Slimming", ICCV 2017; they train with an L1 term on γ, which is up to the
    network's maker here. Where several norms make a site's channels (the
    branches of a residual sum), the sum of theirs.

    Example:
      >>> BatchNormScale().name
      'batch_norm_scale'
    """

    name: ClassVar[str] = "batch_norm_scale"

    def scores(self, problem: Problem) -> tuple[_Scores, dict[str, Any]]:
        """See `Method.scores`; refuses a site without a norm's scale."""
        found = norm_scales(read_graph(problem.model), problem.sites)
        return _all_alike(found, problem.class_names), {}


@dataclasses.dataclass(frozen=True)
class MeanActivation:
    """Mean absolute value of a channel over the images of a class.

    Polyak and Wolf, "Channel-level acceleration of deep face representations",
    IEEE Access 2015, and the mean activation of Molchanov et al., ICLR 2017,
    here class by class. A tied site sums over its places.

    Example:
      >>> MeanActivation().name
      'mean_activation'
    """

    name: ClassVar[str] = "mean_activation"

    def scores(self, problem: Problem) -> tuple[_Scores, dict[str, Any]]:
        """See `Method.scores`."""
        graph, classes = read_graph(problem.model), len(problem.class_names)
        return _class_means(graph, problem.sites, problem.images, classes), {}


def random_importance(
    like: ChannelImportance, seed: int = 0
) -> ChannelImportance:
    """What `Random` gives at the sites and classes of `like`."""
    scores = _drawn(like.channels, like.class_names, seed)
    return _like(like, scores, "random", {"seed": seed})


def magnitude_importance(
    model: keras.Model, like: ChannelImportance
) -> ChannelImportance:
    """What `Magnitude` gives at the sites and classes of `like`."""
    graph = read_graph(model)
    found = filter_magnitudes(graph, sites_for(graph, like.channels))
    return _like(like, _all_alike(found, like.class_names), "magnitude", {})


def activation_importance(
    model: keras.Model, like: ChannelImportance, images: LabeledImages
) -> ChannelImportance:
    """What `MeanActivation` gives on images of one's own.

    Args:
      model: the network.
      like: whose sites and classes are taken.
      images: labels numbered in `like.class_names`; some of every class.
    """
    graph = read_graph(model)
    parts = (
        (images.images[i : i + _READ], images.labels[i : i + _READ])
        for i in range(0, len(images), _READ)
    )
    scores = _class_means(
        graph, sites_for(graph, like.channels), parts, len(like.class_names)
    )
    return _like(like, scores, "activation", {"images": len(images)})


def _drawn(
    channels: Mapping[str, int], class_names: Sequence[str], seed: int
) -> _Scores:
    generators = [
        np.random.default_rng([seed, zlib.crc32(name.encode())])
        for name in class_names
    ]
    return {
        site: np.stack([x.random(width, np.float32) for x in generators])
        for site, width in channels.items()
    }


def _all_alike(
    found: Mapping[str, np.ndarray], class_names: Sequence[str]
) -> _Scores:
    return {
        site: np.tile(row, (len(class_names), 1)) for site, row in found.items()
    }


def _class_means(
    graph: Graph,
    sites: Sequence[GateSite],
    batches: Iterable[tuple[np.ndarray, np.ndarray]],
    classes: int,
) -> _Scores:
    """`(K, C_l)` by site: mean absolute value over the images of a class."""
    axes = {x.tensor: x.axis for site in sites for x in site.places}
    sums = {x.name: np.zeros((classes, x.channels)) for x in sites}
    counts = np.zeros(classes)
    for images, labels in batches:
        means = _mean_values(graph, axes, images)
        np.add.at(counts, labels, 1)
        for site in sites:
            for place in site.places:
                gates = place.index
                np.add.at(
                    sums[site.name],
                    (labels[:, None], gates),
                    means[place.tensor],
                )
    return {site: x / counts[:, None] for site, x in sums.items()}


def _mean_values(
    graph: Graph, axes: Mapping[int, int], images: np.ndarray
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
                values = keras.ops.abs(keras.ops.cast(values, "float32"))
                array = keras.ops.convert_to_numpy(values)
                array = np.moveaxis(array, axes[tensor], -1)
                array = array.reshape(len(array), -1, array.shape[-1])
                found[tensor] = array.mean(1)
        return outputs

    replay(graph, [keras.ops.convert_to_tensor(images)], call)
    return found


def _like(
    like: ChannelImportance,
    scores: _Scores,
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
