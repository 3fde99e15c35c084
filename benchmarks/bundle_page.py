"""The table of bundles as a page of Markdown, from the records of networks."""

from __future__ import annotations

from typing import Any

from drnet_tf.reporting.tables import Column, markdown

_COLUMNS = (
    Column("network", "Network"),
    Column("format", "Format", align="left"),
    Column("mib", "Bundle, MiB", ".1f"),
    Column("channels", "Channels that may go", ","),
    Column("frozen", "that stay", ","),
    Column("folds", "Folded biases", ","),
    Column("max_difference", "To the masked file", ".1e"),
    Column("keras", "To masked Keras", ".1e"),
    Column("small", "MiB at 15 %", ".2f"),
    Column("verdict", "Verdict", align="left"),
)
_KEYS = [column.key for column in _COLUMNS]


def is_well(record: dict[str, Any]) -> bool:
    """Whether all formats were written, and equal the masked network."""
    return all(
        "refused" not in x
        and x["max_difference"] <= (0 if x["format"] == "int8" else 1e-5)
        and all(cut["labels"] for cut in x["cuts"])
        and (x["format"] != "float32" or _worst(x) <= 1e-4)
        for x in record["formats"]
    )


def _worst(found: dict[str, Any]) -> float:
    return max(cut["keras"] for cut in found["cuts"])


def page(records: list[dict[str, Any]]) -> str:
    """The page of Markdown."""
    rows = []
    for record in records:
        for found in record["formats"]:
            row = {"network": record["network"], "format": found["format"]}
            if "refused" in found:
                row["verdict"] = found["refused"]
                rows.append(dict.fromkeys(_KEYS) | row)
                continue
            rows.append(
                row
                | {
                    "mib": found["bytes"] / 2**20,
                    "channels": found["channels"],
                    "frozen": sum(found["frozen"].values()),
                    "folds": len(found["folds"]),
                    "max_difference": found["max_difference"],
                    "keras": _worst(found),
                    "small": found["cuts"][-1]["bytes"] / 2**20,
                    "verdict": "exact",
                }
            )
    return (
        "# Which networks fit into a bundle\n\n"
        "Written by `python benchmarks/bundle_matrix.py`, never by hand; all "
        "figures are in `results/bundle_matrix.json`.\n\n"
        "Networks of `keras.applications` have random weights and norms; those "
        "in small letters are trained. *To the masked file*: the greatest "
        "difference of sub-networks to the full file with the same channels "
        "silenced, before the softmax, as a share of the scores' scale; of "
        "int8 files all integers are the same if it is 0. *To masked Keras*: "
        "the same to the masked Keras model, of which float16 and int8 files "
        "differ by their number format.\n\n" + markdown(rows, _COLUMNS) + "\n"
    )
