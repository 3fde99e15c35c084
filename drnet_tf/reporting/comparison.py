"""A small network beside the full one: accuracy, costs, and its proof."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from drnet_tf.classifier import find_classifier
from drnet_tf.cost_records import Costs, MaskedCosts
from drnet_tf.costs import count_costs, count_masked_costs
from drnet_tf.datasets import batches
from drnet_tf.evaluation import Evaluation, evaluate
from drnet_tf.gates import apply_mask
from drnet_tf.masks import ChannelMask
from drnet_tf.names import class_rows
from drnet_tf.reporting.tables import Column, text

_ACCURACIES = (
    Column("name", "Class"),
    Column("full", "Full", ".2%"),
    Column("small", "Small", ".2%"),
)
_IMAGES = 64  # on which the small and the masked network are compared


@dataclasses.dataclass(frozen=True, eq=False)
class Comparison:
    """What a small network does, beside the full one.

    Attributes:
      full, small: both networks on the same images, by the softmax over the
        sub-task's classes alone.
      full_costs, small_costs: of both as they are.
      running: what the mask runs of the full network, counted the paper's way;
        None if the mask is not known.
      masked_difference: see `masked_difference`; None if the mask is not known.
    """

    full: Evaluation
    small: Evaluation
    full_costs: Costs
    small_costs: Costs
    running: MaskedCosts | None = None
    masked_difference: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """All figures by name, as JSON and the columns of tables take them.

        Returns:
          "channels", "parameters" and "macs" are running fractions of the full
          network's; "small_..." and "full_..." counts of the networks
          themselves; accuracies fractions; "drop" is in percentage points;
          confusions count images by true (row) and found class (column).
        """
        running = self.running
        return {
            "classes": list(self.small.classes),
            "images": self.small.count,
            "full_accuracy": self.full.accuracy,
            "accuracy": self.small.accuracy,
            "drop": 100 * (self.full.accuracy - self.small.accuracy),
            "full_per_class": self.full.per_class,
            "per_class": self.small.per_class,
            "full_confusion": self.full.confusion.tolist(),
            "confusion": self.small.confusion.tolist(),
            "channels": running and running.channels_fraction,
            "parameters": running and running.parameters_fraction,
            "macs": running and running.macs_fraction,
            "small_parameters": self.small_costs.parameters,
            "small_macs": self.small_costs.macs,
            "full_parameters": self.full_costs.parameters,
            "full_macs": self.full_costs.macs,
            "masked_difference": self.masked_difference,
        }

    def __str__(self) -> str:
        rows = [_Line("all", self.full.accuracy, self.small.accuracy)]
        rows += [
            _Line(name, self.full.per_class[name], value)
            for name, value in self.small.per_class.items()
        ]
        lines = [
            f"Sub-task {', '.join(self.small.classes)}, "
            f"{self.small.count:,} images",
            text(rows, _ACCURACIES),
        ]
        running = self.running
        if running:
            lines.append(
                f"  running      {running.channels_fraction:.1%} of the "
                f"channels, {running.parameters_fraction:.1%} of the "
                f"parameters, {running.macs_fraction:.1%} of the MACs"
            )
        for name in ("parameters", "macs", "bytes"):
            full = getattr(self.full_costs, name)
            small = getattr(self.small_costs, name)
            lines.append(
                f"  {name:<12} {full:,} -> {small:,} ({small / full:.1%})"
            )
        if self.masked_difference is not None:
            lines.append(
                "  proof        the outputs are those of the masked full "
                f"network to {self.masked_difference:.1e} of their scale"
            )
        return "\n".join(lines)


@dataclasses.dataclass(frozen=True)
class _Line:
    name: str
    full: float
    small: float


def compare(
    model: keras.Model,
    small: keras.Model,
    dataset: Any,
    classes: Sequence[str],
    class_names: Sequence[str],
    *,
    mask: ChannelMask | None = None,
    pruned: keras.Model | None = None,
) -> Comparison:
    """Evaluates a small network and the full one on the images of a sub-task.

    Args:
      model: the full network, one output per class of `class_names`.
      small: one output per class of `classes`, or per class of `class_names`.
      dataset: images as both expect them, labels numbered in `class_names`; it
        is read more than once. See `evaluation.evaluate`.
      classes: the sub-task.
      class_names: all classes.
      mask: that `small` was made by, if it is known.
      pruned: what `prune` made of the mask, if `small` was repaired since: the
        proof is of it, as a repair means to change the outputs.

    Raises:
      ValueError: an unknown class, networks with other outputs, a mask of
        another network, or no image of the sub-task.

    Example:
      >>> model = keras.Sequential([
      ...     keras.Input((8, 8, 1)),
      ...     keras.layers.Conv2D(2, 3, activation="relu"),
      ...     keras.layers.GlobalAveragePooling2D(),
      ...     keras.layers.Dense(2),
      ... ])
      >>> data = np.zeros((4, 8, 8, 1), np.uint8), np.array([0, 0, 1, 1])
      >>> compare(model, model, data, ("a", "b"), ("a", "b")).as_dict()["drop"]
      0.0
    """
    width = small.outputs[0].shape[-1]
    outputs = classes if width == len(classes) else class_names
    comparison = Comparison(
        full=evaluate(
            model, dataset, classes, class_names, output_classes=class_names
        ),
        small=evaluate(
            small, dataset, classes, class_names, output_classes=outputs
        ),
        full_costs=count_costs(model),
        small_costs=count_costs(small),
    )
    if mask is None:
        return comparison
    images, _ = next(batches(dataset, _IMAGES))
    rows = class_rows(classes, class_names)
    return dataclasses.replace(
        comparison,
        running=count_masked_costs(model, mask, len(classes)),
        masked_difference=masked_difference(
            model, mask, pruned or small, images, rows
        ),
    )


def masked_difference(
    model: keras.Model,
    mask: ChannelMask,
    small: keras.Model,
    images: np.ndarray,
    rows: Sequence[int],
) -> float:
    """How far a pruned network is from the full one with a mask applied.

    max |a - b| / max |a|, where a are the outputs of `apply_mask(model, mask)`
    for the sub-task's classes (probabilities are scaled to sum to 1 over them)
    and b those of the pruned network.

    Args:
      model: the full network.
      mask: of the sub-task.
      small: what `prune` made of both.
      images: `(N, height, width, channels)` as the networks expect them.
      rows: the outputs of the sub-task's classes.

    Example:
      >>> model = keras.Sequential([
      ...     keras.Input((8, 8, 1)),
      ...     keras.layers.Conv2D(2, 3, activation="relu", name="conv"),
      ...     keras.layers.GlobalAveragePooling2D(),
      ...     keras.layers.Dense(2),
      ... ])
      >>> mask = ChannelMask({"conv": np.array([True, True])})
      >>> images = np.ones((1, 8, 8, 1), "float32")
      >>> masked_difference(model, mask, model, images, rows=(0, 1))
      0.0
    """
    images = images.astype(model.inputs[0].dtype, copy=False)
    masked = apply_mask(model, mask).predict_on_batch(images)[:, list(rows)]
    if find_classifier(model).probabilities:
        masked = masked / masked.sum(axis=1, keepdims=True)
    scale = float(np.abs(masked).max()) or 1.0
    found = small.predict_on_batch(images)
    return float(np.abs(masked - found).max()) / scale
