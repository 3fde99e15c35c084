"""Writes results/summary.md from the JSON files beside it.

Reads: `<name>.json` of paper_tables.py for each of `--networks` in `--results`.
Writes: `summary.md` there: all pairs and triples beside DRNet's averages, and
named sub-tasks beside a first prototype, with the differences computed.

Example: python recipes/summarise_results.py --results=results
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import running
from absl import flags

if TYPE_CHECKING:
    from drnet_tf.reporting.tables import Column

_RESULTS = flags.DEFINE_string("results", "results", "Folder of the results.")
_NETWORKS = flags.DEFINE_list(
    "networks",
    ["vgg16_cifar10", "resnet56_cifar10", "resnet20_cifar10"],
    "Names of the results.",
)
# A first prototype on the same VGG16: CIVs of 20 images a class, one quantile,
# 200 test images a class. (full, at 22 %, at 9 % of the parameters)
_PROTOTYPE = {
    "airplane+truck": (0.99, 0.9725, 0.91),
    "automobile+deer": (0.9975, 0.9975, 0.93),
    "cat+dog": (0.905, 0.855, 0.585),
    "airplane+bird+cat": (0.935, 0.825, 0.742),
}
_PROTOTYPE_BUDGETS = (0.22, 0.09)
_SIZES = ("parameters", "pruned_parameters", "pruned_macs")


def main() -> None:
    from drnet_tf.artifacts import write_text

    folder = Path(_RESULTS.value)
    results = {
        name: json.loads((folder / f"{name}.json").read_text("utf-8"))
        for name in _NETWORKS.value
    }
    page = "\n\n".join(
        (
            "# All pairs and triples, test images",
            _survey_table(results),
            "# Named sub-tasks within budgets of parameters, test images",
            _named_table(results),
            "",
        )
    )
    write_text(folder / "summary.md", page)
    print(page)


def _survey_table(results: dict[str, Any]) -> str:
    from drnet_tf.published_results import TABLES
    from drnet_tf.reporting.tables import markdown
    from drnet_tf.table_study import SIZES

    # Of VGG16 on CIFAR-10, a network trained 40 times longer.
    known = {row.classes: row.parameters for row in TABLES[1].rows}
    rows = []
    for network, result in results.items():
        for size, count in SIZES.items():
            paper = known[count]
            found = result[size]["summary"]
            rows.append(
                {
                    "network": network,
                    "size": f"{len(result[size]['rows'])} {size}",
                    "choice": result["choice"],
                    "paper": paper if network.startswith("vgg16") else None,
                    "drop": 100 * found["drop"]["mean"],
                    "worst": 100 * found["drop"]["max"],
                    **{
                        name: found[name]["mean"]
                        for name in (
                            "full_accuracy",
                            "accuracy",
                            "channels",
                            "parameters",
                            "macs",
                        )  # fmt: skip
                    },
                }
            )
    return markdown(rows, _survey_columns())


def _survey_columns() -> list[Column]:
    from drnet_tf.reporting.tables import Column

    return [
        Column("network", "Network"),
        Column("size", "Sub-tasks"),
        Column("choice", "Chosen on training images"),
        Column("full_accuracy", "Full", ".2%"),
        Column("accuracy", "Sub", ".2%"),
        Column("drop", "Mean drop", ".2f", unit="points"),
        Column("worst", "Largest drop", ".2f", unit="points"),
        Column("channels", "Channels", ".1%"),
        Column("parameters", "Parameters", ".1%"),
        Column("macs", "MACs", ".1%"),
        Column("paper", "DRNet's parameters", ".1%"),
    ]


def _named_table(results: dict[str, Any]) -> str:
    from drnet_tf.reporting.tables import Column, markdown

    rows = []
    for network, result in results.items():
        for row in result["named"]:
            drop = 100 * (row["full_accuracy"] - row["accuracy"])
            known = network.startswith("vgg16")
            before = _prototype_drop(row) if known else None
            gain = None if before is None else before - drop
            rows.append(
                {
                    "network": network,
                    **row,
                    "drop": drop,
                    "before": before,
                    "gain": gain,
                }
            )
    rows += _means(rows)
    columns = [
        Column("network", "Network"),
        Column("classes", "Sub-task"),
        Column("budget", "Budget", ".0%"),
        Column("rule", "Rule"),
        Column("full_accuracy", "Full", ".2%"),
        Column("accuracy", "Sub", ".2%"),
        Column("drop", "Drop", ".2f", unit="points"),
        Column("before", "Prototype's drop", ".2f", unit="points"),
        Column("gain", "Gain", "+.2f", unit="points"),
        Column("parameters", "Parameters", ".1%"),
        Column("pruned_parameters", "Pruned parameters", ".1%"),
        Column("pruned_macs", "Pruned MACs", ".1%"),
    ]
    return markdown(rows, columns)


def _prototype_drop(row: dict[str, Any]) -> float | None:
    """In points; None where the prototype was not measured."""
    found = _PROTOTYPE.get("+".join(row["classes"]))
    if found is None or row["budget"] not in _PROTOTYPE_BUDGETS:
        return None
    full, *subs = found
    return 100 * (full - subs[_PROTOTYPE_BUDGETS.index(row["budget"])])


def _means(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means over the named sub-tasks that the prototype has as well."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        if row["before"] is not None:
            key = (row["network"], row["budget"], row["rule"])
            groups.setdefault(key, []).append(row)
    columns = ("full_accuracy", "accuracy", "drop", "before", "gain")
    return [
        {
            "network": network,
            "classes": f"mean of {len(group)}",
            "budget": budget,
            "rule": rule,
            **{
                name: sum(row[name] for row in group) / len(group)
                for name in (*columns, *_SIZES)
            },
        }
        for (network, budget, rule), group in groups.items()
    ]


if __name__ == "__main__":
    running.run(main)
