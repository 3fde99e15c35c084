"""A network with class-wise masks at its sites: what White-Box trains.

The gates of an image at site l are g = d^T M_l: M_l is the site's mask, one row
a class, and d a draw, 1 for the image's own class and uniform in [0, 1) for the
others. So M_l is the kernel of a Dense layer without bias, and one Keras model
of images and draws holds all there is to train.

Source: Zhang, Lin, Lin, Chao, Wu, Huang, Ji, "Carrying out CNN channel pruning
in a white box", arXiv 2104.11883; the details are those of its authors' code.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import keras
import numpy as np

from drnet_tf.classifier import find_classifier, log_probabilities
from drnet_tf.free_sites import GateSite
from drnet_tf.gates import per_image_gate_model
from drnet_tf.graph_building import (
    copied,
    functional_model,
    new_inputs,
    seed_dropout,
)
from drnet_tf.sites import gate_sites

_TINY = 1e-24  # a norm of 0 has no slope: below it, none is taken


class ClassMaskNetwork:
    """A copy of a network whose channels are gated by class-wise masks.

    The loss of a step of N images is

        1/N Σ_n CE(y_n, logits_n) + λ Σ_l ‖Σ_k M_l[k]‖₂ + w/2 Σ θ²

    over whatever is trained, θ: the masks, and the weights if asked for. The
    last term is weight decay as SGD with momentum knows it in the paper's code.

    Args:
      model: a classifier with one input; it is not changed.
      masked: names of the sites that get masks; the others stay open.
      coupling: which sites there are, see `sites.gate_sites`.
      train_weights: whether the network's weights are trained as well, with
        norms and dropout in training; else all of it runs as at inference, and
        draws are divided by their mean sum, (K + 1) / 2, so that gates are 1 on
        average at the start: no norm takes up the factor.
      learning_rate, momentum: of SGD.
      sparsity: λ.
      weight_decay: w.
      seed: of the network's dropout.
      columns: which of the numbers drawn for an image each class gets, a
        permutation; None: in the order of the outputs.

    Attributes:
      model: the copy, whose weights are trained if asked for.
      num_classes: K.
      masked: names of the sites with masks, in graph order.

    Raises:
      ValueError: the model gives no class scores or reads more than images, or
        no site is masked, or one that the network has not.
    """

    def __init__(
        self,
        model: keras.Model,
        *,
        masked: Collection[str],
        coupling: str,
        train_weights: bool,
        learning_rate: float,
        momentum: float,
        sparsity: float,
        weight_decay: float,
        seed: int,
        columns: Sequence[int] | None = None,
    ) -> None:
        sites = gate_sites(model, coupling)
        classifier = find_classifier(model)
        _check(model, sites, masked)
        self.num_classes = classifier.num_classes
        self._columns = list(columns or range(self.num_classes))
        self.masked = tuple(x.name for x in sites if x.name in masked)
        self.model = copied(model)
        self._scale = 1.0 if train_weights else 2 / (1 + self.num_classes)
        seed_dropout(self.model, seed)
        self._layers = {
            site.name: keras.layers.Dense(
                site.channels,
                use_bias=False,
                kernel_initializer="ones",
                dtype="float32",
                name=f"class_masks_{number}",
            )
            for number, site in enumerate(sites)
            if site.name in masked
        }
        self._network = self._built(sites, coupling, train_weights)
        self._kept = self._network.variables if train_weights else None
        optimizer = keras.optimizers.SGD(learning_rate, momentum)
        optimizer.build(self._network.trainable_variables)
        self._network.compile(
            optimizer,
            loss=self._loss(classifier.probabilities, sparsity, weight_decay),
            jit_compile=False
            if keras.backend.backend() == "tensorflow"
            else "auto",
        )

    def masks(self) -> dict[str, np.ndarray]:
        """M_l by masked site, `(K, C_l)` float32."""
        return {
            site: keras.ops.convert_to_numpy(layer.kernel)
            for site, layer in self._layers.items()
        }

    def draw(
        self, labels: np.ndarray, generator: np.random.Generator
    ) -> np.ndarray:
        """The draws d of some images, for each site its own.

        Args:
          labels: `(N,)` int, the classes.
          generator: of random numbers.

        Returns:
          `(N, L, K)` float32: 1 for the image's class, uniform in [0, 1) for
          the others.
        """
        shape = (len(labels), len(self.masked), self.num_classes)
        draws = generator.random(shape, np.float32)[..., self._columns]
        draws[np.arange(len(labels)), :, labels] = 1
        return draws

    def step(
        self, images: np.ndarray, labels: np.ndarray, draws: np.ndarray
    ) -> float:
        """One update.

        Args:
          images: `(N, ...)` as the network expects them.
          labels: `(N,)` int.
          draws: `(N, L, K)`, see `draw`.

        Returns:
          The mean loss of the images, before the update.
        """
        hot = np.eye(self.num_classes, dtype="float32")[labels]
        inputs = [images.astype("float32"), np.float32(self._scale) * draws]
        return float(self._network.train_on_batch(inputs, hot))

    def state(self) -> list[np.ndarray]:
        """All that training changes, so that it can go on elsewhere."""
        return [keras.ops.convert_to_numpy(x) for x in self._variables()]

    def restore(self, state: Sequence[np.ndarray]) -> None:
        """Goes back to what `state` gave."""
        for variable, value in zip(self._variables(), state, strict=True):
            variable.assign(value)

    def _variables(self) -> list[Any]:
        trained = self._kept or self._network.trainable_variables
        return [*trained, *self._network.optimizer.variables]

    def _built(
        self, sites: Sequence[GateSite], coupling: str, train_weights: bool
    ) -> keras.Model:
        images = new_inputs(self.model)[0]
        shape = (len(self.masked), self.num_classes)
        draws = keras.Input(shape, dtype="float32", name="class_mask_draws")
        one = keras.ops.ones_like(draws[:, 0, :1])
        gates = [
            self._layers[site.name](draws[:, self.masked.index(site.name)])
            if site.name in self._layers
            else keras.ops.tile(one, (1, site.channels))
            for site in sites
        ]
        gated = per_image_gate_model(self.model, coupling)
        if train_weights:
            outputs = gated([images, *gates])
        else:
            outputs = _AsAtInference(gated)([images, *gates])
        return functional_model([images, draws], outputs)

    def _loss(
        self, probabilities: bool, sparsity: float, weight_decay: float
    ) -> Callable[..., Any]:
        ops = keras.ops
        masks = [layer.kernel for layer in self._layers.values()]
        trained = self._network.trainable_variables

        def loss(hot: Any, outputs: Any) -> Any:
            scores = log_probabilities(outputs, probabilities)
            # The same for every image, so the mean over them leaves it as is.
            penalty = ops.zeros(())
            for mask in masks:
                squares = ops.sum(ops.square(ops.sum(mask, axis=0)))
                penalty += sparsity * ops.sqrt(ops.maximum(squares, _TINY))
            for x in trained if weight_decay else ():
                penalty += weight_decay / 2 * ops.sum(ops.square(x))
            return penalty - ops.sum(hot * scores, axis=-1)

        return loss


class _AsAtInference(keras.layers.Layer):
    """A network whose weights stay, and that never knows of training.

    A model hands `training` on to the models in it, whatever their own call
    said; not to what is within a layer that does not ask for it.
    """

    def __init__(self, network: keras.Model) -> None:
        super().__init__(trainable=False)
        self.network = network
        network.trainable = False

    def call(self, inputs: list[Any]) -> Any:
        """The network's outputs."""
        return self.network(inputs, training=False)


def _check(
    model: keras.Model, sites: Sequence[GateSite], masked: Collection[str]
) -> None:
    if len(model.inputs) != 1:
        raise ValueError(
            f"Model '{model.name}' has {len(model.inputs)} inputs, expected "
            "one, the images; class-wise masks need a network of images alone."
        )
    known = [site.name for site in sites]
    unknown = [name for name in masked if name not in known]
    if unknown or not masked:
        raise ValueError(
            f"Model '{model.name}': got the sites {list(masked)} for "
            f"class-wise masks, expected some of {known}; see gate_sites."
        )
