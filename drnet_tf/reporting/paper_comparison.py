"""The paper's tables beside ours, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from drnet_tf.published_results import PublishedRow, PublishedTable
from drnet_tf.reporting.tables import Column, markdown
from drnet_tf.table_study import SIZES

NOT_KNOWN = "not known"
PAPER = "the paper"
_HARD = "ours, hard masks"
_SHARES = ("channels", "parameters", "macs")
_COLUMNS = (
    Column("subtasks", "Sub-tasks"),
    Column("whose", "Whose"),
    Column("network", "All classes", align="right"),
    Column("full_accuracy", "Full network", align="right"),
    Column("accuracy", "Sub-network", align="right"),
    Column("drop", "Mean drop (points)", align="right"),
    Column("channels", "Channels", align="right"),
    Column("parameters", "Parameters", align="right"),
    Column("macs", "MACs", align="right"),
)
_PROMOTIONS = (
    Column("subtasks", "Sub-tasks"),
    Column("whose", "Whose"),
    Column("head", "Among the outputs"),
    Column("selection", "Channels by"),
    Column("budget", "Budget of MACs", align="right"),
    Column("channels", "Channels", align="right"),
    Column("max", "Max", align="right"),
    Column("mean", "Mean promotion (points)", align="right"),
    Column("min", "Min", align="right"),
)
_HEADS = {"own": "of the sub-task", "all": "all"}


def comparison_table(table: PublishedTable, results: Mapping[str, Any]) -> str:
    """What the paper says of sub-tasks, and what was found here.

    Args:
      table: the paper's.
      results: of `table_study.put_together`.

    Returns:
      Markdown: the table, and what it has to be read with.
    """
    rows = []
    for name, size in SIZES.items():
        said = _said(table, size)
        rows.append(
            {
                "subtasks": name,
                "whose": PAPER,
                "network": _percent(table.accuracy),
                "full_accuracy": NOT_KNOWN,
                "accuracy": NOT_KNOWN,
                "drop": _points(said.drop),
                "channels": _percent(said.channels),
                "parameters": _percent(said.parameters),
                "macs": NOT_KNOWN,
            }
        )
        rows += _ours(name, results)
    threshold = NOT_KNOWN if table.threshold is None else f"{table.threshold:g}"
    notes = [
        f"The paper's network is {table.network}, its data {table.dataset}; "
        f"its threshold of the union rule: {threshold}. Ours: "
        f"{results['choice']}, the fewest parameters within the drop allowed "
        "on training images. Shares are of what runs, as the paper counts.",
        *table.notes,
    ]
    return "\n\n".join([markdown(rows, _COLUMNS).rstrip(), *notes])


def promotion_table(
    table: PublishedTable, means: Sequence[Mapping[str, Any]]
) -> str:
    """What sub-tasks gain against the full network: the paper's and ours.

    Args:
      table: the paper's.
      means: of `head_study.promotions`.

    Returns:
      Markdown: the table, and what it has to be read with.
    """
    rows = []
    for size in sorted({row["classes"] for row in means}):
        said = _said(table, size)
        rows.append(
            {
                "subtasks": f"of {size} classes",
                "whose": PAPER,
                "head": NOT_KNOWN,
                "selection": NOT_KNOWN,
                "budget": NOT_KNOWN,
                "channels": _percent(said.channels),
                "max": _points(said.gain_max),
                "mean": _points(said.gain_mean),
                "min": _points(said.gain_min),
            }
        )
        for row in (x for x in means if x["classes"] == size):
            rows += [_promotion(row, name) for name in ("hard", "repaired")]
    notes = [
        f"The paper's network is {table.network}, its data {table.dataset}. A "
        "promotion is the accuracy of a sub-network minus that of the full "
        "one, on the same images and among the same outputs.",
        *table.notes,
    ]
    return "\n\n".join([markdown(rows, _PROMOTIONS).rstrip(), *notes])


def _said(table: PublishedTable, size: int) -> PublishedRow:
    found = [row for row in table.rows if row.classes == size]
    return found[0] if found else PublishedRow(size)


def _ours(name: str, results: Mapping[str, Any]) -> list[dict[str, str]]:
    part = results[name]
    means = {k: v["mean"] for k, v in part["summary"].items()}
    whole = {
        "subtasks": f"{len(part['rows'])} {name}",
        "network": _percent(results.get("network_accuracy")),
        "full_accuracy": _percent(means["full_accuracy"]),
        **{share: _percent(means[share]) for share in _SHARES},
    }
    found = {
        _HARD: means,
        **{
            f"ours, {method}": {k: v["mean"] for k, v in figures.items()}
            for method, figures in part.get("repaired", {}).items()
        },
    }
    return [
        {
            **whole,
            "whose": whose,
            "accuracy": _percent(own["accuracy"]),
            "drop": _points(own["drop"]),
        }
        for whose, own in found.items()
    ]


def _promotion(row: Mapping[str, Any], name: str) -> dict[str, str]:
    return {
        "subtasks": f"{row['subtasks']} of {row['classes']} classes",
        "whose": f"ours, {name}",
        "head": _HEADS[row["head"]],
        "selection": row["selection"],
        "budget": f"{row['budget']:.0%}",
        "channels": _percent(row["channels"]),
        **{
            end: _points(row[f"{name}_{end}"], "+")
            for end in ("max", "mean", "min")
        },
    }


def _percent(value: float | None) -> str:
    return NOT_KNOWN if value is None else f"{value:.1%}"


def _points(value: float | None, sign: str = "") -> str:
    return NOT_KNOWN if value is None else f"{100 * value:{sign}.2f}"
