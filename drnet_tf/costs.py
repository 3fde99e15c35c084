"""Parameters, multiply-accumulates and bytes, of networks and sub-networks.

Two questions: what a model costs (`count_costs`), and what of it a sub-task
runs (`count_masked_costs`) before anything is removed. `CostModel` reads the
graph once and answers both as often as asked.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Sequence

import keras
import numpy as np

from drnet_tf.call_costs import (
    kept_parameters,
    kept_weights,
    multiplies_otherwise,
    products,
    weights_of_calls,
)
from drnet_tf.graph import read_graph
from drnet_tf.masks import ChannelMask
from drnet_tf.running import Use, follow, head_of
from drnet_tf.sites import find_sites

_BYTES = 4  # of a float32


@dataclasses.dataclass(frozen=True)
class LayerCost:
    """What one call costs.

    Attributes:
      name: of the call.
      kind: class of its operation: "Conv2D".
      parameters: all its weights; 0 for further calls of a shared layer.
      learnable_parameters: those without moving statistics.
      macs: multiply-accumulates for one image.
      output_shape: of its first output, without the batch axis.
    """

    name: str
    kind: str
    parameters: int
    learnable_parameters: int
    macs: int
    output_shape: tuple[int | None, ...]


@dataclasses.dataclass(frozen=True)
class Costs:
    """What a model costs; see `count_costs`.

    Attributes:
      parameters: all weights, as `model.count_params()`.
      learnable_parameters: without the moving statistics of norms: the count
        of papers and of PyTorch, whether layers are frozen or not.
      macs: multiply-accumulates for one image.
      bytes: 4 x `parameters`: all weights as float32, without file overhead.
      layers: one entry a call, in graph order.
      uncounted: calls that multiply matrices in a way that `macs` lacks.
    """

    parameters: int
    learnable_parameters: int
    macs: int
    bytes: int
    layers: tuple[LayerCost, ...]
    uncounted: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class MaskedCosts:
    """What a sub-task runs; see `count_masked_costs`.

    Attributes:
      channels, channels_full: channels kept, and all, of the sites.
      parameters, parameters_full: learnable parameters.
      macs, macs_full: multiply-accumulates for one image.
      layers: what runs of each call, in the order of `Costs.layers`.
    """

    channels: int
    channels_full: int
    parameters: int
    parameters_full: int
    macs: int
    macs_full: int
    layers: tuple[LayerCost, ...]

    @property
    def channels_fraction(self) -> float:
        """Running channels as a fraction of all, in [0, 1]."""
        return self.channels / self.channels_full

    @property
    def parameters_fraction(self) -> float:
        """Running parameters as a fraction of all, in [0, 1]."""
        return self.parameters / self.parameters_full

    @property
    def macs_fraction(self) -> float:
        """Running multiply-accumulates as a fraction of all, in [0, 1]."""
        return self.macs / self.macs_full


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
        self._sites = find_sites(self._graph)
        # The calls of each operation: a shared layer has several.
        self._calls_of: dict[int, list[int]] = {}
        for index, call in enumerate(calls):
            self._calls_of.setdefault(id(call.operation), []).append(index)
        self._weights = weights_of_calls(self._graph)
        self._layers = self._count([Use()] * len(calls))

    def full(self) -> Costs:
        """The costs of the whole model; see `count_costs`."""
        parameters = sum(layer.parameters for layer in self._layers)
        return Costs(
            parameters=parameters,
            learnable_parameters=sum(
                layer.learnable_parameters for layer in self._layers
            ),
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
        channels = {site.name: site.channels for site in self._sites}
        mask.check_sites(channels, self._model_name)
        rows = self._head_rows(num_classes)
        uses = follow(self._graph, self._products, self._sites, mask.keep, rows)
        layers = self._count(uses)
        return MaskedCosts(
            channels=mask.kept,
            channels_full=mask.total,
            parameters=sum(layer.learnable_parameters for layer in layers),
            parameters_full=sum(
                layer.learnable_parameters for layer in self._layers
            ),
            macs=sum(layer.macs for layer in layers),
            macs_full=sum(layer.macs for layer in self._layers),
            layers=layers,
        )

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
        layers = []
        for index, call in enumerate(self._graph.calls):
            parts, use = self._products[index], uses[index]
            kept = kept_weights(parts, use.before, use.after)
            calls = self._calls_of[id(call.operation)]
            shared = functools.reduce(operator.or_, (uses[i] for i in calls))
            parameters, learnable = kept_parameters(
                call,
                self._weights[index],
                parts,
                shared.before,
                shared.after,
                shared.axis,
            )
            layers.append(
                LayerCost(
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
            )
        return tuple(layers)
