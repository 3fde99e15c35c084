"""The pass over both networks that refits layer after layer."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from drnet_tf.graph import Call, Graph
from drnet_tf.repair import norms
from drnet_tf.repair.activations import (
    ArrayStore,
    last_reads,
    run_call,
    run_image_by_image,
)
from drnet_tf.repair.linear_layers import LinearLayer, linear_layer
from drnet_tf.repair.patches import draw_places, gather
from drnet_tf.repair.plan import Plan, Refit
from drnet_tf.repair.report import LayerRepair
from drnet_tf.repair.ridge import Moments, Solution, choose_ridge, solve

_HOLD_BACK = 5  # every fifth image


@dataclasses.dataclass(frozen=True)
class Settings:
    """How layers are refitted.

    Attributes:
      samples: places of images that each layer is fitted to, at most.
      ridges: strengths of the pull to the old weights, as shares of the mean
        diagonal of the Gram matrix: of several, each layer takes the one that
        fits best on every fifth image, which is held back for this choice.
      seed: of the places.
    """

    samples: int
    ridges: tuple[float, ...]
    seed: int


class Fitting:
    """Refits a pruned network in place.

    Args:
      full, small: graphs of both networks; the small one's layers change.
      plan: what is refitted.
      images: one array for each input.
      batches: of the images.
      settings: see there.
      store: for activations and targets.
    """

    def __init__(
        self,
        full: Graph,
        small: Graph,
        plan: Plan,
        images: Sequence[np.ndarray],
        batches: Sequence[slice],
        settings: Settings,
        store: ArrayStore,
    ) -> None:
        self._full, self._small, self._plan = full, small, plan
        self._images, self._batches = images, batches
        self._settings, self._store = settings, store
        self._places: dict[str, np.ndarray] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._full_moments = {
            name: norms.ChannelMoments(match.full.axis, match.full.channels)
            for name, match in plan.norms.items()
        }
        self.layers: list[LayerRepair] = []

    def read_full(self) -> Iterator[int]:
        """Runs the full network and keeps what the layers are fitted to.

        Yields:
          The number of every batch that is done.
        """
        refits: dict[str, list[tuple[str, Refit]]] = {}
        sums: dict[int, list[tuple[str, np.ndarray]]] = {}
        inputs: dict[int, list[str]] = {}
        for name, refit in self._plan.refits.items():
            refits.setdefault(refit.full_call.name, []).append((name, refit))
            if refit.sum:
                found = sums.setdefault(refit.sum.full.tensor, [])
                found.append((name, refit.sum.full.channels))
        for name, match in self._plan.norms.items():
            inputs.setdefault(match.full.tensor, []).append(name)

        def visit(number: int, call: Call, values: dict[int, Any]) -> None:
            for name, refit in refits.get(call.name, ()):
                self._keep_target(name, refit, number, values)
            for tensor in call.outputs:
                for name, channels in sums.get(tensor, ()):
                    self._keep_sum(name, channels, number, values[tensor])
                for name in inputs.get(tensor, ()):
                    self._full_moments[name].add(values[tensor])

        return run_image_by_image(
            self._full, self._images, self._batches, visit
        )

    def refit_small(self) -> Iterator[int]:
        """Runs the pruned network layer by layer and refits each.

        Yields:
          The number of every call that is done.
        """
        store, last = self._store, last_reads(self._small)
        for tensor, array in zip(self._small.inputs, self._images, strict=True):
            for number, batch in enumerate(self._batches):
                store[tensor, number] = array[batch]
        for place, call in enumerate(self._small.calls):
            if call.name in self._plan.refits:
                self._refit(self._plan.refits[call.name])
            if call.name in self._plan.norms:
                self._match(call)
            for number in range(len(self._batches)):
                values = {x: store[x, number] for x in set(call.inputs)}
                outputs = run_call(call, values)
                for tensor, array in zip(call.outputs, outputs, strict=True):
                    store[tensor, number] = array
                for tensor in last[call.name]:
                    store.pop((tensor, number))
            yield place

    # What the full network says.

    def _keep_target(
        self, name: str, refit: Refit, number: int, values: dict[int, Any]
    ) -> None:
        """Keeps the full layer's outputs, before its activation, at places."""
        call = refit.full_call
        layer = _linear(call)
        shape = layer.spatial(values[call.outputs[0]].shape)
        self._shapes[name] = shape
        places = self._places_of(name, shape, number)
        x = layer.samples(
            layer.channels_last(values[call.inputs[0]]), places, shape
        )
        kernel, bias, channels = layer.kernel(), layer.bias(), refit.channels
        if len(kernel) == 1:  # only what is kept has to be computed
            kernel = kernel[..., channels]
            bias = None if bias is None else bias[..., channels]
            channels = np.arange(len(channels))
        y = x @ kernel if bias is None else x @ kernel + bias[:, None]
        y = y.swapaxes(0, 1).reshape(y.shape[1], -1)[:, channels]
        self._store["target", name, number] = y

    def _keep_sum(
        self, name: str, channels: np.ndarray, number: int, values: np.ndarray
    ) -> None:
        layer = _linear(self._plan.refits[name].call)
        values = layer.channels_last(values)
        places = self._places_of(name, values.shape[1:-1], number)
        found = gather(values, places).reshape(-1, values.shape[-1])
        self._store["sum", name, number] = found[:, channels]

    def _places_of(
        self, name: str, shape: Sequence[int], number: int
    ) -> np.ndarray:
        """Places of the images of a batch, the same in both networks."""
        if name not in self._places:
            images = len(self._images[0])
            turn = list(self._plan.refits).index(name)
            self._places[name] = draw_places(
                images,
                shape,
                -(-self._settings.samples // images),
                np.random.default_rng([self._settings.seed, turn]),
            )
        return self._places[name][self._batches[number]]

    # What the small network makes of it.

    def _refit(self, refit: Refit) -> None:
        call, layer = refit.call, _linear(refit.call)
        kernel, bias = layer.kernel(), layer.bias()
        groups, unknowns, outputs = kernel.shape
        fitted, held_back = (
            Moments.zeros(groups, unknowns, outputs) for _ in range(2)
        )
        goal = _Goal(refit, layer, self._store)
        for number in range(len(self._batches)):
            inputs = layer.channels_last(self._store[call.inputs[0], number])
            places = self._places[call.name][self._batches[number]]
            x = layer.samples(inputs, places, self._shapes[call.name])
            y = goal.values(number, places)
            y = y.reshape(len(y), groups, outputs).swapaxes(0, 1)
            held = self._is_held_back(number, places)
            fitted.add(x[:, ~held], y[:, ~held])
            held_back.add(x[:, held], y[:, held])
        free = bias
        if bias is None and refit.norm is not None:
            free = np.zeros((groups, outputs))
        ridge = self._settings.ridges[0]
        if len(self._settings.ridges) > 1 and held_back.count:
            ridge = choose_ridge(
                fitted, held_back, kernel, free, self._settings.ridges
            )
        moments = fitted + held_back
        found = solve(moments, kernel, free, ridge)
        self._adopt(refit, layer, kernel, bias, found)
        variance = max(float(found.variance.sum()), 1e-30)
        self.layers.append(
            LayerRepair(
                call.name,
                moments.count,
                unknowns,
                float(found.error_before.sum()) / variance,
                float(found.error_after.sum()) / variance,
                ridge,
                "sum" if refit.sum else "output",
            )
        )

    def _is_held_back(self, number: int, places: np.ndarray) -> np.ndarray:
        """`(N P,)` bool: which samples of a batch choose the ridge."""
        batch = self._batches[number]
        image = np.arange(batch.start, batch.start + len(places))
        return np.repeat(image % _HOLD_BACK == _HOLD_BACK - 1, places.shape[1])

    def _adopt(
        self,
        refit: Refit,
        layer: LinearLayer,
        kernel: np.ndarray,
        bias: np.ndarray | None,
        found: Solution,
    ) -> None:
        """Gives the layer its new weights; what is silent stays silent."""
        silent: np.ndarray = np.all(kernel == 0, axis=1, keepdims=False)
        new = np.where(silent[:, None], kernel, found.kernel)
        added = found.bias
        if bias is not None:
            layer.set_weights(new, np.where(silent, bias, added))
            return
        layer.set_weights(new, None)
        if refit.norm is not None:
            norms.shift(
                refit.norm.operation, np.where(silent, 0, added).ravel()
            )

    def _match(self, call: Call) -> None:
        (axis,) = np.atleast_1d(call.operation.axis).tolist()
        rank = len(self._small.tensors[call.inputs[0]].shape)
        small = norms.ChannelMoments(axis % rank - rank)
        for number in range(len(self._batches)):
            small.add(self._store[call.inputs[0], number])
        full = self._full_moments[call.name].result()
        norms.match_moments(call.operation, small.result(), full)


class _Goal:
    """What a layer is fitted to: the full network's values at the places.

    Its own outputs before the activation; or what the sum that it ends in still
    lacks, (full sum - other summands - t) / s, if it gets there as s y + t.
    """

    def __init__(
        self, refit: Refit, layer: LinearLayer, store: ArrayStore
    ) -> None:
        self._refit, self._layer, self._store = refit, layer, store
        self._scale = np.ones(len(refit.channels))
        self._offset = np.zeros(len(refit.channels))
        for call in refit.sum.norms if refit.sum else ():
            scale, offset = norms.scale_and_offset(call.operation)
            self._scale = self._scale * scale
            self._offset = self._offset * scale + offset

    def values(self, number: int, places: np.ndarray) -> np.ndarray:
        """`(N P, kept)` for the batch of this number; it can be asked once."""
        name = self._refit.call.name
        own = self._store.pop(("target", name, number))
        if self._refit.sum is None:
            return own
        lacking = self._store.pop(("sum", name, number)) - self._offset
        for other in self._refit.sum.others:
            values = self._layer.channels_last(self._store[other, number])
            lacking = lacking - gather(values, places).reshape(lacking.shape)
        reaches = self._scale != 0  # a norm may silence channels
        scaled = lacking / np.where(reaches, self._scale, 1)
        return np.where(reaches, scaled, own).astype("float32")


def _linear(call: Call) -> LinearLayer:
    layer = linear_layer(call.operation)
    if layer is None:
        raise TypeError(f"{call.name}: no linear layer")
    return layer
