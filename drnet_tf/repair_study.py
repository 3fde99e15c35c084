"""What repair gives back: sub-tasks at several sizes, selections, methods."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from drnet_tf.budgets import largest_mask_within
from drnet_tf.costs import CostModel
from drnet_tf.importance import ChannelImportance
from drnet_tf.labeled_images import LabeledImages
from drnet_tf.masks import ChannelMask
from drnet_tf.nested_masks import (
    NestedMasks,
    masks_by_layers,
    masks_by_threshold,
)
from drnet_tf.repair.redundancy import reconstruction_losses
from drnet_tf.subtask_trials import (
    BOTH,
    DISTILLED,
    LEAST_SQUARES,
    NORMS,
    SubtaskTrials,
)
from drnet_tf.width_masks import mask_of_widths

# Selections by the importance itself: one threshold, or widths by layer.
OWN, BY_LAYERS = "civ", "civ by layers"


@dataclasses.dataclass(frozen=True)
class StudySettings:
    """What is compared.

    Attributes:
      budgets: shares of the full network's parameters, counted as running.
      rule: how the classes of the importance are combined.
      repair_images: unlabelled training images of each class.
      by_layers: whether widths are also allocated by `masks_by_layers`.
      distil: whether one epoch of distillation is run, too.
      seed: of images and places.
    """

    budgets: tuple[float, ...]
    rule: str = "mean"
    repair_images: int = 200
    by_layers: bool = True
    distil: bool = False
    seed: int = 0


class RepairStudy:
    """Prunes and repairs one network for many sub-tasks.

    Args:
      model: the network that was dissected; it is not changed.
      importance: its CIVs.
      others: importances to compare with, by name: their masks have at every
        site the width that the CIVs' mask has.
      train: training images as the network expects them.
      test: test images, for the final figures only.
      settings: see there.
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
        """All but least squares are for the importance's own masks only."""
        if selection not in (OWN, BY_LAYERS):
            return (LEAST_SQUARES,)
        distilled = (DISTILLED, BOTH) if self._settings.distil else ()
        return LEAST_SQUARES, NORMS, *distilled

    def _families(
        self, classes: tuple[str, ...], unlabelled: np.ndarray
    ) -> dict[str, NestedMasks]:
        """The sub-task's masks of all sizes, by the importance's selections."""
        rule, count = self._settings.rule, len(classes)
        found = {OWN: masks_by_threshold(self._importance, classes, rule=rule)}
        if self._settings.by_layers:
            losses = reconstruction_losses(
                self._model,
                unlabelled,
                self._importance,
                classes,
                rule=rule,
                seed=self._settings.seed,
                progress=False,
            )
            found[BY_LAYERS] = masks_by_layers(
                self._importance,
                classes,
                losses,
                lambda mask: self._costs.masked(mask, count).parameters,
                rule=rule,
            )
        return found

    def _masks(
        self, families: Mapping[str, NestedMasks], budget: float
    ) -> dict[str, ChannelMask]:
        """Masks within a budget, and others of the widths of the first."""
        classes = families[OWN].classes
        full = self._costs.full().parameters
        found = {
            name: largest_mask_within(
                masks,
                lambda mask: self._costs.masked(mask, len(classes)).parameters,
                budget * full,
            )
            for name, masks in families.items()
        }
        widths, rule = found[OWN].widths, self._settings.rule
        for name, other in self._others.items():
            found[name] = mask_of_widths(other, classes, widths, rule)
        return found
