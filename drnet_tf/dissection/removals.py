"""A network without some channels of one site, many such networks at once.

What lies before the site does not depend on what is removed, so it runs once;
what lies behind it runs for many removals in one batch. Pooling right behind it
runs before: for a gate g of 0 or 1, max(g x) = g max(x), and so for means.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from drnet_tf.channel_gate import apply_gates
from drnet_tf.classifier import find_classifier, log_probabilities
from drnet_tf.dissection import autodiff
from drnet_tf.free_sites import GatePlace, GateSite
from drnet_tf.graph import Call, Graph, read_graph, replay
from drnet_tf.operations import is_a

_ROWS_BYTES = 1 << 28  # activations behind the site, of all rows of a batch
_MOST_ROWS = 4096
_KEPT_BYTES = 1 << 30  # activations before the site; beyond, they run again
_POOLING = tuple(
    f"{kind}Pooling{rank}D"
    for kind in ("Max", "Average", "GlobalMax", "GlobalAverage")
    for rank in (1, 2, 3)
)


class Removals:
    """What a network makes of images without some channels of a site.

    A removed channel is 0 at all places of the site, as in `apply_mask`. The
    part behind the site is compiled once and serves all images.

    Args:
      model: a classifier of one input; it is not changed.
      site: of `gate_sites(model, ...)`.

    Raises:
      ValueError: the model gives no class scores or reads more than images.
    """

    def __init__(self, model: keras.Model, site: GateSite) -> None:
        autodiff.check_backend()
        if len(model.inputs) != 1:
            raise ValueError(
                f"Model '{model.name}' has {len(model.inputs)} inputs, "
                "expected one, the images."
            )
        classifier = find_classifier(model)
        self.site = site
        self.num_classes = classifier.num_classes
        self._probabilities = classifier.probabilities
        graph = read_graph(model)
        places = (_behind_pooling(graph, place) for place in site.places)
        self._places = {place.tensor: place for place in places}
        self._before, self._behind = _cut(graph, self._places)
        self.rows = _rows(self._behind)
        tensors = self._behind.tensors
        self._measure = autodiff.compiled(
            self._outcome,
            [
                *((None, *tensors[x].shape[1:]) for x in self._behind.inputs),
                (None, site.channels),
                (None, self.num_classes),
            ],
        )

    def on(self, images: np.ndarray, labels: np.ndarray) -> ImageRemovals:
        """Runs the images as far as the site.

        Args:
          images: `(N, ...)`, as the network expects them.
          labels: `(N,)` classes.
        """
        targets = np.eye(self.num_classes, dtype=np.float32)[labels]
        return ImageRemovals(self, images, targets)

    def run_before(self, images: np.ndarray) -> list[np.ndarray]:
        """The tensors that the part behind the site reads, float32."""
        (image,) = self._before.inputs
        start = ops.cast(
            ops.convert_to_tensor(images, "float32"),
            self._before.tensors[image].dtype,
        )
        return [
            ops.convert_to_numpy(ops.cast(x, "float32"))
            for x in replay(self._before, [start])
        ]

    def run_behind(
        self, tensors: list[np.ndarray], keep: np.ndarray, targets: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Runs n images without each of r sets of channels.

        Args:
          tensors: of `run_before`, `(n, ...)` each.
          keep: `(r, C)` bool.
          targets: `(n, K)` float32, one-hot.

        Returns:
          Which images are classified rightly and their cross-entropies in
          nats, `(r, n)` float32 each.
        """
        arguments = [*tensors, keep.astype(np.float32), targets]
        right, losses = self._measure(
            *(ops.convert_to_tensor(x, "float32") for x in arguments)
        )
        return ops.convert_to_numpy(right), ops.convert_to_numpy(losses)

    def _outcome(self, *arguments: Any) -> tuple[Any, Any]:
        *tensors, keep, targets = arguments
        every = ops.ones_like(keep[:, :1])
        starts = []
        for index, tensor in zip(self._behind.inputs, tensors, strict=True):
            tensor = ops.cast(tensor, self._behind.tensors[index].dtype)
            place = self._places.get(index)
            gates = every if place is None else _gates_at(place, keep)
            starts.append(
                _stacked(tensor, gates, -1 if place is None else place.axis)
            )
        rows = _stacked(ops.ones_like(targets[:, :1]), keep, -1)
        outputs = self._gated(starts, rows)
        shape = (-1, ops.shape(targets)[0], self.num_classes)
        outputs = ops.reshape(outputs, shape)
        right = ops.equal(ops.argmax(outputs, -1), ops.argmax(targets, -1))
        losses = -ops.sum(
            targets * log_probabilities(outputs, self._probabilities), -1
        )
        return ops.cast(right, "float32"), losses

    def _gated(self, starts: list[Any], rows: Any) -> Any:
        """Runs the part behind; a tied site has further places in there."""

        def call(
            step: Call, args: tuple[Any, ...], kwargs: dict[str, Any]
        ) -> Any:
            outputs = step.operation(*args, **kwargs)
            place = self._places.get(step.outputs[0])
            if place is None:
                return outputs
            return apply_gates(outputs, rows, place.axis, place.entries)

        return replay(self._behind, starts, call)[0]


class ImageRemovals:
    """Removals measured on given images, held as they are before the site.

    Args:
      removals: of a network and a site.
      images: `(N, ...)`.
      targets: `(N, K)` float32, one-hot.
    """

    def __init__(
        self, removals: Removals, images: np.ndarray, targets: np.ndarray
    ) -> None:
        self._removals, self._images, self._targets = removals, images, targets
        self._size = min(len(images), removals.rows)
        self._kept: list[list[np.ndarray]] = []
        free = _KEPT_BYTES
        for part in self._parts():
            tensors = removals.run_before(images[part])
            free -= sum(x.nbytes for x in tensors)
            if free < 0:
                break
            self._kept.append(tensors)

    def __len__(self) -> int:
        """Number of images."""
        return len(self._images)

    def __call__(self, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Measures r networks.

        Args:
          keep: `(r, C)` bool, the channels that are there.

        Returns:
          `(r,)` int64, how many images are classified rightly; `(r,)` float64,
          the mean cross-entropy in nats.
        """
        right = np.zeros(len(keep), np.int64)
        losses = np.zeros(len(keep))
        at_once = max(1, self._removals.rows // self._size)
        for number, part in enumerate(self._parts()):
            if number < len(self._kept):
                tensors = self._kept[number]
            else:
                tensors = self._removals.run_before(self._images[part])
            for first in range(0, len(keep), at_once):
                some = slice(first, first + at_once)
                found, loss = self._removals.run_behind(
                    tensors, keep[some], self._targets[part]
                )
                right[some] += found.sum(1).astype(np.int64)
                losses[some] += loss.sum(1, dtype=np.float64)
        return right, losses / len(self)

    def _parts(self) -> Iterator[slice]:
        for first in range(0, len(self._images), self._size):
            yield slice(first, first + self._size)


def _behind_pooling(graph: Graph, place: GatePlace) -> GatePlace:
    """The place behind all pooling that alone reads its channels, if last."""
    readers, tensor = graph.consumers(), place.tensor
    while place.axis == -1 and tensor not in graph.outputs:
        if len(readers[tensor]) != 1 or not is_a(readers[tensor][0], _POOLING):
            break
        (tensor,) = readers[tensor][0].outputs
    return dataclasses.replace(place, tensor=tensor)


def _cut(graph: Graph, places: dict[int, GatePlace]) -> tuple[Graph, Graph]:
    """The graph before and behind the first gated tensors."""
    reached = set(places)
    behind: list[Call] = []
    for call in graph.calls:
        if not reached.isdisjoint(call.inputs):
            behind.append(call)
            reached.update(call.outputs)
    made = {x for call in behind for x in call.outputs}
    read = {x for call in behind for x in call.inputs} - made
    names = {call.name for call in behind}
    before = tuple(call for call in graph.calls if call.name not in names)
    between = tuple(sorted(read))
    return (
        dataclasses.replace(graph, calls=before, outputs=between),
        dataclasses.replace(graph, calls=tuple(behind), inputs=between),
    )


def _rows(behind: Graph) -> int:
    """How many images run behind the site at a time."""
    tensors = {*behind.inputs, *(x for c in behind.calls for x in c.outputs)}
    elements = sum(
        int(np.prod([size or 1 for size in behind.tensors[x].shape[1:]]))
        for x in tensors
    )
    return int(np.clip(_ROWS_BYTES // (4 * elements), 1, _MOST_ROWS))


def _gates_at(place: GatePlace, keep: Any) -> Any:
    """`(r, channels of the place)`: a tied site numbers them by its gates."""
    if list(place.entries) == list(range(keep.shape[1])):
        return keep
    return ops.take(keep, ops.array(place.entries), axis=1)


def _stacked(tensor: Any, factors: Any, axis: int) -> Any:
    """`(n, ...)` times each of `(r, C)` along an axis -> `(r * n, ...)`."""
    shape = [1] * (len(tensor.shape) + 1)
    shape[0], shape[axis] = -1, factors.shape[1]
    factors = ops.reshape(ops.cast(factors, tensor.dtype), shape)
    stacked = ops.expand_dims(tensor, 0) * factors
    return ops.reshape(stacked, (-1, *ops.shape(stacked)[2:]))
