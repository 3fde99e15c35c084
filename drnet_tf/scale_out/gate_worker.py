"""What a worker of a spread dissection does: a batch in, its sums out."""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np

from drnet_tf.dissection.cdrp import CDRP, GateLearner
from drnet_tf.dissection.class_means import (
    BatchNotes,
    ClassMeans,
    ClassSums,
    sum_batch,
)
from drnet_tf.dissection.gate_plan import GatePlan, learn_batches
from drnet_tf.fingerprints import fingerprint
from drnet_tf.importance import ChannelImportance
from drnet_tf.split_images import SplitImages

# Under this key, which no class has, a batch's notes travel beside its sums.
NOTES = -1

Part = tuple[int, ClassSums | BatchNotes]  # number of the batch, and what of it


@dataclasses.dataclass(frozen=True, eq=False)
class GateTask:
    """What every worker needs to know; small, and sent to each.

    Attributes:
      run: a name that no other run has.
      model: the `.keras` file, under a name that every worker can read.
      images: the split that the positions are of.
      method, coupling: see `GateLearner`.
      plan: what is to be learned.
      work_dir: a folder that all workers share, where finished batches are
        kept; None: nothing is kept.
    """

    run: str
    model: str
    images: SplitImages
    method: CDRP
    coupling: str
    plan: GatePlan
    work_dir: str | None


@dataclasses.dataclass(frozen=True, eq=False)
class GateBatch:
    """A batch that the local run would form, without its images.

    Attributes:
      number: its place among all batches.
      positions: `(n,)` int64, rising, of its images in the split.
      classes: `(n,)` int64, of the images.
    """

    number: int
    positions: np.ndarray
    classes: np.ndarray


def sums_of_batch(
    task: GateTask, batch: GateBatch
) -> Iterator[tuple[int, Part]]:
    """Learns the gates of a batch.

    Yields:
      Under the number of each class the sum of its gates, and under `NOTES`
      what else is told of the batch; all with the number of the batch.
    """
    worker = _opened(task)
    images = task.images.at(worker.stream, batch.positions)
    (cdrps,) = learn_batches(
        worker.learner,
        task.plan.balance,
        worker.journal,
        [(batch.number, images)],
    )
    sums, notes = sum_batch(batch.classes, images, cdrps, task.method)
    for number, part in sums.items():
        yield number, (batch.number, part)
    yield NOTES, (batch.number, notes)


def in_order(
    parts: tuple[int, Iterable[Part]],
) -> tuple[int, ClassSums | list[BatchNotes]]:
    """Adds up a class, or lists the notes, batch by batch.

    Workers finish in any order, and floating-point sums depend on it: so the
    parts are sorted first.
    """
    key, numbered = parts
    found: list[Any] = [x for _, x in sorted(numbered, key=lambda x: x[0])]
    if key == NOTES:
        return key, found
    return key, functools.reduce(ClassSums.plus, found)


def importance_of(
    task: GateTask, totals: Iterable[tuple[int, Any]]
) -> ChannelImportance:
    """The result, of all that `in_order` returned."""
    sums = dict(totals)
    notes = sums.pop(NOTES)
    means = ClassMeans(task.method.iterations)
    means.add(sums, notes)
    return task.plan.importance(means)


class _Worker:
    """What a process opens once: the network, the images, the journal."""

    def __init__(self, task: GateTask) -> None:
        model = keras.models.load_model(task.model, compile=False)
        if fingerprint(model) != task.plan.fingerprint:
            raise ValueError(
                f"Model '{task.model}' of this worker is another network than "
                "the one the run was started with; let both read one file."
            )
        self.learner = GateLearner(model, task.method, task.coupling)
        self.stream = task.images.open()
        self.journal = task.plan.journal(task.work_dir)


_lock = threading.Lock()
_workers: dict[str, _Worker] = {}


def _opened(task: GateTask) -> _Worker:
    # By process, not by `DoFn.setup`: a runner has one DoFn for each thread,
    # and all threads can share a network.
    with _lock:
        if task.run not in _workers:
            _workers.clear()
            _workers[task.run] = _Worker(task)
        return _workers[task.run]
