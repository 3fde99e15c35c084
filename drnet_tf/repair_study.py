"""What repair gives back: sub-tasks at several sizes, selections, methods."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from drnet_tf.budgets import largest_mask_within
from drnet_tf.costs import CostModel
from drnet_tf.criteria import ALLOCATIONS
from drnet_tf.importance import ChannelImportance
from drnet_tf.labeled_images import LabeledImages
from drnet_tf.mask_families import mask_family
from drnet_tf.masks import ChannelMask
from drnet_tf.nested_masks import NestedMasks
from drnet_tf.subtask_trials import (
    BOTH,
    DISTILLED,
    LEAST_SQUARES,
    NORMS,
    SubtaskTrials,
)
from drnet_tf.width_masks import mask_of_widths

# What selections are called, by their allocation.
SELECTIONS = {
    "threshold": "civ",
    "layers": "civ by layers",
    "reconstruction": "reconstruction",
}
OWN = SELECTIONS["threshold"]


@dataclasses.dataclass(frozen=True)
class StudySettings:
    """What is compared.

    Attributes:
      budgets: shares of the full network's parameters, counted as running.
      rule: how the classes of the importance are combined.
      repair_images: unlabelled training images of each class.
      allocations: how channels are chosen, some of `criteria.ALLOCATIONS`.
      distil: whether one epoch of distillation is run, too.
      seed: of images and places.
    """

    budgets: tuple[float, ...]
    rule: str = "mean"
    repair_images: int = 200
    allocations: tuple[str, ...] = ALLOCATIONS
    distil: bool = False
    seed: int = 0


class RepairStudy:
    """Prunes and repairs one network for many sub-tasks.

    Args:
      model: the network that was dissected; it is not changed.
      importance: its CIVs.
      others: importances to compare with, by name: their masks have at every
        site the width that the CIVs' mask by one threshold has.
      train: training images as the network expects them.
      test: test images, for the final figures only.
      settings: see there.

    Raises:
      ValueError: there are `others`, but no allocation by one threshold.
    """

    def __init__(
        self,
        model: keras.Model,
        importance: ChannelImportance,
        others: Mapping[str, ChannelImportance],
        train: LabeledImages,
        test: LabeledImages,
        settings: StudySettings,
    ) -> None:
        if others and "threshold" not in settings.allocations:
            raise ValueError(
                f"allocations: got {', '.join(settings.allocations)}, expected "
                "threshold among them: other importances are compared at its "
                "widths."
            )
        self._model, self._importance = model, importance
        self._others, self._settings = others, settings
        self._costs = CostModel(model)
        self._trials = SubtaskTrials(
            model,
            train,
            test,
            repair_images=settings.repair_images,
            seed=settings.seed,
        )

    def row(self, classes: tuple[str, ...]) -> dict[str, Any]:
        """Accuracies of one sub-task at every budget.

        Returns:
          "classes", "full_accuracy" and "points": for each "budget" by
          "selections" what `SubtaskTrials.run` gives.
        """
        rows = self._importance.class_rows(classes)
        families = self._families(classes, self._trials.unlabelled(classes))
        masks = {
            (budget, name): mask
            for budget in self._settings.budgets
            for name, mask in self._masks(families, budget).items()
        }
        tried = self._trials.run(
            classes,
            rows,
            list(masks.values()),
            [self._methods(selection) for _, selection in masks],
        )
        points: dict[float, dict[str, Any]] = {}
        for (budget, selection), found in zip(masks, tried, strict=True):
            points.setdefault(budget, {})[selection] = found
        return {
            "classes": list(classes),
            "full_accuracy": self._trials.full_accuracy(rows),
            "points": [
                {"budget": budget, "selections": found}
                for budget, found in points.items()
            ],
        }

    def _methods(self, selection: str) -> tuple[str, ...]:
        """All but least squares are for the allocations' masks only."""
        if selection not in SELECTIONS.values():
            return (LEAST_SQUARES,)
        distilled = (DISTILLED, BOTH) if self._settings.distil else ()
        return LEAST_SQUARES, NORMS, *distilled

    def _families(
        self, classes: tuple[str, ...], unlabelled: np.ndarray
    ) -> dict[str, NestedMasks]:
        """The sub-task's masks of all sizes, by selection."""
        return {
            SELECTIONS[allocation]: mask_family(
                allocation,
                self._model,
                self._importance,
                classes,
                lambda mask: self._costs.masked(mask, len(classes)).parameters,
                unlabelled,
                rule=self._settings.rule,
                seed=self._settings.seed,
                progress=False,
            )
            for allocation in self._settings.allocations
        }

    def _masks(
        self, families: Mapping[str, NestedMasks], budget: float
    ) -> dict[str, ChannelMask]:
        """Masks within a budget, and others of the widths of the first."""
        classes = next(iter(families.values())).classes
        full = self._costs.full().parameters
        found = {
            name: largest_mask_within(
                masks,
                lambda mask: self._costs.masked(mask, len(classes)).parameters,
                budget * full,
            )
            for name, masks in families.items()
        }
        rule = self._settings.rule
        for name, other in self._others.items():
            widths = found[OWN].widths
            found[name] = mask_of_widths(other, classes, widths, rule)
        return found
