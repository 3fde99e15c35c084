"""Methods of dissection on one network, at equal costs, for many sub-tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from drnet_tf.budgets import largest_mask_within
from drnet_tf.costs import CostModel
from drnet_tf.evaluation import subtask_accuracy
from drnet_tf.importance import ChannelImportance
from drnet_tf.labeled_images import LabeledImages
from drnet_tf.masked_network import MaskedNetwork
from drnet_tf.masks import ChannelMask
from drnet_tf.nested_masks import masks_by_rank
from drnet_tf.subtask_trials import LEAST_SQUARES, NORMS, SubtaskTrials


class MethodStudy:
    """Compares the masks of several importances of one network.

    Of every importance the channels with the highest scores stay, over all
    sites, as many as the budget of MACs allows: see
    `nested_masks.masks_by_rank`, the same for all.

    Args:
      model: the network; it is not changed.
      importances: by the name of the method, of the same classes and sites.
      budgets: shares of the full network's MACs, counted as running.
    """

    def __init__(
        self,
        model: keras.Model,
        importances: Mapping[str, ChannelImportance],
        budgets: Sequence[float],
    ) -> None:
        self._model, self._importances = model, importances
        self._budgets, self._costs = tuple(budgets), CostModel(model)
        self._masked = MaskedNetwork(model)

    def rules(
        self,
        method: str,
        train: LabeledImages,
        subtasks: Sequence[tuple[str, ...]],
        rules: Sequence[str],
    ) -> dict[str, float]:
        """How well each rule combines the classes of a method.

        Args:
          method: one of the names.
          train: training images, as the network expects them.
          subtasks: over which means are taken.
          rules: of `rules.subtask_scores`.

        Returns:
          By rule: the mean accuracy of hard masks under the masked softmax,
          over sub-tasks and budgets; the best rule first.
        """
        importance = self._importances[method]
        means = {
            rule: float(
                np.mean(
                    [
                        accuracy
                        for classes in subtasks
                        for accuracy in self._masked_accuracies(
                            train, importance, classes, rule
                        )
                    ]
                )
            )
            for rule in rules
        }
        best = sorted(rules, key=lambda rule: means[rule], reverse=True)
        return {rule: means[rule] for rule in best}

    def _masked_accuracies(
        self,
        data: LabeledImages,
        importance: ChannelImportance,
        classes: tuple[str, ...],
        rule: str,
    ) -> Iterator[float]:
        rows = importance.class_rows(classes)
        own = np.isin(data.labels, rows)
        for mask in self._masks(importance, classes, rule):
            outputs = self._masked(data.images[own], mask)
            yield subtask_accuracy(outputs, data.labels[own], rows)

    def row(
        self,
        trials: SubtaskTrials,
        classes: tuple[str, ...],
        rules: Mapping[str, str],
    ) -> dict[str, Any]:
        """Accuracies of one sub-task by every method at every budget.

        Args:
          trials: prunes, repairs and evaluates.
          classes: the sub-task.
          rules: by method.

        Returns:
          "classes", "full_accuracy" and "points": for each "budget" by
          "selections", the methods, what `SubtaskTrials.run` gives.
        """
        rows = next(iter(self._importances.values())).class_rows(classes)
        masks = {
            name: list(self._masks(importance, classes, rules[name]))
            for name, importance in self._importances.items()
        }
        points = []
        # Budget by budget: all networks at once may not fit into memory.
        for number, budget in enumerate(self._budgets):
            tried = trials.run(
                classes,
                rows,
                [own[number] for own in masks.values()],
                [(LEAST_SQUARES, NORMS)] * len(masks),
            )
            points.append(
                {
                    "budget": budget,
                    "selections": dict(zip(masks, tried, strict=True)),
                }
            )
        return {
            "classes": list(classes),
            "full_accuracy": trials.full_accuracy(rows),
            "points": points,
        }

    def _masks(
        self,
        importance: ChannelImportance,
        classes: Sequence[str],
        rule: str,
    ) -> Iterator[ChannelMask]:
        masks = masks_by_rank(importance, classes, rule=rule)
        full = self._costs.full().macs
        for budget in self._budgets:
            yield largest_mask_within(
                masks,
                lambda mask: self._costs.masked(mask, len(classes)).macs,
                budget * full,
            )
