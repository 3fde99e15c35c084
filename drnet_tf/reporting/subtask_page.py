"""The page that shows the small networks of some sub-tasks, and their proof."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from drnet_tf.importance import ChannelImportance
from drnet_tf.masks import ChannelMask
from drnet_tf.reporting import sections
from drnet_tf.reporting.figures import CurveSeries, accuracy_curve
from drnet_tf.reporting.page import Blocks, Page
from drnet_tf.reporting.tables import Column, text

SUBTASKS = (
    Column("classes", "Sub-task"),
    Column("full_accuracy", "Full", ".2%"),
    Column("accuracy", "Small", ".2%"),
    Column("channels", "Channels", ".1%"),
    Column("parameters", "Parameters", ".1%"),
    Column("macs", "MACs", ".1%"),
    Column("tflite_bytes", ".tflite", ",", unit="bytes"),
    Column("milliseconds", "LiteRT", ".3f", unit="ms"),
)
_SIZES = (
    Column("classes", "Network of"),
    Column("small_parameters", "Parameters", ","),
    Column("small_macs", "MACs", ","),
)
_PROOF = (
    Column("classes", "Sub-task"),
    Column("masked_difference", "Small and masked network", ".1e"),
    Column("tflite_difference", ".tflite and small network", ".1e"),
    Column("images", "Test images", ","),
    Column("drop", "Drop", "+.2f", unit="points"),
)
_FULL = "full network"


def overview(results: Mapping[str, Any]) -> str:
    """The table of sub-tasks and the proof, for a terminal.

    Args:
      results: see `subtask_page`.
    """
    masked, converted = (
        max(row[f"{name}_difference"] for row in results["rows"])
        for name in ("masked", "tflite")
    )
    return (
        f"{text(_with_full(results), SUBTASKS)}\n"
        f"Greatest difference of outputs, as a share of their scale: "
        f"{masked:.1e} between a small and the masked full network,\n"
        f"{converted:.1e} between a .tflite file and its Keras network."
    )


def subtask_page(
    results: Mapping[str, Any],
    importance: ChannelImportance,
    masks: Mapping[str, ChannelMask],
    curves: Sequence[CurveSeries],
    commands: str,
) -> Page:
    """Builds the page of a dissected network and its small networks.

    Args:
      results: "network", its name; "data", where images came from; "settings"
        by name; "max_drop", in percentage points; "full", the full network's
        figures; "rows", those of each sub-task, by the keys of
        `comparison.Comparison.as_dict` and "tflite_bytes", "milliseconds" and
        "tflite_difference"; "unreached", the reason of each sub-task without a
        small network; "seconds" of the dissection, None if it was made
        earlier.
      importance: the CIVs.
      masks: of each sub-task, by its name.
      curves: accuracy on test images against the share of kept channels.
      commands: what to run for a network of one's own.
    """
    page = Page(f"Small networks out of '{results['network']}'")
    page.paragraph(_summary(results))
    page.table(
        _with_full(results),
        SUBTASKS,
        "Every sub-task's small network beside the full one. Accuracy on test "
        "images by the softmax over the sub-task's classes alone; channels, "
        "parameters and MACs that run, as shares of the full network's, "
        "counted as DRNet does; LiteRT: median of one image on one thread of "
        "this machine, all files timed in turn.",
    )
    for reason in results["unreached"]:
        page.paragraph(f"Without a small network: {reason}")
    _add_proof(page, results)
    _add_pictures(page, importance, masks, curves)
    page.heading("Your own network").paragraph(
        "The same job on a Keras classifier of yours (Functional or "
        "Sequential), and its steps one by one:"
    )
    page.code(commands)
    settings = Blocks()
    sections.add_settings(settings, results["settings"], "As given.")
    page.details("Settings of this run", settings)
    return page


def _with_full(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    nothing = dict.fromkeys(column.key for column in SUBTASKS)
    everything = {
        "classes": _FULL,
        "channels": 1.0,
        "parameters": 1.0,
        "macs": 1.0,
    }
    return [{**nothing, **everything, **results["full"]}, *results["rows"]]


def _summary(results: Mapping[str, Any]) -> str:
    rows = results["rows"]
    least = min(rows, key=lambda row: row["parameters"])
    seconds = results["seconds"]
    took = "" if seconds is None else f"in {seconds:.0f} seconds "
    return (
        f"The network was dissected once, {took}on {results['data']}; each "
        "small network below was then cut out of it at once, without any "
        "training. Thresholds were chosen on training images, as the fewest "
        "channels within "
        f"{results['max_drop']:.1f} percentage points of the full network's "
        "accuracy there; all accuracies below are of test images, which chose "
        "nothing. The smallest, for "
        f"{', '.join(least['classes'])}, runs {least['parameters']:.0%} of the "
        f"parameters and is right on {least['accuracy']:.2%} of its test "
        f"images (full network: {least['full_accuracy']:.2%})."
    )


def _add_proof(page: Page, results: Mapping[str, Any]) -> None:
    page.heading("That they are right")
    page.paragraph(
        "A small network must give the outputs of the full one in which the "
        "masked channels are made zero, and its .tflite file those of the "
        "small Keras network. Both were measured; differences are shares of "
        "the greatest output, and float32 rounds at about 1e-7."
    )
    page.table(
        results["rows"],
        _PROOF,
        "Greatest differences of outputs, and the drop of accuracy from the "
        "full network on test images (negative: the small one is better).",
    )
    page.table(
        [
            {
                "classes": _FULL,
                "small_parameters": results["full"]["parameters_count"],
                "small_macs": results["full"]["macs_count"],
                **results["full"],
            },
            *results["rows"],
        ],
        _SIZES,
        "The Keras networks themselves, all weights counted.",
    )


def _add_pictures(
    page: Page,
    importance: ChannelImportance,
    masks: Mapping[str, ChannelMask],
    curves: Sequence[CurveSeries],
) -> None:
    page.heading("What was kept")
    sections.add_kept_channels(page, masks)
    page.figure(
        accuracy_curve(curves, "Kept channels"),
        "Accuracy on test images against the share of channels kept, over "
        "thresholds. Hard masks without repair: nothing is trained again.",
        "Accuracy against kept channels for "
        + "; ".join(line.name for line in curves),
    )
    page.heading("What the dissection found")
    sections.add_similarity(page, importance)
    sections.add_iterates(page, importance)
