"""The pass over a pruned network that refits layer after layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from drnet_tf.graph import Call, Graph
from drnet_tf.repair import norms
from drnet_tf.repair.activations import ArrayStore, run_call, run_layer_by_layer
from drnet_tf.repair.journal import Journal
from drnet_tf.repair.linear_layers import LinearLayer, linear_layer
from drnet_tf.repair.patches import gather
from drnet_tf.repair.plan import Plan, Refit
from drnet_tf.repair.reference import Images, Reference
from drnet_tf.repair.report import LayerRepair
from drnet_tf.repair.ridge import Solution, choose_ridge, solve
from drnet_tf.repair.samples import Collection, Moments, Samples

_HOLD_BACK = 5  # every fifth image


class Fitting:
    """Refits a pruned network in place.

    Args:
      graph: of the pruned network, whose layers change.
      plan: what is refitted.
      reference: the full network's answers.
      images: that they are of.
      ridges: strengths of the pull to the old weights, as shares of the mean
        diagonal of the Gram matrix: of several, each layer takes the one that
        fits best on every fifth image, which is held back for this choice.
      store: for activations.
      journal: of layers that are done.

    Attributes:
      layers: what was done so far.
    """

    def __init__(
        self,
        graph: Graph,
        plan: Plan,
        reference: Reference,
        images: Images,
        ridges: Sequence[float],
        store: ArrayStore,
        journal: Journal | None = None,
    ) -> None:
        self._graph, self._plan, self._reference = graph, plan, reference
        self._images, self._ridges, self._store = images, ridges, store
        self._journal = journal
        self.layers: list[LayerRepair] = []

    def run(self) -> Iterator[int]:
        """Runs the network layer by layer and refits each when it is reached.

        Yields:
          The number of every call that is done.
        """
        return run_layer_by_layer(
            self._graph,
            self._images.arrays,
            self._images.batches,
            self._store,
            self._reach,
        )

    def _reach(self, call: Call) -> None:
        if call.name in self._plan.refits:
            self.layers.append(self._refitted(self._plan.refits[call.name]))
        if call.name in self._plan.norms:
            self._match(call)

    def _refitted(self, refit: Refit) -> LayerRepair:
        """Refits a layer, or takes what the journal has of it."""
        number = len(self.layers)
        done = self._journal.load(number, refit) if self._journal else None
        if done is None:
            done = self._refit(refit)
            if self._journal:
                self._journal.save(number, refit, done)
        return done

    def _refit(self, refit: Refit) -> LayerRepair:
        layer = linear_layer(refit.call.operation)
        kernel, bias = layer.kernel(), layer.bias()
        fitted, held_back = self._samples(refit, layer, kernel)
        free = bias
        if bias is None and refit.norm is not None:
            free = np.zeros(kernel[:, 0].shape)
        ridge = self._ridges[0]
        if len(self._ridges) > 1 and held_back.count:
            ridge = choose_ridge(fitted, held_back, kernel, free, self._ridges)
        both = Collection(*kernel.shape)
        both.add(fitted)
        both.add(held_back)
        samples = both.result()
        found = solve(samples, kernel, free, ridge)
        _adopt(refit, layer, kernel, bias, found)
        variance = max(float(found.variance.sum()), 1e-30)
        return LayerRepair(
            refit.call.name,
            samples.count,
            kernel.shape[1],
            float(found.error_before.sum()) / variance,
            float(found.error_after.sum()) / variance,
            found.ridge,
            "sum" if refit.sum else "output",
        )

    def _samples(
        self, refit: Refit, layer: LinearLayer, kernel: np.ndarray
    ) -> tuple[Samples | Moments, Samples | Moments]:
        """Of the images that are fitted, and of those held back."""
        groups, _, outputs = kernel.shape
        fitted, held_back = (Collection(*kernel.shape) for _ in range(2))
        shape = self._shape_out(refit.call, layer)
        goal = _Goal(refit, layer, self._reference, self._store)
        for number, batch in enumerate(self._images.batches):
            places = self._images.places(shape, number)
            inputs = self._store[refit.call.inputs[0], number]
            x = layer.samples(layer.channels_last(inputs), places, shape)
            y = goal.values(number, places)
            y = y.reshape(len(y), groups, outputs).swapaxes(0, 1)
            image = np.arange(batch.start, batch.start + len(places))
            held = image % _HOLD_BACK == _HOLD_BACK - 1
            held = np.repeat(held, places.shape[1])
            fitted.add(Samples(x[:, ~held], y[:, ~held]))
            held_back.add(Samples(x[:, held], y[:, held]))
        return fitted.result(), held_back.result()

    def _shape_out(self, call: Call, layer: LinearLayer) -> tuple[int, ...]:
        """Sizes of a call's output, which may be open in the graph."""
        values = {x: self._store[x, 0][:1] for x in set(call.inputs)}
        (output,) = run_call(call, values)
        return layer.spatial(output.shape)

    def _match(self, call: Call) -> None:
        (axis,) = np.atleast_1d(call.operation.axis).tolist()
        rank = len(self._graph.tensors[call.inputs[0]].shape)
        small = norms.ChannelMoments(axis % rank - rank)
        for number in range(len(self._images.batches)):
            small.add(self._store[call.inputs[0], number])
        origin = self._plan.norms[call.name].full
        full = self._reference.moments(origin.tensor, origin.channels)
        norms.match_moments(call.operation, small.result(), full)


class _Goal:
    """What a layer is fitted to: the full network's values at the places.

    Its own outputs before the activation; or what the sum that it ends in still
    lacks, (full sum - other summands - t) / s, if it gets there as s y + t.
    """

    def __init__(
        self,
        refit: Refit,
        layer: LinearLayer,
        reference: Reference,
        store: ArrayStore,
    ) -> None:
        self._refit, self._layer = refit, layer
        self._reference, self._store = reference, store
        self._scale = np.ones(len(refit.channels))
        self._offset = np.zeros(len(refit.channels))
        for call in refit.sum.norms if refit.sum else ():
            scale, offset = norms.scale_and_offset(call.operation)
            self._scale = self._scale * scale
            self._offset = self._offset * scale + offset

    def values(self, number: int, places: np.ndarray) -> np.ndarray:
        """`(n P, kept)` for the batch of this number."""
        refit = self._refit
        own = self._reference.outputs(refit.full_call, refit.channels, number)
        if refit.sum is None:
            return own
        full = refit.sum.full
        lacking = self._reference.sums(full.tensor, full.channels, number)
        lacking = lacking - self._offset
        for other in refit.sum.others:
            values = self._layer.channels_last(self._store[other, number])
            lacking = lacking - gather(values, places).reshape(lacking.shape)
        reaches = self._scale != 0  # a norm may silence channels
        scaled = lacking / np.where(reaches, self._scale, 1)
        return np.where(reaches, scaled, own).astype("float32")


def _adopt(
    refit: Refit,
    layer: LinearLayer,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    found: Solution,
) -> None:
    """Gives a layer its new weights; what is silent stays silent."""
    silent: np.ndarray = np.all(kernel == 0, axis=1, keepdims=False)
    new = np.where(silent[:, None], kernel, found.kernel)
    if bias is not None:
        layer.set_weights(new, np.where(silent, bias, found.bias))
        return
    layer.set_weights(new, None)
    if refit.norm is not None:
        added = np.where(silent, 0, found.bias).ravel()
        norms.shift(refit.norm.operation, added)
