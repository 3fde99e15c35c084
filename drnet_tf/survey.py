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

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> SurveyRow:
        """The row of `as_dict`, also read from JSON; other keys are left."""
        values = {x.name: row[x.name] for x in dataclasses.fields(cls)}
        return cls(**{**values, "classes": tuple(row["classes"])})


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
            rows.append(self.row(classes, threshold, rule))
            bar.update(len(rows))
        return tuple(rows)

    def full_accuracy(self, classes: Sequence[str]) -> float:
        """The full network's accuracy on a sub-task, a fraction."""
        rows = self._importance.class_rows(classes)
        return subtask_accuracy(self._full, self._data.labels, rows)

    def network_accuracy(self) -> float:
        """The full network's accuracy among all classes, a fraction."""
        found = self._full.argmax(axis=-1)
        return float(np.mean(found == self._data.labels))

    def row(
        self, classes: tuple[str, ...], threshold: float, rule: str
    ) -> SurveyRow:
        """What one sub-task gives at a threshold."""
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
    scores = _scores(importance, subtasks, rule)
    pooled = np.concatenate(list(scores.values()))

    def threshold(own: np.ndarray) -> float:
        quantile = np.quantile(pooled if shared else own, 1 - kept_fraction)
        return _within(own, quantile)

    return {classes: threshold(own) for classes, own in scores.items()}


def common_thresholds(
    importance: ChannelImportance,
    subtasks: Sequence[tuple[str, ...]],
    kept_fractions: Sequence[float],
    rule: str,
) -> list[float]:
    """Thresholds that keep fractions of the channels on average.

    Args:
      importance: the CIVs.
      subtasks: over which the average is.
      kept_fractions: of all channels, in (0, 1).
      rule: see `rules.subtask_scores`.

    Returns:
      A threshold for each fraction, for any sub-task; see `sweep`.
    """
    pooled = np.concatenate(list(_scores(importance, subtasks, rule).values()))
    found = np.quantile(pooled, 1 - np.asarray(kept_fractions))
    return [_within(pooled, value) for value in found]


def sweep(
    survey: Survey,
    importance: ChannelImportance,
    subtasks: Sequence[tuple[str, ...]],
    thresholds: Sequence[float],
    rule: str,
) -> list[dict[str, Any]]:
    """The same sub-tasks at one threshold after another.

    Args:
      survey: of the network.
      importance: its CIVs.
      subtasks: which sub-tasks.
      thresholds: each for all of them; a sub-task of which it would keep no
        channel has its own highest score instead.
      rule: see `rules.subtask_scores`.

    Returns:
      For each "threshold" what `summarise` says of all sub-tasks.
    """
    scores = _scores(importance, subtasks, rule)
    points = []
    for threshold in thresholds:
        own = {x: _within(values, threshold) for x, values in scores.items()}
        rows = survey.run(own, rule)
        points.append({"threshold": threshold, **summarise(rows)})
    return points


def _scores(
    importance: ChannelImportance,
    subtasks: Sequence[tuple[str, ...]],
    rule: str,
) -> dict[tuple[str, ...], np.ndarray]:
    """The scores of all channels, by sub-task."""
    return {
        classes: np.concatenate(
            list(subtask_scores(importance, classes, rule).values())
        )
        for classes in subtasks
    }


def _within(scores: np.ndarray, threshold: float) -> float:
    """The threshold, above 0 and low enough to keep a channel."""
    return float(np.clip(threshold, scores[scores > 0].min(), scores.max()))


def summarise(rows: Sequence[SurveyRow]) -> dict[str, dict[str, float]]:
    """Mean, least and greatest of every figure over the sub-tasks."""
    return {
        name: mean_and_range([getattr(row, name) for row in rows])
        for name in FIGURES
    }


def mean_and_range(values: Sequence[float]) -> dict[str, float]:
    """Mean, least and greatest of some numbers.

    Example:
      >>> mean_and_range([1.0, 3.0])
      {'mean': 2.0, 'min': 1.0, 'max': 3.0}
    """
    found = np.asarray(values)
    return {
        "mean": float(found.mean()),
        "min": float(found.min()),
        "max": float(found.max()),
    }


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
