"""All masks of a sub-task, from large to small: the ways to choose channels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from drnet_tf.criteria import ALLOCATIONS
from drnet_tf.importance import ChannelImportance
from drnet_tf.masks import ChannelMask
from drnet_tf.nested_masks import (
    NestedMasks,
    masks_by_layers,
    masks_by_threshold,
)
from drnet_tf.repair.elimination import reconstruction_importance
from drnet_tf.repair.redundancy import reconstruction_losses


def mask_family(
    allocation: str,
    model: keras.Model,
    importance: ChannelImportance,
    classes: Sequence[str],
    cost: Callable[[ChannelMask], float],
    images: np.ndarray | None,
    *,
    rule: str = "mean",
    round_to: int = 1,
    seed: int = 0,
    progress: bool = True,
) -> NestedMasks:
    """The masks of a sub-task by one of `criteria.ALLOCATIONS`.

    Args:
      allocation: "threshold": one on the importance for all sites, as in the
        paper; "layers": the importance orders the channels of a site, what its
        readers lose and what is saved says how many it gets; "reconstruction":
        what its readers lose orders them, too.
      model: the full network; it is not changed.
      importance: of the network.
      classes: the sub-task.
      cost: of a mask: what is to be saved. Not looked at by "threshold".
      images: unlabelled, of the classes; not looked at by "threshold".
      rule: how classes are combined.
      round_to: every site keeps a multiple of this many channels.
      seed: of the places at which layers are read.
      progress: whether to show a bar if it takes long.

    Raises:
      ValueError: another allocation, or no images where they are needed.
    """
    if allocation not in ALLOCATIONS:
        raise ValueError(
            f"allocation: got {allocation!r}, expected one of "
            f"{', '.join(ALLOCATIONS)}."
        )
    if allocation == "threshold":
        return masks_by_threshold(
            importance, classes, rule=rule, round_to=round_to
        )
    if images is None:
        raise ValueError(
            f"images: got none for the allocation by {allocation}, and the "
            "importance holds none; pass images=, unlabelled ones of the "
            "classes wanted, or dissect with keep_images=100."
        )
    settings: dict[str, Any] = {"seed": seed, "progress": progress}
    if allocation == "layers":
        losses = reconstruction_losses(
            model, images, importance, classes, rule=rule, **settings
        )
    else:
        importance, losses = reconstruction_importance(
            model, images, importance, classes, rule=rule, **settings
        )
        rule = "mean"  # all of its rows are the same
    return masks_by_layers(
        importance, classes, losses, cost, rule=rule, round_to=round_to
    )
