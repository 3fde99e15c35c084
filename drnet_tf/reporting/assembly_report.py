"""What joining components of networks costs, as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from drnet_tf.reporting.tables import Column, markdown

_COLUMNS = (
    Column("name", "Network"),
    Column("classes", "Classes"),
    Column("accuracy", "Of all classes", ".2%"),
    Column("difference", "Against the best whole one", "+.2f", unit="points"),
    Column("own", "Within its part", ".2%"),
    Column("right_part", "Right part", ".2%"),
    Column("parameters", "Parameters", ","),
    Column("macs", "MACs", ","),
)


def assembly_table(report: Mapping[str, Any]) -> str:
    """Whole networks, their components, and what was joined of these.

    Args:
      report: of `recipes/assemble_networks.py`: "settings" with "models" and
        "classes"; "networks" and "components", one of each model; "assembled",
        by name. All with fractions and costs.

    Returns:
      Markdown. An accuracy "of all classes" is of the images of all classes
      that are joined, among these; "within its part" among the classes of the
      image's component alone; the "right part" is how often the winning output
      is of that component.
    """
    names = report["settings"]["models"]
    networks, parts = report["networks"], report["components"]
    best = max(x["accuracy"] for x in networks)
    whole = [
        _row(name, part["classes"], x, x["accuracy"], x["of_own_classes"], best)
        for name, x, part in zip(names, networks, parts, strict=True)
    ]
    components = [
        _row(f"component of {name}", x["classes"], x, None, x["accuracy"], best)
        for name, x in zip(names, parts, strict=True)
    ]
    everything = [x for part in parts for x in part["classes"]]
    joined = [
        _row(name, everything, x, x["accuracy"], x["within_part"], best)
        for name, x in report["assembled"].items()
    ]
    return markdown([*whole, *components, *joined], _COLUMNS)


def _row(
    name: str,
    classes: Sequence[str],
    found: Mapping[str, Any],
    accuracy: float | None,
    own: float,
    best: float,
) -> dict[str, Any]:
    return {
        "name": name,
        "classes": classes,
        "accuracy": accuracy,
        "difference": None if accuracy is None else 100 * (accuracy - best),
        "own": own,
        "right_part": found.get("right_part"),
        "parameters": found["parameters"],
        "macs": found["macs"],
    }
