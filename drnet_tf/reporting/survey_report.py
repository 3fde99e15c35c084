"""Tables and the curve of a study of all pairs and triples of a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from drnet_tf.published_results import PublishedTable
from drnet_tf.reporting.figures import CurveSeries, accuracy_curve
from drnet_tf.reporting.paper_comparison import comparison_table
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


def tables(
    title: str, results: Mapping[str, Any], table: PublishedTable
) -> str:
    """The tables of a study as Markdown.

    Args:
      title: of the page.
      results: as `table_study.put_together` gives them.
      table: the paper's, shown beside them.
    """
    parts = [
        f"# {title}",
        f"## The paper beside this run: {table.title}",
        comparison_table(table, results),
        f"Chosen on training images: {results['choice']}.",
    ]
    for name in SIZES:
        part = results[name]
        summary = [
            {"figure": figure.replace("_", " "), **values}
            for figure, values in (
                *part["summary"].items(),
                *_repaired(part),
            )
        ]
        parts += [
            f"## {len(part['rows'])} {name}, test images",
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
    if results["named"]:
        parts += [
            "## Named sub-tasks, pruned, test images",
            markdown(results["named"], _NAMED),
        ]
    return "\n\n".join([*parts, ""])


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


def _repaired(
    part: Mapping[str, Any],
) -> Iterator[tuple[str, Mapping[str, float]]]:
    """Accuracies and drops of repaired networks, by what they are."""
    for method, figures in part.get("repaired", {}).items():
        for figure, values in figures.items():
            yield f"{figure}, pruned, {method}", values


def _means(curve: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    return [
        {
            name: value["mean"] if isinstance(value, Mapping) else value
            for name, value in point.items()
        }
        for point in curve
    ]
