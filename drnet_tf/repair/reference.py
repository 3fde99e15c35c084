"""What the full network answers: targets for the layers of pruned ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from drnet_tf.graph import Call, Graph
from drnet_tf.repair.activations import (
    ArrayStore,
    as_array,
    run_image_by_image,
)
from drnet_tf.repair.linear_layers import linear_layer
from drnet_tf.repair.norms import ChannelMoments
from drnet_tf.repair.patches import draw_places, gather
from drnet_tf.repair.plan import Plan


@dataclasses.dataclass(frozen=True, eq=False)
class Images:
    """The images of a repair, and where layers are sampled.

    Attributes:
      arrays: one for each input of the network, `(N, ...)`.
      batches: of the images.
      samples: places of all images that each layer is sampled at, at most.
      seed: of the places.
    """

    arrays: Sequence[np.ndarray]
    batches: Sequence[slice]
    samples: int
    seed: int

    def __len__(self) -> int:
        return len(self.arrays[0])

    def places(self, shape: Sequence[int], number: int) -> np.ndarray:
        """`(n, P)` int: places of the images of a batch.

        Args:
          shape: sizes of a layer's output; the same for the same sizes.
          number: of the batch.
        """
        batch = self.batches[number]
        generator = np.random.default_rng([self.seed, number, *shape])
        return draw_places(
            len(range(*batch.indices(len(self)))),
            shape,
            -(-self.samples // len(self)),
            generator,
        )


class Reference:
    """Runs the full network once and keeps what pruned ones are fitted to.

    Args:
      graph: of the full network.
      plans: of the pruned ones: of each layer only the channels that one of
        them has are kept.
      images: see there.
      store: for what is kept.
    """

    def __init__(
        self,
        graph: Graph,
        plans: Iterable[Plan],
        images: Images,
        store: ArrayStore,
    ) -> None:
        self._graph, self._images, self._store = graph, images, store
        outputs: dict[str, list[np.ndarray]] = {}
        sums: dict[int, list[np.ndarray]] = {}
        self._norms: dict[int, ChannelMoments] = {}
        for plan in plans:
            for refit in plan.refits.values():
                name = refit.full_call.name
                outputs.setdefault(name, []).append(refit.channels)
                if refit.sum is not None:
                    kept = sums.setdefault(refit.sum.full.tensor, [])
                    kept.append(refit.sum.full.channels)
            for match in plan.norms.values():
                axis = match.full.axis
                self._norms[match.full.tensor] = ChannelMoments(axis)
        self._outputs = {name: _union(x) for name, x in outputs.items()}
        self._sums = {tensor: _union(x) for tensor, x in sums.items()}
        # A sum is sampled as the layers that end in it are.
        self._layers = {
            refit.sum.full.tensor: linear_layer(refit.full_call.operation)
            for plan in plans
            for refit in plan.refits.values()
            if refit.sum is not None
        }

    def read(self) -> Iterator[int]:
        """Runs the network; yields the number of every batch that is done."""
        return run_image_by_image(
            self._graph, self._images.arrays, self._images.batches, self._visit
        )

    def outputs(
        self, call: Call, channels: np.ndarray, number: int
    ) -> np.ndarray:
        """`(n P, channels)`: a layer's outputs, before its activation."""
        kept = self._store["outputs", call.name, number]
        return kept[:, np.searchsorted(self._outputs[call.name], channels)]

    def sums(
        self, tensor: int, channels: np.ndarray, number: int
    ) -> np.ndarray:
        """`(n P, channels)`: values of an addition."""
        kept = self._store["sums", tensor, number]
        return kept[:, np.searchsorted(self._sums[tensor], channels)]

    def moments(
        self, tensor: int, channels: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of a tensor's channels."""
        mean, variance = self._norms[tensor].result()
        return mean[channels], variance[channels]

    def _visit(self, number: int, call: Call, values: dict[int, Any]) -> None:
        if call.name in self._outputs:
            self._keep_outputs(number, call, values)
        for tensor in call.outputs:
            if tensor in self._sums:
                layer = self._layers[tensor]
                found = layer.channels_last(as_array(values[tensor]))
                places = self._images.places(found.shape[1:-1], number)
                rows = gather(found, places).reshape(-1, found.shape[-1])
                self._store["sums", tensor, number] = rows[
                    :, self._sums[tensor]
                ]
            if tensor in self._norms:
                self._norms[tensor].add(as_array(values[tensor]))

    def _keep_outputs(
        self, number: int, call: Call, values: dict[int, Any]
    ) -> None:
        layer = linear_layer(call.operation)
        outputs = layer.channels_last(as_array(values[call.outputs[0]]))
        channels, shape = self._outputs[call.name], outputs.shape[1:-1]
        places = self._images.places(shape, number)
        if layer.is_linear_to_the_end:
            y = gather(outputs, places).reshape(-1, outputs.shape[-1])
            self._store["outputs", call.name, number] = y[:, channels]
            return
        inputs = layer.channels_last(as_array(values[call.inputs[0]]))
        x = layer.samples(inputs, places, shape)
        kernel, bias = layer.kernel(), layer.bias()
        if len(kernel) == 1:  # only what is kept has to be computed
            kernel = kernel[..., channels]
            bias = None if bias is None else bias[..., channels]
            channels = np.arange(len(channels))
        y = x @ kernel if bias is None else x @ kernel + bias[:, None]
        y = y.swapaxes(0, 1).reshape(y.shape[1], -1)[:, channels]
        self._store["outputs", call.name, number] = y


def _union(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.unique(np.concatenate(parts))
