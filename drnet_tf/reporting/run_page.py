"""The page of a run: what was asked, what came out, and where the files are."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from drnet_tf.fronts import FrontPoint
from drnet_tf.importance import ChannelImportance
from drnet_tf.masks import ChannelMask
from drnet_tf.reporting import sections
from drnet_tf.reporting.confusion import (
    MAX_DRAWN,
    confused_pairs,
    confusion_figure,
)
from drnet_tf.reporting.front_figure import front_figure
from drnet_tf.reporting.page import Blocks, Page
from drnet_tf.reporting.tables import Column, text

_FULL = "full network"
SUBTASKS = (
    Column("classes", "Sub-task"),
    Column("full_accuracy", "Full", ".2%"),
    Column("accuracy", "Small", ".2%"),
    Column("drop", "Drop", "+.2f", unit="points"),
    Column("parameters_left", "Parameters", ".1%"),
    Column("macs_left", "MACs", ".1%"),
    Column("masked_difference", "Pruned = masked to", ".1e"),
    Column("images", "Test images", ","),
)
_SIZES = (
    Column("classes", "Network of"),
    Column("small_parameters", "Parameters", ","),
    Column("small_macs", "MACs", ","),
    Column("channels", "Channels run", ".1%"),
    Column("parameters", "Parameters run", ".1%"),
    Column("macs", "MACs run", ".1%"),
)
_POINTS = (
    Column("parameters", "Parameters", ".1%"),
    Column("macs", "MACs", ".1%"),
    Column("accuracy", "Accuracy", ".2%"),
    Column("worth", "On the front"),
)
_PAIRS = (
    Column("true", "True class"),
    Column("found", "Taken for"),
    Column("full", "Full", ",", unit="images"),
    Column("small", "Small", ",", unit="images"),
)


def overview(results: Mapping[str, Any]) -> str:
    """The table of sub-tasks for a terminal.

    Args:
      results: see `run_page`.
    """
    return text(_shares(results["rows"]), SUBTASKS)


def run_page(
    results: Mapping[str, Any],
    importance: ChannelImportance,
    masks: Mapping[str, ChannelMask],
    fronts: Mapping[str, Sequence[FrontPoint]],
    files: Mapping[str, str],
) -> Page:
    """Builds the page of a dissected network and its sub-tasks.

    Args:
      results: of `run_report.RunReport.results`.
      importance: the CIVs.
      masks: of each sub-task, by its name: its classes with ", " between.
      fronts: points of some of these sub-tasks.
      files: what lies beside the page, see `Blocks.links`.

    Returns:
      The same page, byte by byte, for the same arguments.
    """
    rows = _shares(results["rows"])
    page = Page(f"Sub-tasks of '{results['network']}'")
    page.paragraph(_summary(results, importance))
    page.table(
        rows,
        SUBTASKS,
        "Every sub-task's small network beside the full one: accuracy by the "
        "softmax over the sub-task's classes alone, with the drop in "
        "percentage points (negative: the small one is better); parameters "
        "and MACs that are left of the full network's. Pruned = masked to: "
        "greatest difference of outputs between the network as it was cut, "
        "before any repair, and the full one with the masked channels made "
        "zero, as a share of the greatest output; float32 rounds at about "
        "10⁻⁷.",
    )
    for reason in results["unreached"]:
        page.paragraph(f"Without a small network: {reason}")
    _add_fronts(page, results, fronts)
    page.heading("What was kept")
    sections.add_kept_channels(page, masks)
    page.table(
        [_full_row(results["full"]), *rows],
        _SIZES,
        "The networks themselves, all weights counted, and what the masks run "
        "of the full network, counted as DRNet does. The latter is less where "
        "a masked channel cannot be removed and is made zero instead.",
    )
    page.heading("Classes that share channels")
    sections.add_similarity(page, importance)
    sections.add_iterates(page, importance)
    _add_confusions(page, rows)
    page.heading("Files").paragraph("They lie in the folder of this page:")
    page.links(files)
    _add_settings(page, results, importance)
    return page


def _shares(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows, and what is left of the full network."""
    return [
        {
            **row,
            "parameters_left": row["small_parameters"] / row["full_parameters"],
            "macs_left": row["small_macs"] / row["full_macs"],
        }
        for row in rows
    ]


def _full_row(full: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "classes": _FULL,
        "small_parameters": full["parameters"],
        "small_macs": full["macs"],
        "channels": 1.0,
        "parameters": 1.0,
        "macs": 1.0,
    }


def _summary(results: Mapping[str, Any], importance: ChannelImportance) -> str:
    full, rows = results["full"], results["rows"]
    asked = ", ".join(f"{k} {v}" for k, v in results["asked"].items())
    mean = sum(row["drop"] for row in rows) / len(rows)
    most = max(row["masked_difference"] for row in rows)
    proof = f"to {most:.0e} of their scale" if most else "exactly"
    count = "one sub-task" if len(rows) == 1 else f"{len(rows)} sub-tasks"
    return (
        f"The full network has {full['parameters']:,} parameters, "
        f"{full['macs']:,} MACs an image and "
        f"{len(importance.class_names)} classes; it was dissected by the "
        f"method '{importance.method}'. Small networks were made for {count}, "
        f"with {asked}. On average they lose {mean:.2f} percentage points on "
        f"{results['data']}, which chose nothing; as they were cut, before "
        "any repair, their outputs are those of the masked full network "
        f"{proof}."
    )


def _add_fronts(
    page: Page,
    results: Mapping[str, Any],
    fronts: Mapping[str, Sequence[FrontPoint]],
) -> None:
    if not fronts:
        return
    page.heading("Accuracy against size").paragraph(
        "Networks of rising size, made in the same way as those above; the "
        "front joins those that no other one is better than. The test images "
        "of the table judge them: to choose one, trace the front on training "
        "images (recipes/trace_front.py)."
    )
    rows = {", ".join(x["classes"]): x for x in _shares(results["rows"])}
    for name, points in fronts.items():
        row = rows[name]
        front = [point for point in points if point.best["parameters"]]
        page.figure(
            front_figure(
                points,
                row["full_accuracy"],
                (row["parameters_left"], row["accuracy"]),
            ),
            f"Pareto front of {name}: accuracy on test images against the "
            "parameters that are left of the full network's.",
            f"Accuracy of {len(points)} networks of {name}; none is better "
            "than "
            + "; ".join(f"{x.parameters:.1%}: {x.accuracy:.2%}" for x in front),
        )
        page.details(
            f"Figures of {name}",
            Blocks().table(
                [
                    {
                        **point.as_dict(),
                        "worth": "yes" if point.best["parameters"] else "",
                    }
                    for point in points
                ],
                _POINTS,
                f"All networks of {name}; whether none with as few parameters "
                "is more accurate.",
            ),
        )


def _add_confusions(page: Page, rows: Sequence[Mapping[str, Any]]) -> None:
    page.heading("Confusions before and after").paragraph(
        "What the full network and the small one take each class for, when "
        "only the sub-task's classes can be the answer. Rows are true classes, "
        "columns those that were found."
    )
    for row in rows:
        classes, name = row["classes"], ", ".join(row["classes"])
        both = row["full_confusion"], row["confusion"]
        pairs = confused_pairs(*both, classes)
        if len(classes) <= MAX_DRAWN:
            page.figure(
                confusion_figure(*both, classes),
                f"{name}: test images by true class (rows) and found class "
                "(columns). Colours: share of the true class's images that "
                "were taken for another one, the same in both maps.",
                f"Confusions of {name}: {_in_words(pairs[:3])}",
            )
        elif pairs:
            page.table(
                pairs,
                _PAIRS,
                f"{textwrap.shorten(name, 80, placeholder=' …')}: what is "
                "confused most; all numbers are in report.json.",
            )
        else:
            page.paragraph(f"{name}: no image was taken for another class.")


def _in_words(pairs: Sequence[Mapping[str, Any]]) -> str:
    return (
        "; ".join(
            f"{x['true']} taken for {x['found']}: {x['full']} images by the "
            f"full network, {x['small']} by the small one"
            for x in pairs
        )
        or "none"
    )


def _add_settings(
    page: Page, results: Mapping[str, Any], importance: ChannelImportance
) -> None:
    page.heading("Settings")
    # In groups, so that a narrow page can break it; report.json has it whole.
    fingerprint = " ".join(textwrap.wrap(results["fingerprint"], 8))
    given = {k: v for k, v in results["settings"].items() if v is not None}
    sections.add_settings(
        page,
        {"fingerprint of the network": fingerprint, **given},
        "Of this report.",
    )
    if importance.config:
        sections.add_settings(
            page,
            importance.config,
            f"Of the dissection by {importance.method}.",
        )
    sections.add_settings(page, results["versions"], "Versions.")
