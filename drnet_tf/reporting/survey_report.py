"""Tables and the curve of a study of all pairs and triples of a network."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from drnet_tf.artifacts import write_text
from drnet_tf.reporting.figures import CurveSeries, accuracy_curve
from drnet_tf.reporting.tables import Column, markdown
from drnet_tf.table_study import SIZES

_PERCENT = ".1%"
_ACCURACY = ".2%"
_POINT = (
    Column("kept_fraction", "Kept", ".0%"),
    Column("channels", "Channels", _PERCENT),
    Column("parameters", "Parameters", _PERCENT),
    Column("macs", "MACs", _PERCENT),
    Column("full_accuracy", "Full accuracy", _ACCURACY),
    Column("accuracy", "Sub accuracy", _ACCURACY),
)
_FIGURE = (
    Column("figure", "Figure"),
    Column("mean", "Mean", _ACCURACY),
    Column("min", "Min", _ACCURACY),
    Column("max", "Max", _ACCURACY),
)
_NAMED = (
    Column("classes", "Sub-task"),
    Column("budget", "Budget", _PERCENT),
    Column("rule", "Rule"),
    Column("full_accuracy", "Full accuracy", _ACCURACY),
    Column("accuracy", "Sub accuracy", _ACCURACY),
    Column("channels", "Channels", _PERCENT),
    Column("parameters", "Parameters", _PERCENT),
    Column("pruned_parameters", "Parameters pruned", _PERCENT),
    Column("pruned_macs", "MACs pruned", _PERCENT),
)


def tables(title: str, results: Mapping[str, Any]) -> str:
    """The tables of a study as Markdown.

    Args:
      title: of the page.
      results: as `table_study.study` gives them.
    """
    parts = [
        f"# {title}",
        f"Chosen on training images: {results['choice']}.",
    ]
    for name in SIZES:
        part = results[name]
        summary = [
            {"figure": figure.replace("_", " "), **values}
            for figure, values in part["summary"].items()
        ]
        parts += [
            f"## All {len(part['rows'])} {name}, test images",
            f"Share of the channels kept: {part['kept_fraction']:.0%}, chosen "
            "on training images.",
            markdown(summary, _FIGURE),
            f"### Curve on training images, some {name}",
            markdown(_means(part["curve"]), _POINT),
        ]
    for name, curve in results["choices"].items():
        parts += [
            f"## Choice: {name}; some pairs, training images",
            markdown(_means(curve), _POINT),
        ]
    parts += [
        "## Named sub-tasks, pruned, test images",
        markdown(results["named"], _NAMED),
        "",
    ]
    return "\n\n".join(parts)


def figure(results: Mapping[str, Any]) -> str:
    """The curves of accuracy against running parameters, as SVG."""
    curves = {name: results[name]["curve"] for name in SIZES}
    curves |= {
        f"some pairs: {name}": curve
        for name, curve in results["choices"].items()
        if name != results["choice"]
    }
    series = [
        CurveSeries(
            name,
            [point["parameters"]["mean"] for point in curve],
            [point["accuracy"]["mean"] for point in curve],
        )
        for name, curve in curves.items()
    ]
    full = results["pairs"]["curve"][0]["full_accuracy"]["mean"]
    return accuracy_curve(series, "Running parameters", full)


def write_tables(
    path: str | os.PathLike[str], title: str, results: Mapping[str, Any]
) -> None:
    """Writes `tables` to a file."""
    write_text(path, tables(title, results))


def write_figure(
    path: str | os.PathLike[str], results: Mapping[str, Any]
) -> None:
    """Writes `figure` to a file."""
    write_text(path, figure(results))


def _means(curve: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    return [
        {
            name: value["mean"] if isinstance(value, Mapping) else value
            for name, value in point.items()
        }
        for point in curve
    ]
