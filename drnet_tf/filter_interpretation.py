"""Filters told by what they are for: their classes and their image patches.

As the CAR paper reads a filter: the classes that lose most and least accuracy
without it,

    CAR^c(i, l) = Acc^c − Acc^c(−i, l),

and the image patches that excite it most.

Source: Abbasi-Asl and Yu, see `drnet_tf.dissection.accuracy_reduction`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import keras
import numpy as np

from drnet_tf.dissection.removals import Removals
from drnet_tf.free_sites import GateSite
from drnet_tf.graph import Graph, read_graph, replay
from drnet_tf.progress import DelayedBar
from drnet_tf.receptive_fields import Box, receptive_field

_BATCH = 32  # images run up to a site at a time
_DIGITS = 6  # of a cross-entropy in nats; what is below is rounding


@dataclasses.dataclass(frozen=True, eq=False)
class ClassReductions:
    """What each class loses with each filter of a site.

    Attributes:
      class_names: K names.
      accuracy: `(K, C)` float64, Acc^c − Acc^c(−i) in [-1, 1]; below 0 where
        the class does better without the filter.
      cross_entropy: `(K, C)` float64, by how many nats the mean cross-entropy
        of the class rises; tells classes of the same accuracy apart.
      full: `(K,)` float64, Acc^c with all filters.
    """

    class_names: tuple[str, ...]
    accuracy: np.ndarray
    cross_entropy: np.ndarray
    full: np.ndarray

    def ranked(self, channel: int) -> list[int]:
        """All classes, those first that need the filter most.

        Example:
          >>> found = ClassReductions(
          ...     ("cat", "dog", "cow"),
          ...     np.array([[0.0], [0.2], [0.0]]),
          ...     np.array([[0.1], [0.5], [0.3]]),
          ...     np.ones(3),
          ... )
          >>> found.ranked(0)
          [1, 2, 0]
        """
        return _falling(
            self.accuracy[:, channel], self.cross_entropy[:, channel]
        )

    def most_important(self, count: int) -> list[int]:
        """The filters whose removal costs most, by the mean over classes."""
        order = _falling(self.accuracy.mean(0), self.cross_entropy.mean(0))
        return order[:count]


@dataclasses.dataclass(frozen=True)
class Patch:
    """Where an image excites a filter most.

    Attributes:
      image: its position among the images.
      activation: the filter's output there.
      box: the receptive field of that place, in pixels.
    """

    image: int
    activation: float
    box: Box


def class_reductions(
    model: keras.Model,
    site: GateSite,
    images: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str],
    *,
    rows: Sequence[int] | None = None,
) -> ClassReductions:
    """Removes every filter of a site alone and measures each class.

    Args:
      model: a classifier; it is not changed.
      site: of `gate_sites(model)`.
      images: `(N, ...)`, as the network expects them.
      labels: `(N,)` int, positions in `class_names`.
      class_names: K names, each with one image at least.
      rows: the output of the network for each class; by default they are in
        the order of the outputs.

    Returns:
      The losses of accuracy, single pass: all other filters are there.

    Raises:
      ValueError: a class without images, labels or rows that do not fit, or a
        network without class scores.
    """
    removals = Removals(model, site)
    outputs = _checked_rows(rows, class_names, removals.num_classes)
    labels = np.asarray(labels)
    counts = np.bincount(labels, minlength=len(class_names))
    if len(counts) > len(class_names) or not counts.all():
        raise ValueError(
            f"class_reductions: got images of {np.count_nonzero(counts)} "
            f"classes and {len(class_names)} class names, expected one image "
            "of each class at least."
        )
    keep = ~np.eye(site.channels, dtype=bool)
    # The first network has all filters.
    keep = np.vstack([np.ones((1, site.channels), bool), keep])
    right = np.empty((len(class_names), len(keep)))
    losses = np.empty_like(right)
    bar = DelayedBar(len(class_names), "class")
    for number, output in enumerate(outputs):
        own = images[labels == number]
        measured = removals.on(own, np.full(len(own), output))
        correct, losses[number] = measured(keep)
        right[number] = correct / len(own)
        bar.update(number + 1)
    bar.close()
    return ClassReductions(
        tuple(class_names),
        right[:, :1] - right[:, 1:],
        losses[:, 1:] - losses[:, :1],
        right[:, 0],
    )


def strongest_patches(
    model: keras.Model,
    site: GateSite,
    images: np.ndarray,
    channels: Sequence[int],
    count: int = 6,
) -> dict[int, tuple[Patch, ...]]:
    """Where filters are excited most, in the images that excite them most.

    Args:
      model: a network of images, channels last; it is not changed.
      site: of `gate_sites(model)`.
      images: `(N, height, width, channels)`, as the network expects them.
      channels: filters, numbers of the site's channels.
      count: patches of each, at most; one of an image.

    Returns:
      By filter its patches, strongest first. Images that do not excite a filter
      at all (an output of 0 or less) give none.

    Raises:
      ValueError: a filter that the site has not, or what `receptive_field`
        refuses.

    Example:
      >>> from drnet_tf.sites import gate_sites
      >>> model = keras.Sequential([
      ...     keras.Input((4, 4, 1)),
      ...     keras.layers.Conv2D(1, 1, activation="relu", name="conv"),
      ...     keras.layers.GlobalAveragePooling2D(),
      ...     keras.layers.Dense(2),
      ... ])
      >>> model.set_weights([np.ones_like(x) for x in model.get_weights()])
      >>> images = np.zeros((2, 4, 4, 1), np.float32)
      >>> images[1, 2, 3] = 5.0  # and the bias adds 1
      >>> (site,) = gate_sites(model)
      >>> strongest_patches(model, site, images, [0])[0][0]
      Patch(image=1, activation=6.0, box=Box(top=2, left=3, bottom=3, right=4))
    """
    for channel in channels:
        if not 0 <= channel < site.channels:
            raise ValueError(
                f"Site '{site.name}': got the filter {channel}, expected "
                f"numbers in 0..{site.channels - 1}."
            )
    graph = read_graph(model)
    receptive_field(graph, site.tensor, 0, 0)  # refuses before the long work
    greatest, places = _greatest(_up_to(graph, site.tensor), images, channels)
    columns = graph.tensors[site.tensor].shape[2]
    found: dict[int, tuple[Patch, ...]] = {}
    for number, channel in enumerate(channels):
        order = np.argsort(-greatest[:, number], kind="stable")[:count]
        found[channel] = tuple(
            Patch(
                int(image),
                float(greatest[image, number]),
                receptive_field(
                    graph,
                    site.tensor,
                    *divmod(int(places[image, number]), columns),
                ),
            )
            for image in order
            if greatest[image, number] > 0
        )
    return found


def _falling(accuracy: np.ndarray, cross_entropy: np.ndarray) -> list[int]:
    """Most accuracy lost first, then most cross-entropy, then by number."""
    order = np.lexsort((-np.round(cross_entropy, _DIGITS), -accuracy))
    return [int(x) for x in order]


def _checked_rows(
    rows: Sequence[int] | None, class_names: Sequence[str], num_classes: int
) -> list[int]:
    found = list(range(num_classes)) if rows is None else [int(x) for x in rows]
    if len(found) != len(class_names) or not all(
        0 <= x < num_classes for x in found
    ):
        raise ValueError(
            f"class_reductions: got {len(class_names)} class names and "
            f"{len(found)} outputs of the network, expected one output in "
            f"0..{num_classes - 1} for each; pass rows."
        )
    return found


def _up_to(graph: Graph, tensor: int) -> Graph:
    """The part of a graph that makes one tensor."""
    needed = {tensor}
    calls = []
    for call in reversed(graph.calls):
        if not needed.isdisjoint(call.outputs):
            calls.append(call)
            needed.update(call.inputs)
    return dataclasses.replace(
        graph, calls=tuple(reversed(calls)), outputs=(tensor,)
    )


def _greatest(
    graph: Graph, images: np.ndarray, channels: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """`(N, filters)`: greatest outputs, and their places, row by row."""
    values = np.empty((len(images), len(channels)), np.float32)
    places = np.empty(values.shape, np.int64)
    bar = DelayedBar(len(images), "image")
    for first in range(0, len(images), _BATCH):
        some = slice(first, first + _BATCH)
        start = keras.ops.convert_to_tensor(images[some], "float32")
        (maps,) = replay(graph, [start])
        maps = keras.ops.convert_to_numpy(keras.ops.cast(maps, "float32"))
        flat = maps[..., list(channels)].reshape(len(maps), -1, len(channels))
        places[some] = flat.argmax(1)
        values[some] = flat.max(1)
        bar.update(first + len(maps))
    bar.close()
    return values, places
