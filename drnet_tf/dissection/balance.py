"""The balance of distillation and sparsity that suits a network.

The L1 term of CDRP is a sum over all gates, the KL term a few nats: on a
network with many channels the first outweighs the second, and every image loses
its class. Multiplying the learning rate by s and dividing γ by s keeps the pace
of the L1 decay and strengthens the distillation s times. Sparsity falls as s
grows, so the smallest s that keeps the predictions is the one to take.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from absl import logging

from drnet_tf.dissection.cdrp import GateLearner

CANDIDATES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
# On networks trained for CIFAR-10, class means of gates with a median KL above
# this make masks that lose accuracy; see the sensitivity table in `results/`.
LARGEST_KL = 0.05
SMALLEST_SHARE_KEPT = 0.95


@dataclasses.dataclass(frozen=True)
class BalanceTrial:
    """What a balance does to the calibration images.

    Attributes:
      balance: s.
      share_kept: images whose last state keeps the top-1 class, in [0, 1].
      median_kl: median over images of the KL of the gates found, in nats.
      zero_share: gates that are exactly 0, in [0, 1].
    """

    balance: float
    share_kept: float
    median_kl: float
    zero_share: float

    @property
    def suits(self) -> bool:
        """Whether at least 95 % keep their class at a KL of at most 0.05."""
        return (
            self.share_kept >= SMALLEST_SHARE_KEPT
            and self.median_kl <= LARGEST_KL
        )

    def as_dict(self) -> dict[str, Any]:
        """The figures as JSON can hold them."""
        return dataclasses.asdict(self)


def calibrate_balance(
    learner: GateLearner,
    images: np.ndarray,
    candidates: tuple[float, ...] = CANDIDATES,
) -> tuple[float, tuple[BalanceTrial, ...]]:
    """Finds the smallest balance, so the strongest sparsity, that suits.

    Args:
      learner: of the network.
      images: a few images `(N, height, width, channels)`, best of all classes.
      candidates: values of s, rising.

    Returns:
      The balance and what was tried. Where none suits, the one with the
      smallest KL among those that keep enough classes (deep residual networks
      diverge as s grows) and close a gate, if one does: gates that all stay
      open tell nothing; where none keeps enough, the one that keeps the most,
      with a warning.
    """
    trials = []
    for balance in candidates:
        cdrps = learner(images, balance)
        gates = np.concatenate(list(cdrps.gates.values()), axis=1)
        trial = BalanceTrial(
            balance,
            float(1 - cdrps.flipped.mean()),
            float(np.median(cdrps.kl)),
            float((gates == 0).mean()),
        )
        trials.append(trial)
        if trial.suits:
            return balance, tuple(trials)
    keeping = [t for t in trials if t.share_kept >= SMALLEST_SHARE_KEPT]
    if keeping:
        best = min(keeping, key=lambda t: (t.zero_share == 0, t.median_kl))
        return best.balance, tuple(trials)
    best = max(trials, key=lambda t: (t.share_kept, -t.median_kl))
    logging.warning(
        "No balance of distillation and sparsity keeps the classes: the best "
        "of %s is %g, with %.0f %% of the images keeping their class at a "
        "median KL of %.3f.",
        candidates,
        best.balance,
        100 * best.share_kept,
        best.median_kl,
    )
    return best.balance, tuple(trials)
