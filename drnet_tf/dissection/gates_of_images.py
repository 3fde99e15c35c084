"""CDRPs of many images: learned batch by batch, averaged over classes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from drnet_tf.dissection.balance import calibrate_balance
from drnet_tf.dissection.batch_sizes import batch_size_for
from drnet_tf.dissection.cdrp import CDRP, GateLearner
from drnet_tf.dissection.class_means import ClassMeans, sum_batch
from drnet_tf.dissection.gate_plan import (
    CALIBRATION_IMAGES,
    GatePlan,
    learn_batches,
)
from drnet_tf.dissection.kept_images import KeptImages
from drnet_tf.dissection.method import Problem
from drnet_tf.dissection.sampling import stream
from drnet_tf.importance import Cdrps
from drnet_tf.progress import DelayedBar


def mean_gates(
    learner: GateLearner, plan: GatePlan, problem: Problem, kept: KeptImages
) -> ClassMeans:
    """Learns the gates of the drawn images, batch by batch.

    Args:
      learner: of the gates.
      plan: what is to be learned.
      problem: what is dissected.
      kept: is given every image.
    """
    classes = problem.images.classes
    journal = plan.journal(problem.work_dir)
    means = ClassMeans(learner.method.iterations)
    bar = DelayedBar(len(problem.images), "image")
    read = stream(problem.images.dataset, classes >= 0, problem.batch_size)
    for group in _groups(enumerate(read), learner.at_a_time):
        batches = [(number, images) for number, (_, images) in group]
        learned = learn_batches(learner, plan.balance, journal, batches)
        for (_, (positions, images)), cdrps in zip(group, learned, strict=True):
            of = classes[positions]
            sums, notes = sum_batch(of, images, cdrps, learner.method)
            means.add(sums, [notes])
            kept.add(of, images)
        if problem.progress:
            bar.update(means.images)
    return means


def learn_cdrps(
    model: keras.Model,
    images: np.ndarray,
    method: CDRP | None = None,
    *,
    batch_size: int | None = None,
    coupling: str = "free",
) -> Cdrps:
    """Learns the gates of some images; `dissect` averages them over classes.

    Args:
      model: a Functional or Sequential classifier; it is not changed.
      images: `(N, height, width, channels)`, as the network expects them.
      method: settings; by default `CDRP()`. `balance="auto"` is found on the
        first 40 of the images.
      batch_size: images optimised at a time; see `dissect`.
      coupling: see `dissect`.

    Returns:
      One row of gates `(N, C_l)` per image and site. Memory grows with N.

    Raises:
      TypeError, ValueError: see `dissect`; no image, or images that hold NaN.
    """
    method = CDRP() if method is None else method
    images = np.asarray(images)
    if not len(images) or not np.isfinite(images).all():
        raise ValueError(
            f"images of shape {images.shape}: expected one or more, without "
            "NaN and infinite values; check how they were loaded."
        )
    size = batch_size_for(model, batch_size)
    learner = GateLearner(model, method, coupling)
    balance = None
    if method.balance == "auto":
        balance, _ = calibrate_balance(learner, images[:CALIBRATION_IMAGES])
    parts = [
        learner(images[i : i + size], balance)
        for i in range(0, len(images), size)
    ]
    return Cdrps(
        gates={
            site: np.concatenate([part.gates[site] for part in parts])
            for site in parts[0].gates
        },
        flipped=np.concatenate([part.flipped for part in parts]),
        kl=np.concatenate([part.kl for part in parts]),
        iteration=np.concatenate([part.iteration for part in parts]),
    )


def _groups(items: Iterator[Any], size: int) -> Iterator[list[Any]]:
    """Lists of `size` items; the last may be short."""
    while group := list(itertools.islice(items, size)):
        yield group
