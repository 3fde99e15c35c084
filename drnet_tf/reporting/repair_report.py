"""The tables and the picture of a repair study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from drnet_tf.paired_differences import (
    differences,
    differences_at_equal_macs,
)
from drnet_tf.reporting.figures import CurveSeries, accuracy_curve
from drnet_tf.reporting.tables import Column, markdown

_COLUMNS = (
    Column("classes", "Classes"),
    Column("budget", "Budget", ".0%"),
    Column("selection", "Channels by"),
    Column("method", "Then"),
    Column("subtasks", "Sub-tasks"),
    Column("parameters", "Parameters", ".1%"),
    Column("macs", "MACs", ".1%"),
    Column("full_accuracy", "Full network", ".2%"),
    Column("accuracy", "Sub-network", ".2%"),
    Column("mean", "Mean drop", ".2%"),
    Column("standard_error", "± s.e.", ".2%"),
    Column("worst", "Worst drop", ".2%"),
)
_DIFFERENCES = (
    Column("classes", "Classes"),
    Column("budget", "Budget", ".0%"),
    Column("treatment", "Then"),
    Column("method", "Channels by"),
    Column("difference", "Difference", "+.2f", "points"),
    Column("standard_error", "± s.e.", ".2f", "points"),
    Column("better", "Better on", ",", "sub-tasks"),
    Column("at_equal_macs", "At equal MACs", "+.2f", "points"),
    Column("error_at_equal_macs", "± s.e.", ".2f", "points"),
)


def repair_tables(
    title: str,
    means: Sequence[Mapping[str, Any]],
    rows: Sequence[Mapping[str, Any]],
) -> str:
    """The study as Markdown: means, and differences on the same sub-tasks.

    Args:
      title: of the page.
      means: of `subtask_trials.summarise`.
      rows: that these are of.
    """
    parts = [f"# {title}", markdown(means, _COLUMNS).rstrip()]
    reference = next(iter(rows[0]["points"][0]["selections"]))
    found = _differences(rows, reference)
    if found:
        parts += [
            f"## Differences from {reference} on the same sub-tasks",
            "Budgets are of parameters. At equal MACs the other network lies "
            f"between two of {reference}; – where it has none as large.",
            markdown(found, _DIFFERENCES).rstrip(),
        ]
    return "\n\n".join([*parts, ""])


def _differences(
    rows: Sequence[Mapping[str, Any]], reference: str
) -> list[dict[str, Any]]:
    """In points; without the reference's own rows, which are zeros."""
    sizes: dict[int, list[Mapping[str, Any]]] = {}
    for row in rows:
        sizes.setdefault(len(row["classes"]), []).append(row)
    found = []
    for size, own in sizes.items():
        at_equal_macs = differences_at_equal_macs(own, reference)
        for row in differences(own, reference):
            if row["method"] == reference:
                continue
            key = row["budget"], row["treatment"], row["method"]
            gain, error = at_equal_macs.get(key, (None, None))
            found.append(
                {
                    "classes": size,
                    **row,
                    "difference": 100 * row["difference"],
                    "standard_error": 100 * row["standard_error"],
                    "at_equal_macs": None if gain is None else 100 * gain,
                    "error_at_equal_macs": None
                    if error is None
                    else 100 * error,
                }
            )
    return found


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
