"""Parameters, multiply-accumulates and bytes, of networks and sub-networks.

Two questions: what a model costs (`count_costs`), and what of it a sub-task
runs (`count_masked_costs`) before anything is removed. `CostModel` reads the
graph once and answers both as often as asked.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from drnet_tf.call_costs import (
    kept_parameters,
    kept_weights,
    multiplies_otherwise,
    products,
    weights_of_calls,
)
from drnet_tf.cost_records import Costs, LayerCost, MaskedCosts
from drnet_tf.free_sites import GateSite, find_free_sites
from drnet_tf.graph import read_graph
from drnet_tf.masks import ChannelMask
from drnet_tf.running import Use, follow, head_of
from drnet_tf.sites import keep_by_tensor, sites_for

_BYTES = 4  # of a float32


def count_costs(model: keras.Model) -> Costs:
    """Counts parameters, multiply-accumulates (MACs) and bytes of a model.

    MACs are those of convolutions (of any kind) and Dense layers, one for each
    weight at each place it is applied: a 3x3 kernel over H x W output pixels
    has 9 x C_in x C_out x H x W (padding included). Biases, norms, activations,
    pooling and additions have none. Papers often say FLOPs for MACs. A shared
    layer has its parameters once and its MACs at each call.

    Args:
      model: a Functional or Sequential model of fixed image size; nested models
        are opened.

    Raises:
      TypeError: the model is subclassed, or no Keras model.
      ValueError: the image size is open.

    Example:
      >>> import keras
      >>> model = keras.Sequential([
      ...     keras.Input((8, 8, 3)),
      ...     keras.layers.Conv2D(4, 3, padding="same"),
      ... ])
      >>> costs = count_costs(model)
      >>> costs.parameters, costs.macs, costs.bytes
      (112, 6912, 448)
    """
    return CostModel(model).full()


def count_masked_costs(
    model: keras.Model, mask: ChannelMask, num_classes: int | None = None
) -> MaskedCosts:
    """Counts the running channels, parameters and MACs of a sub-task.

    DRNet's way (section 4, "running channels / parameters"): each convolution
    and Dense layer runs its kept inputs x kept outputs, whether or not they can
    be removed physically (a shared stream keeps channels that no block runs).

    * Kept outputs of a convolution: those of the site it feeds (of any of
      them, if several); all, where no site follows. A bias and the norm after
      it go with the output channel.
    * Kept inputs: those of the sites they come from, through norms,
      activations, pooling, padding, dropout and reshaping (flattened, each
      channel stands for all its rows), joined by concatenation. The channel of
      a sum runs if it runs in any operand, of a product if it runs in all.
    * After any other operation, and in the images, every channel runs.
    * Parameters are the learnable ones, as in `Costs`. A shared layer runs what
      any of its calls does.

    Args:
      model: a Functional or Sequential model of fixed image size.
      mask: of the sites of `model`.
      num_classes: rows of the classifier that the sub-task keeps; by default
        all of them.

    Raises:
      TypeError: the model is subclassed, or no Keras model.
      ValueError: the mask is another model's, or there are not so many classes.

    Example:
      >>> import keras
      >>> model = keras.Sequential([
      ...     keras.Input((8, 8, 3)),
      ...     keras.layers.Conv2D(4, 3, activation="relu", name="conv"),
      ...     keras.layers.GlobalAveragePooling2D(),
      ...     keras.layers.Dense(10),
      ... ])
      >>> mask = ChannelMask({"conv": np.array([True, False, False, False])})
      >>> costs = count_masked_costs(model, mask, num_classes=2)
      >>> costs.parameters, costs.parameters_full  # (27 + 1) + (2 + 2)
      (32, 162)
    """
    return CostModel(model).masked(mask, num_classes)


class CostModel:
    """A model's costs, read once and asked often (a budget search).

    Args:
      model: see `count_costs`; it is not changed, and not looked at again.

    Example:
      >>> import keras
      >>> model = keras.Sequential([
      ...     keras.Input((8, 8, 3)),
      ...     keras.layers.Conv2D(4, 3, name="conv"),
      ...     keras.layers.Flatten(),
      ...     keras.layers.Dense(2),
      ... ])
      >>> costs = CostModel(model)
      >>> keep_two = ChannelMask({"conv": np.arange(4) < 2})
      >>> costs.full().macs, costs.masked(keep_two).macs
      (4176, 2088)
    """

    def __init__(self, model: keras.Model) -> None:
        self._model_name = model.name
        self._graph = read_graph(model)
        calls = self._graph.calls
        self._products = [products(call, self._graph) for call in calls]
        self._sites = find_free_sites(self._graph)
        self._sites_of: dict[tuple[str, ...], tuple[GateSite, ...]] = {}
        # The calls of each operation: a shared layer has several.
        self._calls_of: dict[int, list[int]] = {}
        for index, call in enumerate(calls):
            self._calls_of.setdefault(id(call.operation), []).append(index)
        self._weights = weights_of_calls(self._graph)
        # By call: what was counted last, and of what.
        self._counted: dict[int, tuple[Any, LayerCost]] = {}
        self._layers = self._count([Use()] * len(calls))

    def full(self) -> Costs:
        """The costs of the whole model; see `count_costs`."""
        parameters = sum(layer.parameters for layer in self._layers)
        return Costs(
            parameters=parameters,
            learnable_parameters=_learnable(self._layers),
            macs=sum(layer.macs for layer in self._layers),
            bytes=_BYTES * parameters,
            layers=self._layers,
            uncounted=tuple(
                call.name
                for call in self._graph.calls
                if multiplies_otherwise(call)
            ),
        )

    def masked(
        self, mask: ChannelMask, num_classes: int | None = None
    ) -> MaskedCosts:
        """What a sub-task runs; see `count_masked_costs`."""
        keep = self._keep(mask)
        rows = self._head_rows(num_classes)
        uses = follow(self._graph, self._products, self._sites, keep, rows)
        layers = self._count(uses)
        return MaskedCosts(
            channels=mask.kept,
            channels_full=mask.total,
            parameters=_learnable(layers),
            parameters_full=_learnable(self._layers),
            macs=sum(layer.macs for layer in layers),
            macs_full=sum(layer.macs for layer in self._layers),
            layers=layers,
        )

    def _keep(self, mask: ChannelMask) -> dict[str, np.ndarray]:
        """`(C_l,)` bool by free site; open where a tied mask has no gate."""
        names = tuple(mask.channels)
        if names not in self._sites_of:  # tied ones take their time
            self._sites_of[names] = sites_for(self._graph, mask.channels)
        sites = self._sites_of[names]
        mask.check_sites(
            {site.name: site.channels for site in sites}, self._model_name
        )
        kept = keep_by_tensor(sites, mask.keep)
        return {
            site.name: kept.get(site.tensor, np.ones(site.channels, bool))
            for site in self._sites
        }

    def _head_rows(self, num_classes: int | None) -> dict[str, np.ndarray]:
        if num_classes is None:
            return {}
        head = head_of(self._graph, self._products)
        name, width = head if head else ("", 0)
        if not 1 <= num_classes <= width:
            raise ValueError(
                f"Model '{self._model_name}': got num_classes={num_classes}, "
                f"expected 1 to {width}, the outputs of its last layer "
                f"'{name}'; leave it out to keep them all."
            )
        return {name: np.arange(width) < num_classes}

    def _count(self, uses: Sequence[Use]) -> tuple[LayerCost, ...]:
        keys = [use.key() for use in uses]
        layers = []
        for index, call in enumerate(self._graph.calls):
            calls = self._calls_of[id(call.operation)]
            key = tuple(keys[i] for i in (index, *calls))
            # The masks of a search differ at few sites from one to the next.
            if index not in self._counted or self._counted[index][0] != key:
                self._counted[index] = key, self._layer(index, uses)
            layers.append(self._counted[index][1])
        return tuple(layers)

    def _layer(self, index: int, uses: Sequence[Use]) -> LayerCost:
        """What one of the calls costs; its layer has what any call runs."""
        call, parts = self._graph.calls[index], self._products[index]
        use = uses[index]
        calls = self._calls_of[id(call.operation)]
        shared = functools.reduce(operator.or_, (uses[i] for i in calls))
        kept = kept_weights(parts, use.before, use.after)
        parameters, learnable = kept_parameters(
            call,
            self._weights[index],
            parts,
            shared.before,
            shared.after,
            shared.axis,
        )
        return LayerCost(
            call.name,
            type(call.operation).__name__,
            parameters,
            learnable,
            sum(
                part.positions * weights
                for part, weights in zip(parts, kept, strict=True)
            ),
            tuple(self._graph.tensors[call.outputs[0]].shape[1:]),
        )


def _learnable(layers: Sequence[LayerCost]) -> int:
    return sum(layer.learnable_parameters for layer in layers)
