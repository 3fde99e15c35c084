"""DRNet's Table 1 on a network: chosen on training images, tested once."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from drnet_tf.costs import CostModel, count_costs
from drnet_tf.importance import ChannelImportance
from drnet_tf.labeled_images import LabeledImages
from drnet_tf.masked_network import MaskedNetwork
from drnet_tf.masks import build_mask
from drnet_tf.subtask_trials import HARD, SubtaskTrials
from drnet_tf.subtasks import DRNet
from drnet_tf.survey import (
    Survey,
    SurveyRow,
    mean_and_range,
    smallest_within_drop,
    summarise,
    thresholds_for,
)

SIZES = {"pairs": 2, "triples": 3}
# (rule, whether all sub-tasks of a size share one threshold)
CHOICES = {
    "union, one threshold": ("union", True),
    "union, one fraction": ("union", False),
    "mean, one threshold": ("mean", True),
    "mean, one fraction": ("mean", False),
}
# Enough sub-tasks to tell the choices, and the fractions, apart.
_CHOICE_SUBTASKS, _FRACTION_SUBTASKS = 12, 45


class TableStudy:
    """Chooses how to select on training images, evaluates on test images.

    Args:
      model: the network that was dissected; it is not changed.
      importance: its CIVs.
      validation: training images, as the network expects them.
      test: the test split, for the final figures only.
      trials: repairs the networks of the chosen masks, too; None: hard masks
        alone.
      methods: what `trials` does, see `SubtaskTrials.run`.
    """

    def __init__(
        self,
        model: keras.Model,
        importance: ChannelImportance,
        validation: LabeledImages,
        test: LabeledImages,
        trials: SubtaskTrials | None = None,
        methods: Sequence[str] = (),
    ) -> None:
        self._drnet = DRNet(model, importance)  # refuses others' importances
        self._model, self._importance, self._test = model, importance, test
        self._trials, self._methods = trials, methods
        network, costs = MaskedNetwork(model), CostModel(model)
        self._tuning = Survey(network, costs, importance, validation)
        self._final = Survey(network, costs, importance, test)

    def choose(
        self,
        subtasks: Mapping[str, Sequence[tuple[str, ...]]],
        *,
        max_drop: float,
        kept_fractions: Sequence[float],
    ) -> dict[str, Any]:
        """Chooses the rule, and the share of the channels that are kept.

        Chosen are the rule, whether a threshold or a fraction of the channels
        is shared by all sub-tasks, and that fraction: the one with the fewest
        running parameters within the drop.

        Args:
          subtasks: by a name of `SIZES`.
          max_drop: largest mean drop of accuracy on training images, a
            fraction.
          kept_fractions: of channels, rising, that are tried.

        Returns:
          "choices": the curve of each of `CHOICES` on some pairs (training
          images); "choice": the best of them; "network_accuracy", that of the
          full network among all classes (test images); by size "curve",
          "kept_fraction" and "thresholds", one for each sub-task.
        """
        pairs = _spread(subtasks["pairs"], _CHOICE_SUBTASKS)
        choices = {
            name: self._curve(pairs, kept_fractions, *choice)
            for name, choice in CHOICES.items()
        }
        choice = max(choices, key=lambda name: _mean_accuracy(choices[name]))
        found: dict[str, Any] = {
            "choices": {
                name: _points(kept_fractions, curve)
                for name, curve in choices.items()
            },
            "choice": choice,
            "network_accuracy": self._final.network_accuracy(),
        }
        rule, shared = CHOICES[choice]
        for name, own in subtasks.items():
            some = _spread(own, _FRACTION_SUBTASKS)
            curve = self._curve(some, kept_fractions, rule, shared)
            kept = kept_fractions[smallest_within_drop(curve, max_drop)]
            thresholds = thresholds_for(
                self._importance, own, kept, rule, shared=shared
            )
            found[name] = {
                "curve": _points(kept_fractions, curve),
                "kept_fraction": kept,
                "thresholds": list(thresholds.values()),
            }
        return found

    def row(
        self, classes: tuple[str, ...], threshold: float, rule: str
    ) -> dict[str, Any]:
        """One sub-task on test images: `SurveyRow.as_dict`.

        With trials also "repaired": what `SubtaskTrials.run` gives of the
        network of the same mask.
        """
        row = self._final.row(classes, threshold, rule).as_dict()
        if self._trials is not None:
            mask = build_mask(self._importance, classes, threshold, rule=rule)
            rows = self._importance.class_rows(classes)
            (row["repaired"],) = self._trials.run(
                classes, rows, [mask], [self._methods]
            )
        return row

    def named(
        self, named: Sequence[tuple[str, ...]], budgets: Sequence[float]
    ) -> list[dict[str, Any]]:
        """Pruned networks of some sub-tasks, within budgets of parameters.

        Args:
          named: the sub-tasks.
          budgets: fractions of the running parameters.

        Returns:
          Rows on test images for every budget and rule.
        """
        full = count_costs(self._model)
        rows = []
        for classes, budget, rule in itertools.product(
            named, budgets, sorted({rule for rule, _ in CHOICES.values()})
        ):
            sub = self._drnet.subtask(classes, max_parameters=budget, rule=rule)
            small = count_costs(sub.model)
            rows.append(
                {
                    "classes": list(classes),
                    "budget": budget,
                    "rule": rule,
                    "full_accuracy": self._final.full_accuracy(classes),
                    "accuracy": sub.evaluate(self._test).accuracy,
                    "channels": sub.costs.channels_fraction,
                    "parameters": sub.costs.parameters_fraction,
                    "macs": sub.costs.macs_fraction,
                    "pruned_parameters": small.parameters / full.parameters,
                    "pruned_macs": small.macs / full.macs,
                }
            )
        return rows

    def _curve(
        self,
        subtasks: Sequence[tuple[str, ...]],
        kept_fractions: Sequence[float],
        rule: str,
        shared: bool,
    ) -> list[tuple[SurveyRow, ...]]:
        return [
            self._tuning.run(
                thresholds_for(
                    self._importance, subtasks, kept, rule, shared=shared
                ),
                rule,
            )
            for kept in kept_fractions
        ]


def put_together(
    plan: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    named: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """The results of a study.

    Args:
      plan: of `TableStudy.choose`.
      rows: of `TableStudy.row`, all sizes.
      named: of `TableStudy.named`.

    Returns:
      The plan, without thresholds; by size with "rows" and their "summary",
      and, where networks were repaired, "repaired": by method the mean, min and
      max of "accuracy" and "drop"; and "named".
    """
    results = dict(plan)
    for name, size in SIZES.items():
        own = [row for row in rows if len(row["classes"]) == size]
        part = {k: v for k, v in plan[name].items() if k != "thresholds"}
        part["rows"] = own
        part["summary"] = summarise([SurveyRow.from_dict(row) for row in own])
        if "repaired" in own[0]:
            part["repaired"] = _repaired(own)
        results[name] = part
    return {**results, "named": list(named)}


def _repaired(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    found = {}
    for method in rows[0]["repaired"]["accuracy"]:
        if method == HARD:
            continue  # that is the summary
        own = [row["repaired"]["accuracy"][method] for row in rows]
        drops = [
            row["full_accuracy"] - accuracy
            for row, accuracy in zip(rows, own, strict=True)
        ]
        found[method] = {
            "accuracy": mean_and_range(own),
            "drop": mean_and_range(drops),
        }
    return found


def _points(
    kept_fractions: Sequence[float], curve: Sequence[Sequence[SurveyRow]]
) -> list[dict[str, Any]]:
    return [
        {"kept_fraction": kept, **summarise(rows)}
        for kept, rows in zip(kept_fractions, curve, strict=True)
    ]


def _mean_accuracy(curve: Sequence[Sequence[SurveyRow]]) -> float:
    return sum(summarise(rows)["accuracy"]["mean"] for rows in curve)


def _spread(
    subtasks: Sequence[tuple[str, ...]], count: int
) -> tuple[tuple[str, ...], ...]:
    """`count` of the sub-tasks, evenly spread over their order."""
    step = max(1, len(subtasks) // count)
    return tuple(subtasks[::step][:count])
