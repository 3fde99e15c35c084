"""CDRPs of many images: learned batch by batch, averaged over classes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from drnet_tf.dissection.balance import calibrate_balance
from drnet_tf.dissection.batch_sizes import batch_size_for
from drnet_tf.dissection.cdrp import CDRP, GateLearner
from drnet_tf.dissection.class_means import ClassMeans
from drnet_tf.dissection.journal import Journal
from drnet_tf.dissection.kept_images import KeptImages
from drnet_tf.dissection.method import Problem
from drnet_tf.dissection.sampling import stream
from drnet_tf.importance import Cdrps
from drnet_tf.progress import DelayedBar

CALIBRATION_IMAGES = 40


def scores_by_gates(
    learner: GateLearner,
    problem: Problem,
    config: dict[str, Any],
    mark: str,
    kept: KeptImages,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The mean gates of every class, as `dissect` asks for them.

    Args:
      learner: of the gates.
      problem: see there.
      config: all settings; a stopped run goes on only with the same.
      mark: fingerprint of the model.
      kept: is given every image.

    Returns:
      By site `(K, C_l)` float32, and the diagnostics.
    """
    dataset, drawn = problem.images.dataset, problem.images.drawn
    balance, found = _balance(learner, dataset, drawn)
    journal = _open_journal(
        problem.work_dir,
        model=mark,
        method=config,
        balance=balance,
        class_names=list(problem.class_names),
        images=_digest(drawn),
    )
    means = _class_means(learner, balance, problem, journal, kept)
    found |= {"balance": balance, "pixels": kept.statistics()}
    names = problem.class_names
    return means.scores(names), found | means.diagnostics(names)


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


def _balance(
    learner: GateLearner, dataset: Any, drawn: Sequence[np.ndarray]
) -> tuple[float, dict[str, Any]]:
    """The balance to use, and the trials that found it."""
    asked = learner.method.balance
    if not isinstance(asked, str):
        return float(asked), {}
    images = _first_drawn(dataset, drawn, CALIBRATION_IMAGES)
    balance, trials = calibrate_balance(learner, images)
    return balance, {"calibration": [trial.as_dict() for trial in trials]}


def _open_journal(
    work_dir: str | os.PathLike[str] | None, **plan: Any
) -> Journal | None:
    return None if work_dir is None else Journal(work_dir, plan)


def _digest(drawn: Sequence[np.ndarray]) -> str:
    return hashlib.sha256(np.concatenate(drawn).tobytes()).hexdigest()


def _class_means(
    learner: GateLearner,
    balance: float,
    problem: Problem,
    journal: Journal | None,
    kept: KeptImages,
) -> ClassMeans:
    """Learns the gates of the drawn images, batch by batch."""
    classes = problem.images.classes
    means = ClassMeans(len(problem.class_names), learner.method)
    bar = DelayedBar(len(problem.images), "image")
    for number, (positions, images) in enumerate(
        stream(problem.images.dataset, classes >= 0, problem.batch_size)
    ):
        cdrps = journal.load(number, images) if journal else None
        if cdrps is None:
            cdrps = learner(images, balance)
            if journal:
                journal.save(number, images, cdrps)
        means.add(classes[positions], cdrps)
        kept.add(classes[positions], images)
        if problem.progress:
            bar.update(means.images)
    return means


def _first_drawn(
    dataset: Any, drawn: Sequence[np.ndarray], count: int
) -> np.ndarray:
    """About `count` images, spread over the classes, first drawn first."""
    per_class = max(1, count // len(drawn))
    positions = np.concatenate([x[:per_class] for x in drawn])[:count]
    wanted = np.zeros(1 + int(positions.max()), bool)
    wanted[positions] = True
    return np.concatenate([images for _, images in stream(dataset, wanted)])
