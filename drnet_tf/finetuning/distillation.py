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
from drnet_tf.finetuning.student import FinetunedModel, Student
from drnet_tf.graph_building import as_inputs
from drnet_tf.image_axes import channel_axis
from drnet_tf.progress import DelayedBar
from drnet_tf.pruning import PrunedModel
from drnet_tf.pruning.lineage import output_rows
from drnet_tf.pruning.pruned_model import lineage_of


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
      ValueError: it stems from another network, it has one class, settings or
        images do not suit.
    """
    (finetuned,) = finetune_all(
        [pruned],
        full_model,
        dataset,
        settings,
        validation_data=validation_data,
        progress=progress,
        **options,
    )
    return finetuned


def finetune_all(
    pruned: Sequence[PrunedModel],
    full_model: keras.Model,
    dataset: Any,
    settings: Distillation | None = None,
    *,
    validation_data: Any = None,
    progress: bool = True,
    **options: Any,
) -> list[FinetunedModel]:
    """Trains several networks of one sub-task side by side.

    All see the same batches, so the full network answers each once for all.

    Args:
      pruned: networks with the same outputs.
      full_model, dataset and all others: as for `finetune`.

    Returns:
      The same networks as `finetune` gives for each.

    Raises:
      ValueError: as for `finetune`; or the networks' outputs differ.
    """
    settings = dataclasses.replace(settings or Distillation(), **options)
    rows = _common_rows(pruned, full_model)
    if rows is None:
        return []
    shape = full_model.inputs[0].shape[1:]
    images = TrainingImages.of(dataset, rows, shape, settings.label_weight > 0)
    validation = None
    if validation_data is not None:
        validation = TrainingImages.of(validation_data, rows, shape, True)
    steps = images.steps(settings.batch_size)
    students = [Student(x, settings, steps, validation) for x in pruned]
    teacher = _teacher(full_model, rows)
    axis = channel_axis(full_model)
    generator = np.random.default_rng(settings.seed)
    bar = DelayedBar(settings.epochs * steps, "step") if progress else None
    for epoch in range(settings.epochs):
        learning = [x for x in students if not x.stopped]
        if not learning:
            break
        epoch_batches = _batches(images, teacher, settings, axis, generator)
        for step, (x, targets) in enumerate(epoch_batches, 1):
            for student in learning:
                student.learn(x, targets)
            if bar:
                bar.update(epoch * steps + step)
        for student in learning:
            student.end_epoch()
    if bar:
        bar.close()
    return [x.finetuned() for x in students]


def _common_rows(
    pruned: Sequence[PrunedModel], full_model: keras.Model
) -> list[int] | None:
    """The full network's outputs that all networks have; None without any."""
    rows: list[int] | None = None
    for network in pruned:
        lineage = lineage_of(network, full_model, "finetune")
        own = list(output_rows(network.model, lineage, "finetune"))
        if rows is not None and own != rows:
            raise ValueError(
                f"finetune: got networks with the outputs {rows} and {own}, "
                "expected the same of all; train them one after the other."
            )
        rows = own
    if rows is not None and len(rows) == 1:
        raise ValueError(
            "finetune: got a network of one class, whose softmax is 1 whatever "
            "it has learned, expected two or more; bring it nearer to the full "
            "network by repair(..., method='least_squares')."
        )
    return rows


def _batches(
    images: TrainingImages,
    teacher: Callable[[np.ndarray], np.ndarray],
    settings: Distillation,
    axis: int,
    generator: np.random.Generator,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Images and targets of one epoch; the full network sees the same ones."""
    for x, labels in images.shuffled(settings.batch_size, generator):
        if settings.augment and x.ndim == 4:
            x = shift_and_flip(x, generator, axis=axis)
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
