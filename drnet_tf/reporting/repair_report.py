"""The table and the picture of a repair study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from drnet_tf.reporting.figures import CurveSeries, accuracy_curve

_COLUMNS = {
    "classes": ("Classes", "{}"),
    "budget": ("Budget", "{:.0%}"),
    "selection": ("Channels by", "{}"),
    "method": ("Then", "{}"),
    "subtasks": ("Sub-tasks", "{}"),
    "parameters": ("Parameters", "{:.1%}"),
    "macs": ("MACs", "{:.1%}"),
    "full_accuracy": ("Full network", "{:.2%}"),
    "accuracy": ("Sub-network", "{:.2%}"),
    "mean": ("Mean drop", "{:.2%}"),
    "standard_error": ("± s.e.", "{:.2%}"),
    "worst": ("Worst drop", "{:.2%}"),
}


def repair_table(means: Sequence[Mapping[str, Any]]) -> str:
    """A Markdown table.

    Args:
      means: of `subtask_trials.summarise`.
    """
    lines = [
        [head for head, _ in _COLUMNS.values()],
        ["---"] * len(_COLUMNS),
        *(
            [form.format(row[name]) for name, (_, form) in _COLUMNS.items()]
            for row in means
        ),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def repair_curves(means: Sequence[Mapping[str, Any]]) -> str:
    """An SVG: accuracy of the smallest sub-tasks against parameters left.

    Args:
      means: of `subtask_trials.summarise`.
    """
    size = min(row["classes"] for row in means)
    own = [row for row in means if row["classes"] == size]
    lines: dict[str, list[Mapping[str, Any]]] = {}
    for row in own:
        lines.setdefault(f"{row['selection']}, {row['method']}", []).append(row)
    series = [
        CurveSeries(
            name,
            [row["parameters"] for row in rows],
            [row["accuracy"] for row in rows],
            group=rows[0]["selection"],
        )
        for name, rows in lines.items()
    ]
    return accuracy_curve(series, "Parameters left", own[0]["full_accuracy"])
