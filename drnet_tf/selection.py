"""Which channels a sub-task keeps, by exactly one criterion."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from drnet_tf.budgets import (
    check_max_drop,
    largest_mask_within,
    smallest_mask_within_drop,
)
from drnet_tf.costs import CostModel
from drnet_tf.criteria import Criterion
from drnet_tf.deployment import file_bytes, file_milliseconds
from drnet_tf.evaluation import evaluate
from drnet_tf.importance import ChannelImportance
from drnet_tf.mask_families import mask_family
from drnet_tf.masks import ChannelMask, build_mask
from drnet_tf.nested_masks import NestedMasks
from drnet_tf.progress import DelayedBar
from drnet_tf.pruning import prune
from drnet_tf.repair.cutting import Repair
from drnet_tf.rules import check_rule

# What is saved on the way to a limit of something else.
_SAVED = {"max_macs": "macs", "max_milliseconds": "macs"}


class MaskSelection:
    """Finds masks of one dissected network.

    Args:
      model: the network; it is not changed.
      importance: its importances.
    """

    def __init__(
        self, model: keras.Model, importance: ChannelImportance
    ) -> None:
        self._model, self._importance = model, importance
        self.costs = CostModel(model)
        self._families: dict[Any, tuple[np.ndarray, NestedMasks]] = {}

    def find(
        self,
        classes: Sequence[str],
        criterion: Criterion,
        cutter: Repair,
        images: np.ndarray | None,
        validation_data: Any,
    ) -> tuple[ChannelMask, dict[str, float]]:
        """The mask of a sub-task, and what was measured on the way to it.

        Args:
          classes: the sub-task.
          criterion: what is asked for.
          cutter: repairs the networks that a search for a drop tries.
          images: unlabelled, for the allocation.
          validation_data: with labels, for a drop.
        """
        _check_validation_data(criterion.name, validation_data)
        check_rule(criterion.rule, classes)
        if criterion.name == "threshold":
            return build_mask(
                self._importance,
                classes,
                criterion.value,
                rule=criterion.rule,
                round_to=criterion.round_to,
            ), {}
        if criterion.name == "max_drop":
            check_max_drop(criterion.value)  # before the long work
        saved = _SAVED.get(criterion.name, "parameters")
        if criterion.name == "max_drop":
            masks = self._masks(classes, criterion, images, saved)
            return self._within_drop(
                masks, criterion.value, cutter, validation_data
            )
        if criterion.name in ("max_bytes", "max_milliseconds"):
            return self._within_file(classes, criterion, images, saved)
        limit = criterion.limit(self._full(saved))
        masks = self._masks(classes, criterion, images, saved)
        return largest_mask_within(
            masks, lambda mask: self._cost(mask, len(classes), saved), limit
        ), {}

    def _within_file(
        self,
        classes: Sequence[str],
        criterion: Criterion,
        images: np.ndarray | None,
        saved: str,
    ) -> tuple[ChannelMask, dict[str, float]]:
        """The largest network whose LiteRT file is small, or fast, enough."""
        names, what = self._importance.class_names, criterion.name
        measure = file_bytes if what == "max_bytes" else file_milliseconds
        limit: Any = criterion.value
        if what == "max_bytes" and not isinstance(limit, numbers.Integral):
            limit = criterion.limit(file_bytes(self._model, names))
        measured: dict[int, float] = {}
        bar = DelayedBar(None, "file")

        def cost(mask: ChannelMask) -> float:
            small = prune(self._model, mask, classes=classes, class_names=names)
            measured[mask.kept] = measure(small.model, classes)
            bar.update(len(measured))
            return measured[mask.kept]

        masks = self._masks(classes, criterion, images, saved)
        mask = largest_mask_within(masks, cost, limit)
        bar.close()
        return mask, {what.removeprefix("max_"): measured[mask.kept]}

    def _masks(
        self,
        classes: Sequence[str],
        criterion: Criterion,
        images: np.ndarray | None,
        of: str,
    ) -> NestedMasks:
        # Any budget of the same sub-task is a step on the same way.
        key = (
            tuple(classes),
            criterion.allocation,
            criterion.rule,
            criterion.round_to,
            of,
        )
        known = self._families.get(key)
        if known and images is not None and np.array_equal(known[0], images):
            return known[1]
        masks = mask_family(
            criterion.allocation,
            self._model,
            self._importance,
            classes,
            lambda mask: self._cost(mask, len(classes), of),
            images,
            rule=criterion.rule,
            round_to=criterion.round_to,
        )
        if images is not None:
            self._families[key] = images, masks
        return masks

    def _full(self, of: str) -> int:
        full = self.costs.full()
        # Moving statistics are no part of what masks cost, either.
        return full.macs if of == "macs" else full.learnable_parameters

    def _cost(self, mask: ChannelMask, classes: int, of: str) -> int:
        return getattr(self.costs.masked(mask, classes), of)

    def _within_drop(
        self,
        masks: NestedMasks,
        max_drop: float,
        cutter: Repair,
        validation_data: Any,
    ) -> tuple[ChannelMask, dict[str, float]]:
        names, classes = self._importance.class_names, masks.classes
        full = evaluate(
            self._model, validation_data, classes, names, output_classes=names
        ).accuracy
        accuracies: dict[int, float] = {}
        bar = DelayedBar(None, "sub-network")

        def accuracy(mask: ChannelMask) -> float:
            small = cutter.cut(
                self._model, mask, classes, names, progress=False
            )
            accuracies[mask.kept] = evaluate(
                small.model,
                validation_data,
                classes,
                names,
                output_classes=classes,
                progress=False,
            ).accuracy
            bar.update(len(accuracies))
            return accuracies[mask.kept]

        mask = smallest_mask_within_drop(masks, accuracy, full, max_drop)
        bar.close()
        return mask, {
            "full_accuracy": full,
            "accuracy": accuracies[mask.kept],
        }


def _check_validation_data(criterion: str, validation_data: Any) -> None:
    if (criterion == "max_drop") == (validation_data is None):
        got = "without" if validation_data is None else "with"
        raise ValueError(
            f"DRNet.subtask: got {criterion} {got} validation_data, expected "
            "it with max_drop and with nothing else."
        )
