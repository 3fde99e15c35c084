"""The curves of the paper's figures 5 and 6, drawn and as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from drnet_tf.published_results import PublishedFigure
from drnet_tf.reporting.figures import CurveSeries, accuracy_curve
from drnet_tf.reporting.tables import Column, markdown

_SHARES = {"channels": "Running channels", "parameters": "Running parameters"}
_POINTS = (
    Column("name", "Masks"),
    Column("threshold", "Threshold", ".3g"),
    Column("channels", "Channels", ".1%"),
    Column("parameters", "Parameters", ".1%"),
    Column("full_accuracy", "Full network", ".1%"),
    Column("accuracy", "Sub-networks", ".1%"),
)

Points = Sequence[Mapping[str, Any]]


def threshold_curves(curves: Mapping[str, Points]) -> dict[str, str]:
    """Accuracy against what runs, as thresholds grow.

    Args:
      curves: points of `survey.sweep` by name, at least one of each. The full
        network becomes the last point of a line.

    Returns:
      An SVG document each for "channels" and "parameters".
    """
    return {
        share: accuracy_curve(
            [
                CurveSeries(
                    name,
                    [*(point[share]["mean"] for point in points), 1.0],
                    [
                        *(point["accuracy"]["mean"] for point in points),
                        points[0]["full_accuracy"]["mean"],
                    ],
                )
                for name, points in curves.items()
            ],
            label,
            log_x=False,
        )
        for share, label in _SHARES.items()
    }


def threshold_table(curves: Mapping[str, Points]) -> str:
    """The points of `threshold_curves`, means over sub-tasks, as Markdown."""
    rows = [
        {
            "name": name,
            "threshold": point["threshold"],
            **{
                key: point[key]["mean"]
                for key in ("channels", "parameters", "full_accuracy")
            },
            "accuracy": point["accuracy"]["mean"],
        }
        for name, points in curves.items()
        for point in points
    ]
    return markdown(rows, _POINTS).rstrip()


def heading(number: int, figure: PublishedFigure) -> str:
    """What a figure shows, and what the paper says of it.

    Example:
      >>> print(heading(5, PublishedFigure("Accuracy.")))
      Figure 5 (our reading): Accuracy.
        the paper: not known
    """
    reading = "" if figure.sure else " (our reading)"
    known = figure.known or "not known"
    return f"Figure {number}{reading}: {figure.reading}\n  the paper: {known}"
