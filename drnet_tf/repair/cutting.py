"""Cuts a sub-task's network and repairs it, as one step."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from drnet_tf.masks import ChannelMask
from drnet_tf.pruning import PrunedModel, prune
from drnet_tf.repair.choice import NONE, repair_best
from drnet_tf.repair.repair import METHODS, repair

BEST = "best"
# Sub-tasks differ from all classes, and users' images from those dissected, but
# not by as much as another preprocessing does.
_MAX_SHIFT, _MAX_RATIO = 2.0, 4.0


@dataclasses.dataclass(frozen=True, eq=False)
class Repair:
    """How networks are repaired once they are cut.

    Attributes:
      method: "none", one of `repair`'s, or "best": what does best on images
        that are held back.
      images: unlabelled, of the sub-task; None without repair.
    """

    method: str = NONE
    images: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.method not in (NONE, *METHODS, BEST):
            raise ValueError(
                f"repair: unknown method {self.method!r}, expected one of "
                f"{', '.join((NONE, *METHODS, BEST))}."
            )
        if self.method != NONE and self.images is None:
            raise ValueError(
                "images: got none for the repair, and the importance holds "
                "none; pass images=, unlabelled ones of the classes wanted, or "
                "dissect with keep_images=100."
            )

    def cut(
        self,
        model: keras.Model,
        mask: ChannelMask,
        classes: Sequence[str],
        class_names: Sequence[str],
        **options: Any,
    ) -> PrunedModel:
        """The pruned network of a mask and classes, repaired.

        Args:
          model, mask, classes, class_names: as for `prune`.
          **options: as for `repair`.
        """
        pruned = prune(model, mask, classes=classes, class_names=class_names)
        if self.images is None:
            return pruned
        if self.method == BEST:
            return repair_best(pruned, model, self.images, **options)
        return repair(pruned, model, self.images, self.method, **options)


def check_scale(
    images: np.ndarray | None, pixels: Mapping[str, float] | None
) -> None:
    """Refuses images that were not preprocessed as those dissected.

    Args:
      images: those given; None: none.
      pixels: "mean" and "std" of those dissected; None: not known.

    Raises:
      ValueError: mean or standard deviation are far from it.
    """
    if images is None or not pixels or not pixels["std"] > 0:
        return
    mean, std = float(np.mean(images)), float(np.std(images))
    shift = abs(mean - pixels["mean"]) / pixels["std"]
    ratio = std / pixels["std"]
    if shift > _MAX_SHIFT or not 1 / _MAX_RATIO < ratio < _MAX_RATIO:
        raise ValueError(
            f"images: their values have mean {mean:.3g} and standard "
            f"deviation {std:.3g}, those that were dissected "
            f"{pixels['mean']:.3g} and {pixels['std']:.3g}; preprocess "
            "them in the same way."
        )
