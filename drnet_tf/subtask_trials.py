"""Networks cut from one, hard and repaired, tried on images of a sub-task."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from drnet_tf.evaluation import subtask_accuracy
from drnet_tf.finetuning import finetune_all
from drnet_tf.graph import read_graph
from drnet_tf.graph_building import run_untraced
from drnet_tf.labeled_images import LabeledImages
from drnet_tf.masks import ChannelMask
from drnet_tf.pruning import PrunedModel, PruneReport, prune
from drnet_tf.repair.repair import repair_all

HARD, NORMS, LEAST_SQUARES = "hard", "norms", "least_squares"
DISTILLED, BOTH = "distilled", "least_squares, distilled"
_BATCH = 250  # images run at a time


class SubtaskTrials:
    """Prunes, repairs and evaluates networks of the sub-tasks of one network.

    Args:
      model: the full network; it is not changed.
      train: training images as the network expects them; repairs use them
        without labels.
      test: test images, for the final figures only.
      repair_images: training images of each class that a repair uses.
      seed: of images and places.
    """

    def __init__(
        self,
        model: keras.Model,
        train: LabeledImages,
        test: LabeledImages,
        *,
        repair_images: int,
        seed: int = 0,
    ) -> None:
        self._model, self._train, self._test = model, train, test
        self._repair_images, self._seed = repair_images, seed
        self._full = run_untraced(model, test.images, _BATCH)
        self.has_norms = any(
            isinstance(call.operation, keras.layers.BatchNormalization)
            for call in read_graph(model).calls
        )

    def full_accuracy(self, rows: Sequence[int]) -> float:
        """The full network's, under the masked softmax, on the test images."""
        return subtask_accuracy(self._full, self._test.labels, rows)

    def unlabelled(self, classes: Sequence[str]) -> np.ndarray:
        """`(N, ...)`: the training images of a sub-task that a repair uses."""
        own = self._train.of_classes(classes)
        return own.take(self._repair_images, seed=self._seed).images

    def run(
        self,
        classes: Sequence[str],
        rows: Sequence[int],
        masks: Sequence[ChannelMask],
        methods: Sequence[Sequence[str]],
    ) -> list[dict[str, Any]]:
        """Tries networks of one sub-task.

        Args:
          classes: the sub-task.
          rows: its outputs.
          masks: of the networks.
          methods: for each network what is done beside the hard mask: NORMS (if
            there are norms), LEAST_SQUARES, DISTILLED, BOTH.

        Returns:
          For each network the shares of "parameters" and "macs" that the pruned
          one has of the full one and, by method, its "accuracy" under the
          masked softmax on the test images.
        """
        networks = [prune(self._model, mask, classes=rows) for mask in masks]
        found = self._repaired(classes, networks, methods)
        self._distil(classes, found, methods)
        own = np.isin(self._test.labels, rows)
        images, labels = self._test.images[own], self._test.labels[own]
        columns = np.array([list(rows).index(x) for x in labels.tolist()])
        return [
            {
                **_shares(tried[HARD].report),
                "accuracy": {
                    method: _accuracy(network.model, images, columns)
                    for method, network in tried.items()
                },
            }
            for tried in found
        ]

    def _repaired(
        self,
        classes: Sequence[str],
        networks: Sequence[PrunedModel],
        methods: Sequence[Sequence[str]],
    ) -> list[dict[str, PrunedModel]]:
        jobs = [
            (number, method)
            for number, wanted in enumerate(methods)
            for method in (LEAST_SQUARES, NORMS)
            if method in wanted and (method != NORMS or self.has_norms)
        ]
        with warnings.catch_warnings():
            # Late layers of small images have few places: known, and held.
            warnings.simplefilter("ignore", UserWarning)
            repaired = repair_all(
                [(networks[number], method) for number, method in jobs],
                self._model,
                self.unlabelled(classes),
                seed=self._seed,
                progress=False,
            )
        found = [{HARD: network} for network in networks]
        for (number, method), network in zip(jobs, repaired, strict=True):
            found[number][method] = network
        return found

    def _distil(
        self,
        classes: Sequence[str],
        found: Sequence[dict[str, PrunedModel]],
        methods: Sequence[Sequence[str]],
    ) -> None:
        """Adds what one epoch on all training images makes of the networks."""
        jobs = [
            (tried, name, tried[start])
            for tried, wanted in zip(found, methods, strict=True)
            for name, start in ((DISTILLED, HARD), (BOTH, LEAST_SQUARES))
            if name in wanted
        ]
        finetuned = finetune_all(
            [network for _, _, network in jobs],
            self._model,
            self._train.of_classes(classes).images,
            seed=self._seed,
            progress=False,
        )
        for (tried, name, _), network in zip(jobs, finetuned, strict=True):
            tried[name] = network


def summarise(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Drops over all sub-tasks, by size, budget, selection and method.

    Args:
      rows: each with "classes", "full_accuracy" and "points": for every
        "budget" by "selections" what `SubtaskTrials.run` gives.

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


def _shares(report: PruneReport) -> dict[str, float]:
    macs = report.macs_after or 0, report.macs_before or 1
    return {
        "parameters": report.parameters_after / report.parameters_before,
        "macs": macs[0] / macs[1],
    }


def _accuracy(
    model: keras.Model, images: np.ndarray, columns: np.ndarray
) -> float:
    outputs = run_untraced(model, images, _BATCH)
    return float((outputs.argmax(-1) == columns).mean())
