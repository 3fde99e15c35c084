"""The page that tells what the filters of one site are for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from drnet_tf.filter_interpretation import ClassReductions
from drnet_tf.reporting.filter_figure import FilterReading, describe_filters
from drnet_tf.reporting.page import Page
from drnet_tf.reporting.tables import Column


def filter_page(
    drawing: str,
    readings: Sequence[FilterReading],
    reductions: ClassReductions,
    site: str,
    images: int,
) -> Page:
    """Builds the page.

    Args:
      drawing: of `filter_sheet`.
      readings: the filters that it shows.
      reductions: of all filters of the site.
      site: its name.
      images: from which patches were taken.
    """
    page = Page(f"Filters of {site}")
    page.paragraph(
        "A filter is important for a class that loses accuracy without it; all "
        "other filters stay. Losses are in points of the class's accuracy; "
        "below 0, the class does better without the filter. Classes that lose "
        "the same stand in the order in which their cross-entropy rises."
    )
    page.paragraph(
        "Patches are the pixels that the filter can see where one of "
        f"{images:,} images excites it most, one patch of an image, strongest "
        "first."
    )
    page.figure(
        drawing,
        "Filters, the image patches that excite them most, and the classes "
        "that lose most and least accuracy without them, in points, with the "
        "rise of their cross-entropy in nats.",
        describe_filters(readings),
    )
    rows = _rows(readings, reductions)
    columns = [
        Column("filter", "Filter"),
        *(Column(name, name, ".1f") for name in reductions.class_names),
    ]
    page.table(rows, columns, "Loss of accuracy without a filter, in points.")
    return page


def as_dict(
    readings: Sequence[FilterReading], reductions: ClassReductions
) -> dict[str, Any]:
    """The numbers, for JSON."""
    return {
        "class_names": reductions.class_names,
        "full_accuracy": reductions.full,
        "filters": [
            {
                "filter": x.channel,
                "accuracy_reduction": reductions.accuracy[:, x.channel],
                "cross_entropy_rise": reductions.cross_entropy[:, x.channel],
                "patches": [
                    {
                        "image": patch.image,
                        "activation": patch.activation,
                        "box": [
                            patch.box.top,
                            patch.box.left,
                            patch.box.bottom,
                            patch.box.right,
                        ],
                    }
                    for patch in x.patches
                ],
            }
            for x in readings
        ],
    }


def _rows(
    readings: Sequence[FilterReading], reductions: ClassReductions
) -> list[Mapping[str, Any]]:
    points = 100 * np.round(reductions.accuracy, 6) + 0.0  # no "-0.0"
    return [
        {
            "filter": x.channel,
            **dict(
                zip(
                    reductions.class_names,
                    points[:, x.channel].tolist(),
                    strict=True,
                )
            ),
        }
        for x in readings
    ]
