"""What repair gives back: sub-tasks at several sizes, selections, methods."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from drnet_tf.budgets import largest_mask_within
from drnet_tf.costs import CostModel
from drnet_tf.evaluation import subtask_accuracy
from drnet_tf.finetuning.distillation import finetune
from drnet_tf.graph import read_graph
from drnet_tf.graph_building import run_untraced
from drnet_tf.importance import ChannelImportance
from drnet_tf.labeled_images import LabeledImages
from drnet_tf.masks import ChannelMask
from drnet_tf.nested_masks import (
    NestedMasks,
    masks_by_layers,
    masks_by_threshold,
)
from drnet_tf.pruning import PrunedModel, PruneReport, prune
from drnet_tf.repair.redundancy import reconstruction_losses
from drnet_tf.repair.repair import repair_all
from drnet_tf.width_masks import mask_of_widths

# Selections by the importance itself: one threshold, or widths by layer.
OWN, BY_LAYERS = "civ", "civ by layers"
HARD, NORMS, LEAST_SQUARES = "hard", "norms", "least_squares"
DISTILLED, BOTH = "distilled", "least_squares, distilled"
_BATCH = 250  # images run at a time


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
        self._train, self._test = train, test
        self._costs = CostModel(model)
        self._has_norms = any(
            isinstance(call.operation, keras.layers.BatchNormalization)
            for call in read_graph(model).calls
        )
        self._full = _outputs(model, test.images)

    def row(self, classes: tuple[str, ...]) -> dict[str, Any]:
        """Accuracies of one sub-task at every budget.

        Returns:
          "classes", "full_accuracy" and "points": for each "budget" by
          "selections" the shares of "parameters" and "macs" of the pruned
          network and, by method, its "accuracy" under the masked softmax.
        """
        rows = self._importance.class_rows(classes)
        own = np.isin(self._test.labels, rows)
        images, labels = self._test.images[own], self._test.labels[own]
        train = self._train.of_classes(classes)
        unlabelled = train.take(
            self._settings.repair_images, seed=self._settings.seed
        ).images
        families = self._families(classes, unlabelled)
        points: list[dict[str, Any]] = []
        networks, keys = [], []
        for place, budget in enumerate(self._settings.budgets):
            for name, mask in self._masks(families, budget).items():
                networks.append(prune(self._model, mask, classes=rows))
                keys.append((place, name))
            points.append({"budget": budget, "selections": {}})
        names = [name for _, name in keys]
        found = self._improved(networks, names, train.images, unlabelled)
        columns = np.array([rows.index(label) for label in labels.tolist()])
        for (place, name), methods in zip(keys, found, strict=True):
            points[place]["selections"][name] = {
                **_shares(methods[HARD].report),
                "accuracy": {
                    method: float(
                        (_outputs(x.model, images).argmax(-1) == columns).mean()
                    )
                    for method, x in methods.items()
                },
            }
        full = subtask_accuracy(self._full, self._test.labels, rows)
        return {
            "classes": list(classes),
            "full_accuracy": full,
            "points": points,
        }

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

    def _improved(
        self,
        networks: Sequence[PrunedModel],
        selections: Sequence[str],
        train: np.ndarray,
        unlabelled: np.ndarray,
    ) -> list[dict[str, PrunedModel]]:
        """Each network by every method; all but two for the CIVs' only."""
        settings, own = self._settings, (OWN, BY_LAYERS)
        wanted = [
            (number, method)
            for number, selection in enumerate(selections)
            for method in (LEAST_SQUARES, NORMS)
            if method == LEAST_SQUARES or (selection in own and self._has_norms)
        ]
        found = [{HARD: network} for network in networks]
        with warnings.catch_warnings():
            # Late layers of small images have few places: known, and held.
            warnings.simplefilter("ignore", UserWarning)
            repaired = repair_all(
                [(networks[number], method) for number, method in wanted],
                self._model,
                unlabelled,
                seed=settings.seed,
                progress=False,
            )
        for (number, method), network in zip(wanted, repaired, strict=True):
            found[number][method] = network
        for methods, selection in zip(found, selections, strict=True):
            if settings.distil and selection in own:
                for start, name in ((HARD, DISTILLED), (LEAST_SQUARES, BOTH)):
                    methods[name] = finetune(
                        methods[start],
                        self._model,
                        train,
                        seed=settings.seed,
                        progress=False,
                    )
        return found


def _shares(report: PruneReport) -> dict[str, float]:
    macs = report.macs_after or 0, report.macs_before or 1
    return {
        "parameters": report.parameters_after / report.parameters_before,
        "macs": macs[0] / macs[1],
    }


def summarise(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Drops over all sub-tasks, by size, budget, selection and method.

    Args:
      rows: of `RepairStudy.row`.

    Returns:
      Rows with "classes" (their number), "budget", "selection", "method",
      "subtasks", the mean shares of "parameters" and "macs", the mean
      "full_accuracy" and "accuracy", and of the drops, fractions, "mean",
      "worst" and "standard_error" (of the mean over the sub-tasks).
    """
    groups: dict[tuple[int, float, str, str], list[tuple[float, ...]]] = {}
    for row in rows:
        for point in row["points"]:
            for selection, network in point["selections"].items():
                for method, accuracy in network["accuracy"].items():
                    key = (
                        len(row["classes"]),
                        point["budget"],
                        selection,
                        method,
                    )
                    groups.setdefault(key, []).append(
                        (
                            network["parameters"],
                            network["macs"],
                            row["full_accuracy"],
                            accuracy,
                        )
                    )
    return [
        _summary(key, np.array(values))
        for key, values in sorted(groups.items(), key=lambda x: x[0][0])
    ]


def _summary(
    key: tuple[int, float, str, str], values: np.ndarray
) -> dict[str, Any]:
    classes, budget, selection, method = key
    parameters, macs, full, accuracy = values.mean(0).tolist()
    drops = values[:, 2] - values[:, 3]
    spread = drops.std(ddof=1) if len(drops) > 1 else 0.0
    return {
        "classes": classes,
        "budget": budget,
        "selection": selection,
        "method": method,
        "subtasks": len(drops),
        "parameters": parameters,
        "macs": macs,
        "full_accuracy": full,
        "accuracy": accuracy,
        "mean": float(drops.mean()),
        "worst": float(drops.max()),
        "standard_error": float(spread / np.sqrt(len(drops))),
    }


def _outputs(model: keras.Model, images: np.ndarray) -> np.ndarray:
    return run_untraced(model, images, _BATCH)
