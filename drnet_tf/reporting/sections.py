"""Parts that several pages share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from drnet_tf.clustering import average_linkage
from drnet_tf.importance import ChannelImportance
from drnet_tf.masks import ChannelMask
from drnet_tf.reporting.figures import (
    class_similarity,
    iterate_histogram,
    kept_channels,
)
from drnet_tf.reporting.page import Blocks
from drnet_tf.reporting.tables import Column

# Where most classes are as alike as this, nothing can be seen.
_ALIKE = 0.98
_BEST = 0.25
_SETTINGS = (Column("name", "Setting"), Column("value", "Value"))
_CLUSTERS = (
    Column("number", "Cluster", align="left"),
    Column("classes", "Classes"),
    Column("similarity", "Mean IoU within", ".2f"),
)


def add_kept_channels(page: Blocks, masks: Mapping[str, ChannelMask]) -> None:
    """Adds the picture of what each sub-task keeps of every layer.

    Args:
      page: gets it.
      masks: by the name of the sub-task.
    """
    page.figure(
        kept_channels(masks),
        "Channels of every layer that each sub-task keeps (DRNet, figure 7).",
        "Kept channels of each layer for the sub-tasks "
        + "; ".join(f"{name}: {mask.kept}" for name, mask in masks.items()),
    )


def add_similarity(page: Blocks, importance: ChannelImportance) -> None:
    """Adds the picture of class similarities, and names their clusters."""
    similarity, which = shown_similarity(importance)
    apart = ~np.eye(len(similarity), dtype=bool)
    page.figure(
        class_similarity(similarity, importance.class_names),
        f"How much of their channels two classes share: {which} Classes stand "
        "in the order of the tree above, an average linkage of 1 − IoU: the "
        "lower two branches meet, the more alike.",
        f"Similarity of {len(similarity)} classes, between "
        f"{similarity[apart].min():.2f} and {similarity[apart].max():.2f}",
    )
    clusters = class_clusters(importance)
    if len(clusters) == 1:
        page.paragraph("No group of classes stands out from the others.")
        return
    page.table(
        clusters,
        _CLUSTERS,
        "Clusters of classes, where the tree is cut at the widest gap between "
        "its heights.",
    )


def shown_similarity(importance: ChannelImportance) -> tuple[np.ndarray, str]:
    """What is known of the classes' channels, where it tells classes apart.

    Returns:
      `(K, K)` intersection over union, and in words of what.
    """
    similarity = importance.similarity()
    apart = ~np.eye(len(similarity), dtype=bool)
    middle = float(np.median(similarity[apart]))
    if middle <= _ALIKE:
        return similarity, (
            "intersection over union of the channels with any importance "
            "(DRNet, equation 5 and figure 8)."
        )
    return importance.similarity(_BEST), (
        f"intersection over union of the {_BEST:.0%} of the channels that "
        "matter most to each. (Nearly all channels have some importance to "
        "every class: by DRNet's equation 5 most classes are alike to "
        f"{middle:.2f}.)"
    )


def class_clusters(importance: ChannelImportance) -> list[dict[str, Any]]:
    """Which classes share channels.

    Returns:
      Rows in the order of the tree, with "number", "classes" and "similarity",
      the mean IoU of two of them; None for a single class.

    Example:
      >>> importance = ChannelImportance(
      ...     {"conv": np.array([[1, 1, 0, 0], [0, 0, 1, 0], [1, 1, 1, 0]])},
      ...     ("cat", "cow", "dog"),
      ...     "by hand",
      ... )
      >>> [row["classes"] for row in class_clusters(importance)]
      [['cat', 'dog'], ['cow']]
    """
    similarity, _ = shown_similarity(importance)
    found = []
    for number, rows in enumerate(average_linkage(1 - similarity).clusters()):
        own = similarity[np.ix_(rows, rows)]
        apart = own[~np.eye(len(rows), dtype=bool)]
        found.append(
            {
                "number": number + 1,
                "classes": [importance.class_names[row] for row in rows],
                "similarity": float(apart.mean()) if apart.size else None,
            }
        )
    return found


def add_iterates(page: Blocks, importance: ChannelImportance) -> None:
    """Adds the picture of the updates that were kept, where a method tells."""
    found = importance.diagnostics
    if "iterate_histogram" not in found:
        return
    page.figure(
        iterate_histogram(found["iterate_histogram"], found["fallback_rate"]),
        "Number of updates of the gates that were kept for each dissected "
        f"image. Balance {found['balance']:g}; {found['zero_gates']:.0%} "
        "of the gates of an image are exactly zero.",
        "Histogram of the updates after which gates were kept",
    )


def add_settings(
    page: Blocks, settings: Mapping[str, Any], caption: str
) -> None:
    """Adds the table of settings by name."""
    rows = [{"name": k, "value": v} for k, v in settings.items()]
    page.table(rows, _SETTINGS, caption)
