"""A pruned network while it is trained on the full network's answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from drnet_tf.classifier import find_classifier, log_probabilities
from drnet_tf.finetuning.images import TrainingImages
from drnet_tf.finetuning.settings import Distillation
from drnet_tf.graph import read_graph
from drnet_tf.graph_building import as_inputs, copied
from drnet_tf.pruning import PrunedModel
from drnet_tf.repair.report import RepairedModel

# Norm of a step's gradients, at most, where norms are constants: nothing else
# makes up for kernels that grow.
_LARGEST_GRADIENT = 1.0
_RATE_WITH_NORMS, _RATE_WITHOUT = 0.02, 0.01
# Of the statistics a norm had before, at the end of the training.
_REMEMBERED = 0.01
# Steps from which on a graph pays for its tracing: on a CPU that takes as long
# as what it saves in 7 steps of VGG16, in 11 of ResNet20, in 19 of ResNet56.
_TRACED_FROM = 12


@dataclasses.dataclass(frozen=True)
class FinetunedModel(PrunedModel):
    """A pruned network after training.

    Attributes:
      history: the losses of every epoch; with validation data also "accuracy",
        a fraction, whose first entry is that of the network as it was given.
      best_epoch: whose weights the model has; 0: those it was given with.
      trained_norms: whether batch norms took part.
    """

    history: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    best_epoch: int = 0
    trained_norms: bool = True


class Student:
    """Trains a copy of a pruned network, step by step.

    Args:
      pruned: it is not changed.
      settings: what they leave open is decided by the network.
      steps: of an epoch.
      validation: if given, the weights of its best epoch are kept.

    Attributes:
      stopped: whether epochs have ceased to make it better.
    """

    def __init__(
        self,
        pruned: PrunedModel,
        settings: Distillation,
        steps: int,
        validation: TrainingImages | None,
    ) -> None:
        self._pruned, self._validation = pruned, validation
        self._settings = settings = _decided(settings, pruned)
        self._model = copied(pruned.model, settings.dtype_policy)
        _prepare_norms(
            self._model, bool(settings.train_norms), settings.epochs * steps
        )
        _compile(self._model, settings, steps)
        self._history: dict[str, list[float]] = {"loss": []}
        if validation is not None:
            self._history["accuracy"] = [validation.accuracy(self._model)]
        self._best, self._weights = 0, self._model.get_weights()
        self._losses: list[float] = []
        self.stopped = False

    def learn(self, images: np.ndarray, targets: np.ndarray) -> None:
        """A step.

        Args:
          images: a batch of the sub-task's images.
          targets: `(batch, 2 k)`: the full network's log-probabilities of the
            k classes, and one-hot labels.
        """
        x = as_inputs(self._model, images)
        self._losses.append(float(self._model.train_on_batch(x, targets)))

    def end_epoch(self) -> None:
        """Keeps the weights if they are the best so far, or stops."""
        history = self._history
        history["loss"].append(float(np.mean(self._losses)))
        self._losses.clear()
        epoch = len(history["loss"])
        if self._validation is not None:
            found = self._validation.accuracy(self._model)
            history["accuracy"].append(found)
            if found <= history["accuracy"][self._best]:
                self.stopped = epoch - self._best >= self._settings.patience
                return
        self._best, self._weights = epoch, self._model.get_weights()

    def finetuned(self) -> FinetunedModel:
        """The network with its best weights."""
        model = copied(self._pruned.model)
        model.set_weights(self._weights)
        return FinetunedModel(
            self._pruned.report,
            model,
            self._pruned.lineage,
            self._history,
            self._best,
            bool(self._settings.train_norms),
        )


def _decided(settings: Distillation, pruned: PrunedModel) -> Distillation:
    """The settings, with what they leave to the network that is trained."""
    norms, rate = settings.train_norms, settings.learning_rate
    if norms is None:
        norms = not _fitted_to_its_norms(pruned)
    if rate is None:
        rate = _RATE_WITH_NORMS if norms else _RATE_WITHOUT
    return dataclasses.replace(settings, train_norms=norms, learning_rate=rate)


def _fitted_to_its_norms(pruned: PrunedModel) -> bool:
    """Whether other statistics of the norms would undo what was fitted."""
    if isinstance(pruned, FinetunedModel):
        return not pruned.trained_norms
    refitted = isinstance(pruned, RepairedModel) and pruned.repair
    return bool(refitted and refitted.layers)


def _prepare_norms(model: keras.Model, train: bool, steps: int) -> None:
    """Makes norms constants, or lets them forget the cut network's statistics.

    What a moving mean keeps of its start falls by `momentum` at every step:
    with the usual 0.99 a short training would leave most of it, and at
    inference the network would not be the one that was trained.
    """
    for call in read_graph(model).calls:
        norm = call.operation
        if isinstance(norm, keras.layers.BatchNormalization):
            if not train:
                norm.trainable = False
            norm.momentum = min(norm.momentum, _REMEMBERED ** (1 / steps))


def _compile(model: keras.Model, settings: Distillation, steps: int) -> None:
    total = settings.epochs * steps
    schedule = keras.optimizers.schedules.CosineDecay(
        settings.learning_rate, total
    )
    on_tensorflow = keras.backend.backend() == "tensorflow"
    model.compile(
        keras.optimizers.SGD(
            schedule,
            settings.momentum,
            nesterov=True,
            global_clipnorm=None if settings.train_norms else _LARGEST_GRADIENT,
        ),
        loss=_loss(settings, find_classifier(model).probabilities),
        run_eagerly=on_tensorflow and total < _TRACED_FROM,
        jit_compile=False if on_tensorflow else "auto",
    )


def _loss(settings: Distillation, probabilities: bool) -> Callable[..., Any]:
    """The loss of targets `(batch, 2 k)`: log-probabilities, one-hot labels."""
    ops, heat, weight = keras.ops, settings.temperature, settings.label_weight

    def loss(targets: Any, outputs: Any) -> Any:
        outputs = ops.cast(outputs, "float32")
        scores = log_probabilities(outputs, probabilities)
        goal, labels = ops.split(ops.cast(targets, "float32"), 2, axis=-1)
        wanted = ops.softmax(goal / heat, axis=-1)
        gap = ops.log_softmax(goal / heat, axis=-1) - ops.log_softmax(
            scores / heat, axis=-1
        )
        divergence = heat**2 * ops.sum(wanted * gap, axis=-1)
        entropy = -ops.sum(labels * ops.log_softmax(scores, axis=-1), axis=-1)
        return (1 - weight) * divergence + weight * entropy

    return loss
