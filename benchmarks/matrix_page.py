"""The support matrix as a page of Markdown, from the records of networks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from exactness import (
    FLOAT64_TOLERANCE,
    LITERT_TOLERANCE,
    TOLERANCE,
    is_exact,
    passes,
    rounds,
    runs_in_litert,
)
from random_networks import HALF

from drnet_tf.reporting.tables import Column, markdown

_COLUMNS = (
    Column("network", "Network"),
    Column("sites", "Sites", ","),
    Column("before", "Parameters", ","),
    Column("after", "at 50 %", ","),
    Column("removed", "Masked channels removed at 50 %", ".1%"),
    Column("pruned", "Pruned", ".1e"),
    Column("float64", "in float64", ".1e"),
    Column("reloaded", "Reloaded", ".1e"),
    Column("litert", "LiteRT", ".1e"),
    Column("verdict", "Verdict", align="left"),
)


def verdict(record: dict[str, Any]) -> str:
    """One or a few words for a network."""
    rows = record["rows"]
    errors = [row for row in (record, *rows) if "error" in row]
    if errors:
        refused = all(row.get("refused") for row in errors)
        return "refused" if refused else "fails"
    if not all(map(is_exact, rows)):
        broken = any("reload_error" in row for row in rows)
        return "does not load" if broken else "differs"
    words = ["exact"]
    if any(map(rounds, rows)):
        words.append("float32 rounds")
    if not any(row["masked_removed"] for row in rows):
        words.append("all stays")
    if not all(map(runs_in_litert, rows)):
        words.append("not in LiteRT")
    return ", ".join(words)


def is_well(record: dict[str, Any]) -> bool:
    """Whether a network is pruned exactly or refused with a reason."""
    if verdict(record) == "refused":
        return True
    rows = record["rows"]
    return "error" not in record and all(map(passes, rows))


def page(
    records: Sequence[dict[str, Any]], made_with: dict[str, Any], command: str
) -> str:
    """The whole page.

    Args:
      records: one a network, in the order of the table.
      made_with: settings and versions of the run.
      command: that makes the page.
    """
    well = sum(map(is_well, records))
    parts = [
        "# Support matrix",
        _introduction(made_with, command),
        f"{well} of {len(records)} networks are pruned exactly or refused "
        "with a reason.",
        markdown([_row(record) for record in records], _COLUMNS).rstrip(),
        "## What stays, and what went wrong",
        "Figures are those of the mask that silences 50 % unless another is "
        "named. A channel that another site or layer keeps is the mask's "
        "choice; all other reasons are the network's.",
        "\n".join(_notes(records)),
    ]
    return "\n\n".join(parts) + "\n"


def _introduction(made_with: dict[str, Any], command: str) -> str:
    versions = ", ".join(f"{k} {v}" for k, v in made_with["versions"].items())
    hub = (
        "small backbones of keras-hub"
        if "keras-hub" in made_with["versions"]
        else "no backbone of keras-hub, which was not installed"
    )
    return (
        f"Written by `{command}` (seed {made_with['seed']}; {versions}; code "
        f"{made_with['code']}); the figures of every mask stand in "
        "`results/support_matrix.json`.\n\n"
        "Every model of `keras.applications` (its own input size, classifier "
        "included), networks of families that it has not, and "
        f"{hub}, all with random weights, norm statistics and factors. Each "
        "was pruned by four masks: 50 % of all channels silenced at random, "
        "10 % and one whole site, all but one channel of every site, and "
        "10 %. The table has the worst of the four.\n\n"
        "* **Pruned**: largest difference between the pruned network and the "
        "masked one in float32, as a share of the largest output (at most "
        f"{TOLERANCE:.0e}), on {made_with['images']} random images. *In "
        "float64*: the same of both networks computed in float64, where "
        "float32 exceeds that: below "
        f"{FLOAT64_TOLERANCE:.0e} the difference is rounding. Where a mask "
        "leaves outputs that hardly depend on the image, all layers were "
        "compared in float64, too; a network that differed there fails.\n"
        "* **Reloaded**: the same after saving and loading in a process that "
        "has Keras only (and keras-hub, for its own layers), not drnet_tf.\n"
        "* **LiteRT**: largest difference between the pruned network's "
        "`.tflite` file and Keras (at most "
        f"{LITERT_TOLERANCE:.0e}), for {_litert_masks(made_with)}.\n"
        "* **Masked channels removed**: share of the channels silenced by the "
        "mask that are really gone; the others stay and are zero."
    )


def _litert_masks(made_with: dict[str, Any]) -> str:
    count = made_with["litert_masks"]
    return {0: "no mask", 4: "all masks"}.get(count, f"{count} of the masks")


def _row(record: dict[str, Any]) -> dict[str, Any]:
    rows = record["rows"]
    half: dict[str, Any] = next((x for x in rows if x["mask"] == HALF), {})
    return {
        "network": record["network"],
        "sites": record.get("sites"),
        "before": half.get("parameters_before"),
        "after": half.get("parameters_after"),
        "removed": half.get("masked_removed"),
        "pruned": _worst(rows, "pruned"),
        "float64": _worst(rows, "pruned_float64"),
        "reloaded": _worst(rows, "reloaded"),
        "litert": _worst(rows, "litert"),
        "verdict": verdict(record),
    }


def _worst(rows: Iterable[dict[str, Any]], key: str) -> float | None:
    found = [row[key] for row in rows if row.get(key) is not None]
    return max(found, default=None)


def _notes(records: Iterable[dict[str, Any]]) -> list[str]:
    lines: list[str] = []
    for record in records:
        notes = [*_complaints(record), *_stays(record)]
        if notes:
            lines.append(f"* **{record['network']}**")
            lines += [f"  * {note}" for note in notes]
    return lines or ["Nothing."]


def _complaints(record: dict[str, Any]) -> list[str]:
    """What stands in the way of a network, each text once."""
    titles: dict[str, list[str]] = {}
    if "as_it_is" in record:
        said = f"the class itself is refused: {record['as_it_is']}"
        titles[said] = ["measured as a model of its inputs and outputs"]
    for row in (record, *record["rows"]):
        title = row.get("mask", "every mask")
        for key, what in (
            ("error", "refused" if row.get("refused") else "failed"),
            ("reload_error", "does not load"),
            ("litert_error", "not in LiteRT"),
        ):
            if key in row:
                titles.setdefault(f"{what}: {row[key]}", []).append(title)
    return [f"{text} ({'; '.join(masks)})" for text, masks in titles.items()]


def _stays(record: dict[str, Any]) -> list[str]:
    half: dict[str, Any] = next(
        (x for x in record["rows"] if x["mask"] == HALF), {}
    )
    notes = [
        f"{entry['reason']}: {entry['channels']:,} channels of "
        f"{entry['sites']} sites"
        for entry in half.get("kept", ())
    ]
    unknown = half.get("unknown")
    if unknown:
        kinds = ", ".join(f"{count} {kind}" for kind, count in unknown.items())
        notes.append(f"operations without a rule: {kinds}")
    return notes
