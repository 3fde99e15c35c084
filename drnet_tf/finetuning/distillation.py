"""`finetune`: the pruned network trained on the full network's answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from drnet_tf.augmentation import shift_and_flip
from drnet_tf.classifier import find_classifier, log_probabilities
from drnet_tf.finetuning.images import TrainingImages
from drnet_tf.finetuning.settings import Distillation
from drnet_tf.graph import read_graph
from drnet_tf.graph_building import as_inputs, copied
from drnet_tf.progress import DelayedBar
from drnet_tf.pruning import PrunedModel
from drnet_tf.pruning.lineage import output_rows
from drnet_tf.pruning.pruned_model import lineage_of
from drnet_tf.repair.report import RepairedModel

# Norm of a step's gradients, at most, where norms are constants: nothing else
# makes up for kernels that grow.
_LARGEST_GRADIENT = 1.0
_RATE_WITH_NORMS, _RATE_WITHOUT = 0.02, 0.01
# Of the statistics a norm had before, at the end of the training.
_REMEMBERED = 0.01


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


def finetune(
    pruned: PrunedModel,
    full_model: keras.Model,
    dataset: Any,
    settings: Distillation | None = None,
    *,
    validation_data: Any = None,
    progress: bool = True,
    **options: Any,
) -> FinetunedModel:
    """Trains a pruned network to answer as the full one does.

    Args:
      pruned: by `prune(full_model, ..., classes=...)`, repaired or not; it is
        not changed.
      full_model: the network it was cut from; it is not changed.
      dataset: training images of the sub-task as the network expects them:
        `(N, ...)` images alone; or anything `datasets.batches` takes, labels
        numbered as the full network's outputs: images of other classes are
        left out.
      settings: see `Distillation`.
      validation_data: images with labels, not of the dataset: after each epoch
        the accuracy is measured, and the best weights are kept.
      progress: whether to show a bar if it takes long.
      **options: fields of `settings` that differ from it: `epochs=3`.

    Returns:
      A `FinetunedModel` of the same shape.

    Raises:
      TypeError: not a pruned network, or not a dataset.
      ValueError: it stems from another network, settings or images do not suit.
    """
    settings = dataclasses.replace(settings or Distillation(), **options)
    lineage = lineage_of(pruned, full_model, "finetune")
    rows = output_rows(pruned.model, lineage, "finetune")
    images = TrainingImages.of(dataset, rows, settings.label_weight > 0)
    validation = None
    if validation_data is not None:
        validation = TrainingImages.of(validation_data, rows, True)
    settings = _decided(settings, pruned)
    small = copied(pruned.model, settings.dtype_policy)
    history, best, weights = _train(
        small,
        _teacher(full_model, rows),
        images,
        validation,
        settings,
        progress,
    )
    model = copied(pruned.model)
    model.set_weights(weights)
    return FinetunedModel(
        pruned.report,
        model,
        pruned.lineage,
        history,
        best,
        bool(settings.train_norms),
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


def _train(
    small: keras.Model,
    teacher: Callable[[np.ndarray], np.ndarray],
    images: TrainingImages,
    validation: TrainingImages | None,
    settings: Distillation,
    progress: bool,
) -> tuple[dict[str, list[float]], int, list[np.ndarray]]:
    """The history, the best epoch, and its weights."""
    steps = -(-len(images) // settings.batch_size)
    _prepare_norms(small, bool(settings.train_norms), settings.epochs * steps)
    _compile(small, settings, steps)
    generator = np.random.default_rng(settings.seed)
    history: dict[str, list[float]] = {"loss": []}
    best, weights = 0, small.get_weights()
    if validation is not None:
        history["accuracy"] = [validation.accuracy(small)]
    bar = DelayedBar(settings.epochs * steps, "step") if progress else None
    for epoch in range(1, settings.epochs + 1):
        losses = []
        for x, y in _batches(images, teacher, settings, generator):
            losses.append(float(small.train_on_batch(as_inputs(small, x), y)))
            if bar:
                bar.update((epoch - 1) * steps + len(losses))
        history["loss"].append(float(np.mean(losses)))
        if validation is None:
            best, weights = epoch, small.get_weights()
            continue
        history["accuracy"].append(validation.accuracy(small))
        if history["accuracy"][epoch] > history["accuracy"][best]:
            best, weights = epoch, small.get_weights()
        elif epoch - best >= settings.patience:
            break
    if bar:
        bar.close()
    return history, best, weights


def _compile(small: keras.Model, settings: Distillation, steps: int) -> None:
    schedule = keras.optimizers.schedules.CosineDecay(
        settings.learning_rate, settings.epochs * steps
    )
    small.compile(
        keras.optimizers.SGD(
            schedule,
            settings.momentum,
            nesterov=True,
            global_clipnorm=None if settings.train_norms else _LARGEST_GRADIENT,
        ),
        loss=_loss(settings, find_classifier(small).probabilities),
        jit_compile=False
        if keras.backend.backend() == "tensorflow"
        else "auto",
    )


def _prepare_norms(small: keras.Model, train: bool, steps: int) -> None:
    """Makes norms constants, or lets them forget the cut network's statistics.

    What a moving mean keeps of its start falls by `momentum` at every step:
    with the usual 0.99 a short training would leave most of it, and at
    inference the network would not be the one that was trained.
    """
    for call in read_graph(small).calls:
        norm = call.operation
        if isinstance(norm, keras.layers.BatchNormalization):
            if not train:
                norm.trainable = False
            norm.momentum = min(norm.momentum, _REMEMBERED ** (1 / steps))


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


def _batches(
    images: TrainingImages,
    teacher: Callable[[np.ndarray], np.ndarray],
    settings: Distillation,
    generator: np.random.Generator,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Images and targets of one epoch; the full network sees the same ones."""
    for x, labels in images.shuffled(settings.batch_size, generator):
        if settings.augment and x.ndim == 4:
            x = shift_and_flip(x, generator)
        yield x, np.concatenate([teacher(x), labels], axis=-1)


def _teacher(
    full_model: keras.Model, rows: Sequence[int]
) -> Callable[[np.ndarray], np.ndarray]:
    """Images -> the full network's log-probabilities of the sub-task."""
    probabilities = find_classifier(full_model).probabilities

    def answer(images: np.ndarray) -> np.ndarray:
        outputs = keras.ops.convert_to_tensor(
            full_model.predict_on_batch(as_inputs(full_model, images))
        )
        scores = log_probabilities(outputs, probabilities)
        return keras.ops.convert_to_numpy(scores)[:, rows]

    return answer
