"""A copy of a network that is trained, with all that its updates change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from drnet_tf.classifier import find_classifier
from drnet_tf.graph_building import as_inputs, copied, seed_dropout
from drnet_tf.top_class import top_class_accuracy
from drnet_tf.training.optimizer import CoupledDecaySGD
from drnet_tf.training.schedules import learning_rates
from drnet_tf.training.settings import Training


class TrainedNetwork:
    """A network in training.

    Args:
      model: where training starts; it is not changed.
      settings: see `Training`.
      images: number of training images, which the schedule depends on.

    Raises:
      ValueError: the model gives no class scores; see `find_classifier`.
    """

    def __init__(
        self, model: keras.Model, settings: Training, images: int
    ) -> None:
        self._start = model
        self._network = copied(model, settings.dtype_policy)
        seed_dropout(self._network, settings.seed)
        self._network.compile(
            _optimizer(settings, settings.epochs * settings.updates(images)),
            loss=keras.losses.SparseCategoricalCrossentropy(
                from_logits=not find_classifier(model).probabilities,
                dtype="float32",  # also where the network computes in 16 bits
            ),
            jit_compile=_jit_compile(settings),
        )
        # Else it has no state to be restored before its first update.
        self._network.optimizer.build(self._network.trainable_variables)

    def step(self, images: np.ndarray, labels: np.ndarray) -> float:
        """One update.

        Args:
          images: `(n, ...)` float32.
          labels: `(n,)` int.

        Returns:
          The mean loss of the images before it, in nats.
        """
        inputs = as_inputs(self._network, images)
        return float(self._network.train_on_batch(inputs, labels))

    def accuracy(self, images: np.ndarray, labels: np.ndarray) -> float:
        """Fraction of the images that are classified rightly."""
        return top_class_accuracy(self._network, images, labels)

    def state(self) -> dict[str, np.ndarray]:
        """All that updates change: weights, momenta, counters, dropout."""
        return {
            name: np.asarray(keras.ops.convert_to_numpy(variable.value))
            for name, variable in self._variables().items()
        }

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Goes back to what `state` gave.

        Raises:
          ValueError: it is the state of another network or optimizer.
        """
        variables = self._variables()
        own = {name: tuple(v.shape) for name, v in variables.items()}
        got = {name: value.shape for name, value in state.items()}
        differ = sorted(
            name for name in {*own, *got} if own.get(name) != got.get(name)
        )
        if differ:
            raise ValueError(
                f"train: the state kept has '{differ[0]}' of shape "
                f"{got.get(differ[0])}, the network in training of shape "
                f"{own.get(differ[0])}; it was kept by another version of "
                "Keras or of this package, so empty the work_dir."
            )
        for name, variable in variables.items():
            variable.assign(state[name])

    def result(self) -> keras.Model:
        """A network like the one at the start, with the weights of now."""
        model = copied(self._start)
        model.set_weights(self._network.get_weights())
        return model

    def _variables(self) -> dict[str, Any]:
        """By names that sort as the variables stand, as Keras' may repeat."""
        parts = {
            "network": self._network.variables,
            "optimizer": self._network.optimizer.variables,
        }
        return {
            f"{part}/{number:06d}": variable
            for part, variables in parts.items()
            for number, variable in enumerate(variables)
        }


def _optimizer(settings: Training, updates: int) -> keras.Optimizer:
    optimizer = CoupledDecaySGD(
        learning_rates(settings.schedule, settings.learning_rate, updates),
        settings.momentum,
        settings.weight_decay,
    )
    if settings.dtype_policy == "mixed_float16":
        # Keras adds it by itself only where the model's own policy says so, and
        # that of a copy is the one of the day.
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def _jit_compile(settings: Training) -> bool | str:
    """XLA by choice on TensorFlow; elsewhere what the backend does itself."""
    if settings.jit or keras.backend.backend() == "tensorflow":
        return settings.jit
    return "auto"
