"""The best that a sub-task offers: accuracy against what it costs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from drnet_tf.costs import count_costs
from drnet_tf.progress import DelayedBar
from drnet_tf.subtasks import DRNet, SubTask

BUDGETS = (0.02, 0.03, 0.05, 0.07, 0.09, 0.12, 0.16, 0.22, 0.3, 0.4, 0.6)
COSTS = ("parameters", "macs")


@dataclasses.dataclass(frozen=True, eq=False)
class FrontPoint:
    """One sub-network.

    Attributes:
      subtask: the sub-network itself.
      parameters, macs: of its Keras model, as shares of the full network's.
      accuracy: under the masked softmax, a fraction.
      best: by "parameters" and "macs", whether no other point has at most this
        cost and a higher accuracy, or a lower cost and the same.
    """

    subtask: SubTask
    parameters: float
    macs: float
    accuracy: float
    best: dict[str, bool]

    def as_dict(self) -> dict[str, Any]:
        """All figures, ready for JSON."""
        return {
            "parameters": self.parameters,
            "macs": self.macs,
            "accuracy": self.accuracy,
            "best": self.best,
            "criterion": self.subtask.criterion,
            "channels": self.subtask.mask.kept,
        }


def trace_front(
    drnet: DRNet,
    classes: Sequence[str],
    validation_data: Any,
    *,
    budgets: Sequence[float] = BUDGETS,
    progress: bool = True,
    **settings: Any,
) -> tuple[FrontPoint, ...]:
    """Sub-networks of rising size, and which of them are worth having.

    Args:
      drnet: a dissected network.
      classes: the sub-task.
      validation_data: images with labels; see `evaluation.evaluate`.
      budgets: shares of the full network's parameters, in (0, 1].
      progress: whether to show a bar if it takes long.
      **settings: `rule`, `round_to`, `allocation`, `repair` and `images` of
        `DRNet.subtask`.

    Returns:
      One point for each budget that can be met, smallest first.

    Raises:
      ValueError: as for `DRNet.subtask`, or no budget can be met.
    """
    full = count_costs(drnet.model)
    found: list[tuple[SubTask, float, float, float]] = []
    bar = DelayedBar(len(budgets), "sub-network")
    refused: ValueError | None = None
    for number, budget in enumerate(sorted(budgets), 1):
        try:
            subtask = drnet.subtask(
                classes, max_parameters=float(budget), **settings
            )
        except ValueError as error:
            if "pass a higher limit" not in str(error):
                raise
            refused = error
            continue
        small = count_costs(subtask.model)
        found.append(
            (
                subtask,
                small.parameters / full.parameters,
                small.macs / full.macs,
                subtask.evaluate(validation_data).accuracy,
            )
        )
        if progress:
            bar.update(number)
    if not found and refused is not None:
        raise refused
    accuracies = np.array([x[3] for x in found])
    best = {
        name: non_dominated(np.array([x[place] for x in found]), accuracies)
        for place, name in enumerate(COSTS, 1)
    }
    return tuple(
        FrontPoint(*x, {name: bool(best[name][i]) for name in COSTS})
        for i, x in enumerate(found)
    )


def non_dominated(costs: np.ndarray, accuracies: np.ndarray) -> np.ndarray:
    """Which points no other one is better than.

    Args:
      costs, accuracies: `(N,)`.

    Returns:
      `(N,)` bool: no other point costs at most as much and is more accurate,
      or costs less and is as accurate.

    Example:
      >>> non_dominated(np.array([1, 2, 3]), np.array([0.8, 0.7, 0.9])).tolist()
      [True, False, True]
    """
    cheaper = costs[:, None] >= costs[None, :]
    better = accuracies[:, None] <= accuracies[None, :]
    strictly = (costs[:, None] > costs[None, :]) | (
        accuracies[:, None] < accuracies[None, :]
    )
    dominated: np.ndarray = np.any(
        cheaper & better & strictly, axis=1, keepdims=False
    )
    return ~dominated
