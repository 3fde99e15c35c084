"""A network of many classes cut for a few: with their outputs alone, or all."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from drnet_tf.budgets import largest_mask_within
from drnet_tf.costs import CostModel
from drnet_tf.criteria import ALLOCATIONS
from drnet_tf.graph_building import run_untraced
from drnet_tf.importance import ChannelImportance
from drnet_tf.labeled_images import LabeledImages
from drnet_tf.mask_families import mask_family
from drnet_tf.masks import ChannelMask
from drnet_tf.nested_masks import NestedMasks
from drnet_tf.pruning import PrunedModel, prune
from drnet_tf.repair.repair import repair_all

_READ = 50  # images run at a time
_LEAST_SQUARES = "least_squares"
FIGURES = ("channels", "macs", "parameters", "full", "hard", "repaired")


class HeadStudy:
    """Prunes a network of K classes for some that were dissected.

    Args:
      model: the full network, K outputs; it is not changed.
      importance: of the classes that were dissected, by their names.
      rows: which output each of these classes is.
      train: training images, labels numbered in `importance.class_names`.
      test: test images, for the final figures only.
      allocations: how channels are chosen, some of `criteria.ALLOCATIONS`.
      rule: how classes are combined.
      seed: of images and places.
    """

    def __init__(
        self,
        model: keras.Model,
        importance: ChannelImportance,
        rows: Sequence[int],
        train: LabeledImages,
        test: LabeledImages,
        *,
        allocations: Sequence[str] = ALLOCATIONS,
        rule: str = "mean",
        seed: int = 0,
    ) -> None:
        self._model, self._importance = model, importance
        self._allocations = tuple(allocations)
        self._rows, self._rule, self._seed = list(rows), rule, seed
        self._train, self._test = train, test
        self._costs = CostModel(model)
        self._full = _outputs(model, test.images)

    def rows(
        self, classes: tuple[str, ...], budgets: Sequence[float]
    ) -> list[dict[str, Any]]:
        """Accuracies of one sub-task.

        Args:
          classes: dissected ones.
          budgets: shares of the full network's MACs that the network with all K
            outputs may have once it is cut.

        Returns:
          For each budget, selection (the allocation) and head ("own":
          the sub-task's outputs, cut out of the network of "all": all K) one
          row: the shares of "macs", "parameters" and "channels", and the
          accuracies "full", "hard" and "repaired": under the masked softmax, or
          as top-1 of all K.
        """
        outputs = [self._rows[x] for x in self._importance.class_rows(classes)]
        unlabelled = self._train.of_classes(classes).images
        choices = [
            (name, budget, self._within(masks, budget))
            for name, masks in self._families(classes, unlabelled).items()
            for budget in budgets
        ]
        networks = [prune(self._model, mask) for *_, mask in choices]
        repaired = self._repaired(networks, unlabelled)
        found = []
        for (name, budget, mask), hard, mended in zip(
            choices, networks, repaired, strict=True
        ):
            few = prune(self._model, mask, classes=outputs, dry_run=True)
            accuracies = self._accuracies(classes, outputs, hard, mended)
            for head, network in (("own", few), ("all", hard)):
                found.append(
                    {
                        "classes": list(classes),
                        "budget": budget,
                        "selection": name,
                        "head": head,
                        "channels": mask.kept_fraction,
                        **_shares(network),
                        **accuracies[head],
                    }
                )
        return found

    def _accuracies(
        self,
        classes: tuple[str, ...],
        outputs: Sequence[int],
        hard: PrunedModel,
        repaired: PrunedModel,
    ) -> dict[str, dict[str, float]]:
        """By head and by what was done: networks of K outputs serve both."""
        numbers = self._importance.class_rows(classes)
        own = np.isin(self._test.labels, numbers)
        images = self._test.images[own]
        labels = np.array([numbers.index(x) for x in self._test.labels[own]])
        scores = {
            "full": self._full[own],
            "hard": _outputs(hard.model, images),
            "repaired": _outputs(repaired.model, images),
        }
        return {
            "own": {
                key: float((x[:, outputs].argmax(-1) == labels).mean())
                for key, x in scores.items()
            },
            "all": {
                key: float((x.argmax(-1) == np.array(outputs)[labels]).mean())
                for key, x in scores.items()
            },
        }

    def _families(
        self, classes: tuple[str, ...], images: np.ndarray
    ) -> dict[str, NestedMasks]:
        return {
            allocation: mask_family(
                allocation,
                self._model,
                self._importance,
                classes,
                self._running,
                images,
                rule=self._rule,
                seed=self._seed,
                progress=False,
            )
            for allocation in self._allocations
        }

    def _within(self, masks: NestedMasks, budget: float) -> ChannelMask:
        """By what is really left: behind a depthwise convolution goes every
        channel that is silent on either side, many more than a mask runs less.
        """
        full = self._costs.full().macs
        return largest_mask_within(masks, self._left, budget * full)

    def _left(self, mask: ChannelMask) -> int:
        return prune(self._model, mask, dry_run=True).report.macs_after or 0

    def _running(self, mask: ChannelMask) -> int:
        return self._costs.masked(mask).macs

    def _repaired(
        self, networks: Sequence[PrunedModel], images: np.ndarray
    ) -> Sequence[PrunedModel]:
        with warnings.catch_warnings():
            # Late layers have few places: known, and held by the ridge.
            warnings.simplefilter("ignore", UserWarning)
            return repair_all(
                [(network, _LEAST_SQUARES) for network in networks],
                self._model,
                images,
                seed=self._seed,
                progress=False,
            )


def promotions(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What sub-tasks gain or lose, as in DRNet's Table 6.

    The promotion of a sub-task is the accuracy of its network minus that of the
    full one on the same images.

    Args:
      rows: of `HeadStudy.rows`, of any sub-tasks.

    Returns:
      By number of classes, head, selection and budget one row: "subtasks",
      their number, the means of the shares and accuracies, and of the
      "promotion" of the "hard" and the "repaired" networks "mean", "max" and
      "min", as "hard_mean" and so on.

    Example:
      >>> row = {"classes": ["a", "b"], "head": "all", "selection": "layers",
      ...        "budget": 0.5, "macs": 0.4, "parameters": 0.3,
      ...        "channels": 0.6, "full": 0.5, "hard": 0.75, "repaired": 1.0}
      >>> (found,) = promotions([row])
      >>> found["hard_mean"], found["repaired_max"]
      (0.25, 0.5)
    """
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        key = len(row["classes"]), row["head"], row["selection"], row["budget"]
        groups.setdefault(key, []).append(row)
    found = []
    for key, own in groups.items():
        group = dict(
            zip(("classes", "head", "selection", "budget"), key, strict=True)
        )
        group["subtasks"] = len(own)
        for name in FIGURES:
            group[name] = float(np.mean([row[name] for row in own]))
        for name in ("hard", "repaired"):
            gains = np.array([row[name] - row["full"] for row in own])
            group[f"{name}_mean"] = float(gains.mean())
            group[f"{name}_max"] = float(gains.max())
            group[f"{name}_min"] = float(gains.min())
        found.append(group)
    return found


def _shares(network: PrunedModel) -> dict[str, float]:
    report = network.report
    macs = report.macs_after or 0, report.macs_before or 1
    return {
        "macs": macs[0] / macs[1],
        "parameters": report.parameters_after / report.parameters_before,
    }


def _outputs(model: keras.Model, images: np.ndarray) -> np.ndarray:
    return run_untraced(model, images, _READ)
