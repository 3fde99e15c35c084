"""What a dissection by gates is to learn, wherever its batches are learned."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from drnet_tf.dissection.balance import calibrate_balance
from drnet_tf.dissection.cdrp import GateLearner
from drnet_tf.dissection.class_means import ClassMeans
from drnet_tf.dissection.journal import Journal
from drnet_tf.dissection.method import DrawnImages, Problem
from drnet_tf.dissection.sampling import stream
from drnet_tf.importance import Cdrps, ChannelImportance

CALIBRATION_IMAGES = 40


@dataclasses.dataclass(frozen=True, eq=False)
class GatePlan:
    """Everything that decides the result, images and weights aside.

    Plain values, so that it can be sent to other processes.

    Attributes:
      class_names: the K classes.
      config: all settings.
      fingerprint: of the model.
      drawn: digest of the positions of the images that were drawn.
      balance: s.
      calibration: what found it, for the diagnostics.
    """

    class_names: tuple[str, ...]
    config: dict[str, Any]
    fingerprint: str
    drawn: str
    balance: float
    calibration: dict[str, Any]

    def journal(
        self, work_dir: str | os.PathLike[str] | None
    ) -> Journal | None:
        """The journal in a folder, None if there is no folder.

        Raises:
          ValueError: the folder holds another run, or cannot be written.
        """
        if work_dir is None:
            return None
        plan = {
            "model": self.fingerprint,
            "method": self.config,
            "balance": self.balance,
            "class_names": list(self.class_names),
            "images": self.drawn,
        }
        return Journal(work_dir, plan)

    def importance(
        self, means: ClassMeans, kept: np.ndarray | None = None
    ) -> ChannelImportance:
        """The result, once all batches are in the means.

        Args:
          means: of all drawn images.
          kept: see `ChannelImportance.images`.

        Raises:
          ValueError: every image of a class was excluded.
        """
        return ChannelImportance(
            means.scores(self.class_names),
            self.class_names,
            "cdrp",
            self.config,
            {
                **self.calibration,
                "balance": self.balance,
                **means.diagnostics(self.class_names),
            },
            self.fingerprint,
            kept,
        )


def plan_gates(
    learner: GateLearner,
    problem: Problem,
    config: dict[str, Any],
    fingerprint: str,
) -> GatePlan:
    """Fixes what is to be learned; finds the balance if that is asked for.

    Args:
      learner: of the gates.
      problem: what is dissected.
      config: all settings.
      fingerprint: of the model.
    """
    drawn = np.concatenate(problem.images.drawn)
    return GatePlan(
        problem.class_names,
        config,
        fingerprint,
        hashlib.sha256(drawn.tobytes()).hexdigest(),
        *_balance(learner, problem.images),
    )


def learn_batches(
    learner: GateLearner,
    balance: float,
    journal: Journal | None,
    batches: Sequence[tuple[int, np.ndarray]],
) -> list[Cdrps]:
    """Learns batches, or reads from the journal those that are done.

    Args:
      learner: of the gates.
      balance: s.
      journal: None: nothing is kept.
      batches: number and images of each, at most `learner.at_a_time`.
    """
    found = [journal.load(*batch) if journal else None for batch in batches]
    missing = [
        batch
        for batch, cdrps in zip(batches, found, strict=True)
        if cdrps is None
    ]
    learned = learner.learn([images for _, images in missing], balance)
    if journal:
        for (number, images), cdrps in zip(missing, learned, strict=True):
            journal.save(number, images, cdrps)
    fresh = iter(learned)
    return [next(fresh) if cdrps is None else cdrps for cdrps in found]


def _balance(
    learner: GateLearner, images: DrawnImages
) -> tuple[float, dict[str, Any]]:
    """The balance to use, and the trials that found it."""
    asked = learner.method.balance
    if not isinstance(asked, str):
        return float(asked), {}
    few = _first_drawn(images.dataset, images.drawn, CALIBRATION_IMAGES)
    balance, trials = calibrate_balance(learner, few)
    return balance, {"calibration": [trial.as_dict() for trial in trials]}


def _first_drawn(
    dataset: Any, drawn: Sequence[np.ndarray], count: int
) -> np.ndarray:
    """About `count` images, spread over the classes, first drawn first."""
    per_class = max(1, count // len(drawn))
    positions = np.concatenate([x[:per_class] for x in drawn])[:count]
    wanted = np.zeros(1 + int(positions.max()), bool)
    wanted[positions] = True
    return np.concatenate([images for _, images in stream(dataset, wanted)])
