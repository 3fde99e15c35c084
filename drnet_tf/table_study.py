"""DRNet's Table 1 on a network: chosen on training images, tested once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from drnet_tf.costs import CostModel, count_costs
from drnet_tf.importance import ChannelImportance
from drnet_tf.labeled_images import LabeledImages
from drnet_tf.masked_network import MaskedNetwork
from drnet_tf.subtasks import DRNet
from drnet_tf.survey import (
    Survey,
    SurveyRow,
    all_subtasks,
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


def study(
    model: keras.Model,
    importance: ChannelImportance,
    validation: LabeledImages,
    test: LabeledImages,
    *,
    max_drop: float,
    kept_fractions: Sequence[float],
    budgets: Sequence[float],
    named: Sequence[tuple[str, ...]],
) -> dict[str, Any]:
    """Chooses on training images how to select, evaluates on test images.

    Chosen are the rule, whether a threshold or a fraction of the channels is
    shared by all sub-tasks, and that fraction: the one with the fewest running
    parameters within the drop.

    Args:
      model: the network that was dissected; it is not changed.
      importance: its CIVs.
      validation: training images, as the network expects them.
      test: the test split, for the final figures only.
      max_drop: largest mean drop of accuracy on `validation`, a fraction.
      kept_fractions: of channels, rising, that are tried.
      budgets: fractions of running parameters for the named sub-tasks.
      named: sub-tasks evaluated at every budget, by pruned networks.

    Returns:
      "choices": the curve of each of `CHOICES` on some pairs (training images);
      "choice": the best of them; "pairs" and "triples": "curve" (training
      images), "kept_fraction", "rows" and "summary" (test images); "named":
      rows on test images at every budget and rule.
    """
    network, costs = MaskedNetwork(model), CostModel(model)
    tuning = Survey(network, costs, importance, validation)
    pairs = all_subtasks(importance.class_names, SIZES["pairs"])
    choices = {
        name: _curve(
            tuning,
            importance,
            _spread(pairs, _CHOICE_SUBTASKS),
            kept_fractions,
            *choice,
        )
        for name, choice in CHOICES.items()
    }
    choice = max(choices, key=lambda name: _mean_accuracy(choices[name]))
    rule, shared = CHOICES[choice]
    final = Survey(network, costs, importance, test)
    results: dict[str, Any] = {
        "choices": {
            name: _points(kept_fractions, curve)
            for name, curve in choices.items()
        },
        "choice": choice,
    }
    for name, size in SIZES.items():
        subtasks = all_subtasks(importance.class_names, size)
        some = _spread(subtasks, _FRACTION_SUBTASKS)
        curve = _curve(tuning, importance, some, kept_fractions, rule, shared)
        best = smallest_within_drop(curve, max_drop)
        thresholds = thresholds_for(
            importance, subtasks, kept_fractions[best], rule, shared=shared
        )
        rows = final.run(thresholds, rule)
        results[name] = {
            "curve": _points(kept_fractions, curve),
            "kept_fraction": kept_fractions[best],
            "rows": [row.as_dict() for row in rows],
            "summary": summarise(rows),
        }
    results["named"] = _named(model, importance, test, budgets, named, final)
    return results


def _curve(
    survey: Survey,
    importance: ChannelImportance,
    subtasks: Sequence[tuple[str, ...]],
    kept_fractions: Sequence[float],
    rule: str,
    shared: bool,
) -> list[tuple[SurveyRow, ...]]:
    return [
        survey.run(
            thresholds_for(importance, subtasks, kept, rule, shared=shared),
            rule,
        )
        for kept in kept_fractions
    ]


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


def _named(
    model: keras.Model,
    importance: ChannelImportance,
    test: LabeledImages,
    budgets: Sequence[float],
    named: Sequence[tuple[str, ...]],
    final: Survey,
) -> list[dict[str, Any]]:
    """Pruned networks of the named sub-tasks, within budgets of parameters."""
    drnet = DRNet(model, importance)
    full = count_costs(model)
    rows = []
    for classes in named:
        for budget in budgets:
            for rule in sorted({rule for rule, _ in CHOICES.values()}):
                sub = drnet.subtask(classes, max_parameters=budget, rule=rule)
                small = count_costs(sub.model)
                rows.append(
                    {
                        "classes": list(classes),
                        "budget": budget,
                        "rule": rule,
                        "full_accuracy": final.full_accuracy(classes),
                        "accuracy": sub.evaluate(test).accuracy,
                        "channels": sub.costs.channels_fraction,
                        "parameters": sub.costs.parameters_fraction,
                        "macs": sub.costs.macs_fraction,
                        "pruned_parameters": small.parameters / full.parameters,
                        "pruned_macs": small.macs / full.macs,
                    }
                )
    return rows
