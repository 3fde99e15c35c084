"""`train`: a network trained on labelled images, resumable bit by bit."""

from __future__ import annotations

import dataclasses
import math
import os
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from drnet_tf.classifier import find_classifier
from drnet_tf.fingerprints import fingerprint
from drnet_tf.progress import DelayedBar
from drnet_tf.training.batches import (
    checked_arrays,
    epoch_order,
    training_batch,
)
from drnet_tf.training.checkpoints import Checkpoints, Position
from drnet_tf.training.network import TrainedNetwork
from drnet_tf.training.reports import EpochReport, seconds_left
from drnet_tf.training.settings import Training
from drnet_tf.work_folders import digest_of

_Arrays = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class TrainedModel:
    """A network after training.

    Attributes:
      model: with the weights after the last epoch, computing as the one that
        was given does; not compiled.
      history: of each epoch "loss" (mean cross-entropy in nats), "seconds" and,
        where images were held back, "accuracy" (a fraction).
    """

    model: keras.Model
    history: dict[str, list[float]]


def train(
    model: keras.Model,
    dataset: Any,
    settings: Training | None = None,
    *,
    validation_data: Any = None,
    work_dir: str | os.PathLike[str] | None = None,
    save_every: float = 60.0,
    report: Callable[[EpochReport], None] | None = None,
    progress: bool = True,
    **options: Any,
) -> TrainedModel:
    """Trains a network by SGD, as DRNet's authors did or faster.

    The same arguments give the same bytes, whether the run was stopped or not,
    on one machine with as many threads; on a GPU if its operations are
    deterministic. It speaks Keras and NumPy only, so any backend that trains
    will do.

    Args:
      model: where training starts; it is not changed.
      dataset: training images as the network expects them, with labels numbered
        as its outputs: a tuple of arrays or `LabeledImages`, in memory.
      settings: see `Training`; by default the paper's.
      validation_data: images that were held back, likewise; after each epoch
        the accuracy on them is measured. It decides nothing.
      work_dir: folder of the run's checkpoints; a run that was stopped, also by
        SIGKILL, goes on there when it is started again.
      save_every: seconds between two checkpoints, 0 or more; what comes after
        the last one is computed again.
      report: called after each epoch.
      progress: whether to show a bar in epochs that take long.
      **options: fields of `settings` that differ from it: `epochs=3`.

    Raises:
      TypeError: not a dataset in memory.
      ValueError: a model without class scores, settings, images or labels that
        do not suit, a loss that is not finite, a work_dir of another run or
        with damaged checkpoints only.

    Example:
      >>> from drnet_tf.digits import load_digits
      >>> from drnet_tf.models import convnet
      >>> digits = load_digits("train").take(2)
      >>> done = train(convnet(), digits, epochs=2, batch_size=10, flip=False)
      >>> len(done.history["loss"])
      2
    """
    settings = dataclasses.replace(settings or Training(), **options)
    classes = find_classifier(model).num_classes
    shape = _image_shape(model)
    data = checked_arrays(dataset, shape, classes)
    held_back = None
    if validation_data is not None:
        held_back = checked_arrays(validation_data, shape, classes)
    checkpoints = None
    if work_dir is not None:
        plan = _plan(model, settings, data, held_back)
        checkpoints = Checkpoints(work_dir, plan, save_every)
    network = TrainedNetwork(model, settings, len(data[0]))
    position = Position()
    kept = checkpoints.load() if checkpoints else None
    if kept is not None:
        state, position = kept
        _rehearse(network, data, settings)
        network.restore(state)
    while position.epoch < settings.epochs:
        position = _epoch_done(
            _steps_done(
                network, data, settings, position, checkpoints, progress
            ),
            network.accuracy(*held_back) if held_back else None,
            len(data[0]),
        )
        last = position.epoch == settings.epochs
        if checkpoints and (last or checkpoints.due()):
            checkpoints.save(network.state(), position)
        if report:
            report(_report(position, settings.epochs))
    return TrainedModel(network.result(), position.history)


def _image_shape(model: keras.Model) -> tuple[int | None, ...]:
    if len(model.inputs) != 1:
        raise ValueError(
            f"train: model '{model.name}' has {len(model.inputs)} inputs, "
            "expected one, the images; train it with its own `fit`."
        )
    return tuple(model.inputs[0].shape[1:])


def _rehearse(
    network: TrainedNetwork, data: _Arrays, settings: Training
) -> None:
    """Runs batches of both sizes, in the order in which every run meets them.

    TensorFlow traces the first size as it is, and another one for any size, by
    kernels that round otherwise. A run that went on with the short batch at the
    end of an epoch would else train on all others by those. (Found by a test.)
    """
    steps = settings.updates(len(data[0]))
    order = epoch_order(settings.seed, 0, len(data[0]))
    for step in sorted({0, steps - 1}):
        network.step(*training_batch(*data, order, settings, 0, step))


def _steps_done(
    network: TrainedNetwork,
    data: _Arrays,
    settings: Training,
    position: Position,
    checkpoints: Checkpoints | None,
    progress: bool,
) -> Position:
    """Makes the updates that an epoch lacks."""
    images, labels = data
    steps = settings.updates(len(images))
    order = epoch_order(settings.seed, position.epoch, len(images))
    started = time.monotonic() - position.seconds
    bar = DelayedBar(steps, "step") if progress else None
    while position.step < steps:
        x, y = training_batch(
            images, labels, order, settings, position.epoch, position.step
        )
        loss = network.step(x, y)
        _check_finite(loss, position)
        position = dataclasses.replace(
            position,
            step=position.step + 1,
            loss_sum=position.loss_sum + loss * len(y),
            seconds=time.monotonic() - started,
        )
        if checkpoints and checkpoints.due():
            checkpoints.save(network.state(), position)
        if bar:
            bar.update(position.step)
    if bar:
        bar.close()
    return position


def _epoch_done(
    position: Position, accuracy: float | None, images: int
) -> Position:
    """The position at the start of the next epoch."""
    found = {"loss": position.loss_sum / images, "seconds": position.seconds}
    if accuracy is not None:
        found["accuracy"] = accuracy
    history = {
        name: [*position.history.get(name, []), value]
        for name, value in found.items()
    }
    return Position(epoch=position.epoch + 1, history=history)


def _report(position: Position, epochs: int) -> EpochReport:
    history = position.history
    return EpochReport(
        epoch=position.epoch,
        epochs=epochs,
        loss=history["loss"][-1],
        accuracy=history["accuracy"][-1] if "accuracy" in history else None,
        seconds=history["seconds"][-1],
        seconds_left=seconds_left(history["seconds"], epochs),
    )


def _plan(
    model: keras.Model,
    settings: Training,
    data: _Arrays,
    held_back: _Arrays | None,
) -> dict[str, Any]:
    """What decides every bit of the result."""
    images, labels = data
    plan = {
        **dataclasses.asdict(settings),
        "backend": keras.backend.backend(),
        "model": fingerprint(model),
        "images": digest_of(images),
        "labels": digest_of(labels),
        "validation": None,
    }
    if held_back is not None:
        plan["validation"] = [digest_of(part) for part in held_back]
    return plan


def _check_finite(loss: float, position: Position) -> None:
    if not math.isfinite(loss):
        raise ValueError(
            f"train: the loss is {loss} in update {position.step + 1} of epoch "
            f"{position.epoch + 1}, expected a finite number; pass a lower "
            "learning_rate."
        )
