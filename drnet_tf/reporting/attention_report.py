"""A study of what networks look at: its picture, its data, its table."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from drnet_tf.attention_study import (
    FULL,
    SUB,
    Attention,
    AttentionStudy,
    mean_figures,
    measure,
)
from drnet_tf.labeled_images import LabeledImages
from drnet_tf.masks import ChannelMask
from drnet_tf.reporting.attention_figure import (
    ShownClass,
    ShownImage,
    attention_sheet,
    describe_sheet,
)
from drnet_tf.reporting.tables import Column, markdown

_COLUMNS = (
    Column("network", "Network"),
    Column("accuracy", "Accuracy", ".1%"),
    Column("probability", "Probability of the class", ".3f"),
    Column("spread", "Spread of the map", ".3f"),
    Column("overlap", "Overlap with the full network's", ".3f"),
    Column("empty", "Images without a map", ".1%"),
)


@dataclasses.dataclass(frozen=True)
class AttentionReport:
    """What is told of a study.

    Attributes:
      picture: an SVG document, images of some sub-tasks.
      description: of the picture, for those who do not see it.
      rows: for each sub-task "classes", "channels" (the share kept), "images"
        and "networks", of `attention_study.measure`.
      means: over all sub-tasks, of `attention_study.mean_figures`.
    """

    picture: str
    description: str
    rows: list[dict[str, Any]]
    means: list[dict[str, Any]]

    @property
    def table(self) -> str:
        """The means as Markdown."""
        return markdown(self.means, _COLUMNS).rstrip()


def attention_report(
    study: AttentionStudy,
    images: LabeledImages,
    masks: Mapping[tuple[str, ...], ChannelMask],
    shown: Sequence[tuple[str, ...]],
    pixels_of: Callable[[np.ndarray], np.ndarray],
    *,
    images_shown: int,
) -> AttentionReport:
    """Measures all sub-tasks, and draws images of some.

    Args:
      study: of the network.
      images: those of the study. The first of each class are shown.
      masks: by sub-task.
      shown: sub-tasks among them whose images are drawn.
      pixels_of: images as the network expects them -> uint8.
      images_shown: of each class, 1 or more.
    """
    rows: list[dict[str, Any]] = []
    classes: list[ShownClass] = []
    for subtask, mask in masks.items():
        found = study.attentions(subtask, mask)
        own = images.of_classes(subtask)
        rows.append(
            {
                "classes": list(subtask),
                "channels": mask.kept_fraction,
                "images": len(own),
                "networks": measure(found),
            }
        )
        if subtask in shown:
            classes += _shown(subtask, own, found, pixels_of, images_shown)
    return AttentionReport(
        attention_sheet(classes),
        describe_sheet(classes),
        rows,
        mean_figures([row["networks"] for row in rows]),
    )


def _shown(
    subtask: tuple[str, ...],
    images: LabeledImages,
    found: Mapping[str, Attention],
    pixels_of: Callable[[np.ndarray], np.ndarray],
    count: int,
) -> list[ShownClass]:
    networks = [found[name] for name in (FULL, SUB)]
    classes = []
    for name in subtask:
        number = images.class_names.index(name)
        places = np.flatnonzero(images.labels == number)[:count]
        classes.append(
            ShownClass(
                ", ".join(subtask),
                name,
                tuple(
                    ShownImage(
                        pixels_of(images.images[place]),
                        (networks[0].maps[place], networks[1].maps[place]),
                        (
                            float(networks[0].probabilities[place]),
                            float(networks[1].probabilities[place]),
                        ),
                    )
                    for place in places.tolist()
                ),
            )
        )
    return classes
