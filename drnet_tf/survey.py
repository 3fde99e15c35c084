"""A survey: every sub-task of a size, chosen alike, as DRNet's Table 1."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from drnet_tf.costs import CostModel
from drnet_tf.evaluation import subtask_accuracy
from drnet_tf.importance import ChannelImportance
from drnet_tf.labeled_images import LabeledImages
from drnet_tf.masked_network import MaskedNetwork
from drnet_tf.masks import build_mask
from drnet_tf.progress import DelayedBar
from drnet_tf.rules import subtask_scores

FIGURES = (
    "full_accuracy",
    "accuracy",
    "drop",
    "channels",
    "parameters",
    "macs",
)


@dataclasses.dataclass(frozen=True)
class SurveyRow:
    """What one sub-task gives at one threshold.

    Attributes:
      classes: the sub-task.
      threshold: on the scores of the rule.
      full_accuracy, accuracy: of the full and the sub-network under the masked
        softmax, fractions in [0, 1].
      channels, parameters, macs: running fractions, the paper's way of counting
        (`costs.count_masked_costs`).
    """

    classes: tuple[str, ...]
    threshold: float
    full_accuracy: float
    accuracy: float
    channels: float
    parameters: float
    macs: float

    @property
    def drop(self) -> float:
        """Full minus sub accuracy, a fraction; negative where it rises."""
        return self.full_accuracy - self.accuracy

    def as_dict(self) -> dict[str, Any]:
        """All figures as JSON can hold them."""
        return {**dataclasses.asdict(self), "drop": self.drop}


class Survey:
    """Evaluates many sub-tasks of one dissected network on the same images.

    Args:
      network: the network, built once.
      costs: of the same network.
      importance: its CIVs.
      data: images as the network expects them, with labels numbered in the
        importance's `class_names`.
    """

    def __init__(
        self,
        network: MaskedNetwork,
        costs: CostModel,
        importance: ChannelImportance,
        data: LabeledImages,
    ) -> None:
        self._network = network
        self._costs = costs
        self._importance = importance
        self._data = data
        self._full = network(data.images)

    def run(
        self, thresholds: Mapping[tuple[str, ...], float], rule: str
    ) -> tuple[SurveyRow, ...]:
        """One row for each sub-task, at its threshold (`thresholds_for`)."""
        bar = DelayedBar(len(thresholds), "sub-task")
        rows = []
        for classes, threshold in thresholds.items():
            rows.append(self._row(classes, threshold, rule))
            bar.update(len(rows))
        return tuple(rows)

    def full_accuracy(self, classes: Sequence[str]) -> float:
        """The full network's accuracy on a sub-task, a fraction."""
        rows = self._importance.class_rows(classes)
        return subtask_accuracy(self._full, self._data.labels, rows)

    def _row(
        self, classes: tuple[str, ...], threshold: float, rule: str
    ) -> SurveyRow:
        mask = build_mask(self._importance, classes, threshold, rule=rule)
        rows = self._importance.class_rows(classes)
        own = np.isin(self._data.labels, rows)
        labels = self._data.labels[own]
        costs = self._costs.masked(mask, len(rows))
        return SurveyRow(
            classes,
            threshold,
            self.full_accuracy(classes),
            subtask_accuracy(
                self._network(self._data.images[own], mask), labels, rows
            ),
            costs.channels_fraction,
            costs.parameters_fraction,
            costs.macs_fraction,
        )


def all_subtasks(
    class_names: Sequence[str], size: int
) -> tuple[tuple[str, ...], ...]:
    """Every sub-task of a size: 45 pairs and 120 triples of 10 classes.

    Example:
      >>> all_subtasks(("a", "b", "c"), 2)
      (('a', 'b'), ('a', 'c'), ('b', 'c'))
    """
    return tuple(itertools.combinations(class_names, size))


def thresholds_for(
    importance: ChannelImportance,
    subtasks: Sequence[tuple[str, ...]],
    kept_fraction: float,
    rule: str,
    *,
    shared: bool,
) -> dict[tuple[str, ...], float]:
    """Thresholds that keep about a fraction of the channels.

    Args:
      importance: the CIVs.
      subtasks: which sub-tasks.
      kept_fraction: of all channels, in (0, 1).
      rule: see `rules.subtask_scores`.
      shared: one threshold for all, as DRNet has: the fraction is kept on
        average, and classes whose gates are larger keep more. If not, every
        sub-task keeps the fraction.

    Returns:
      The threshold of each sub-task: above 0, and no higher than its largest
      score, so that it keeps a channel.
    """
    scores = {
        classes: np.concatenate(
            list(subtask_scores(importance, classes, rule).values())
        )
        for classes in subtasks
    }
    pooled = np.concatenate(list(scores.values()))

    def threshold(own: np.ndarray) -> float:
        quantile = np.quantile(pooled if shared else own, 1 - kept_fraction)
        return float(np.clip(quantile, own[own > 0].min(), own.max()))

    return {classes: threshold(own) for classes, own in scores.items()}


def summarise(rows: Sequence[SurveyRow]) -> dict[str, dict[str, float]]:
    """Mean, least and greatest of every figure over the sub-tasks."""
    found = {}
    for name in FIGURES:
        values = np.array([getattr(row, name) for row in rows])
        found[name] = {
            "mean": float(values.mean()),
            "min": float(values.min()),
            "max": float(values.max()),
        }
    return found


def smallest_within_drop(
    surveys: Sequence[Sequence[SurveyRow]], max_drop: float
) -> int:
    """Which survey has the fewest running parameters within a mean drop.

    Args:
      surveys: the same sub-tasks at several thresholds.
      max_drop: of the mean accuracy, a fraction such as 0.005.

    Returns:
      Its place in `surveys`; where none is within the drop, that of the least
      drop.
    """
    means = [summarise(rows) for rows in surveys]
    drops = [x["drop"]["mean"] for x in means]
    within = [i for i, drop in enumerate(drops) if drop <= max_drop]
    if within:
        return min(within, key=lambda i: means[i]["parameters"]["mean"])
    return int(np.argmin(drops))
