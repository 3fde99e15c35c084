"""From a dissected network to the small network of a sub-task, in one call."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from drnet_tf.budgets import (
    check_max_drop,
    largest_mask_within,
    smallest_mask_within_drop,
)
from drnet_tf.classifier import find_classifier
from drnet_tf.costs import CostModel
from drnet_tf.evaluation import evaluate
from drnet_tf.fingerprints import fingerprint
from drnet_tf.graph import read_graph
from drnet_tf.importance import ChannelImportance
from drnet_tf.masks import ChannelMask, build_mask, check_round_to
from drnet_tf.progress import DelayedBar
from drnet_tf.repair.cutting import NONE, Repair
from drnet_tf.rules import check_rule
from drnet_tf.sites import gate_sites, sites_for
from drnet_tf.subnetworks import SubTask

__all__ = ["DRNet", "SubTask"]


class DRNet:
    """A network and its importances: gives the sub-network of any sub-task.

    Args:
      model: a Functional or Sequential classifier; it is not changed.
      importance: of this very model. If it has no fingerprint, only the sites
        are compared.

    Raises:
      TypeError: the model is subclassed, or no Keras model.
      ValueError: the importance was made from another model, or the model has
        another number of classes.

    Example:
      >>> model = keras.Sequential([
      ...     keras.Input((8, 8, 3)),
      ...     keras.layers.Conv2D(4, 3, activation="relu", name="conv"),
      ...     keras.layers.GlobalAveragePooling2D(),
      ...     keras.layers.Dense(3),
      ... ])
      >>> importance = ChannelImportance(
      ...     {"conv": np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]])},
      ...     ("cat", "cow", "dog"),
      ...     "by hand",
      ... )
      >>> drnet = DRNet(model, importance)
      >>> subtask = drnet.subtask(("dog", "cat"), threshold=1.0)
      >>> subtask.mask["conv"].tolist(), subtask.model.output_shape
      ([True, False, True, False], (None, 2))
    """

    def __init__(
        self, model: keras.Model, importance: ChannelImportance
    ) -> None:
        gate_sites(model)  # refuses what has none
        sites = sites_for(read_graph(model), importance.channels)
        channels = {site.name: site.channels for site in sites}
        importance.check_sites(channels, model.name)
        outputs = find_classifier(model).num_classes
        if outputs != len(importance.class_names):
            raise ValueError(
                f"Model '{model.name}' has {outputs} classes, the importance "
                f"{len(importance.class_names)}; pass the model that was "
                "dissected."
            )
        if importance.fingerprint not in ("", fingerprint(model)):
            raise ValueError(
                f"Model '{model.name}': its weights or structure are not those "
                "of the model that was dissected (the fingerprints differ); "
                "pass that model, or dissect this one."
            )
        self.model = model
        self.importance = importance
        self._costs = CostModel(model)
        self._made: dict[Any, tuple[Any, Any, SubTask]] = {}

    def subtask(
        self,
        classes: Sequence[str],
        *,
        threshold: float | None = None,
        max_parameters: int | float | None = None,
        max_macs: int | float | None = None,
        max_drop: float | None = None,
        validation_data: Any = None,
        rule: str = "union",
        round_to: int = 1,
        repair: str = NONE,
        images: np.ndarray | None = None,
    ) -> SubTask:
        """The sub-network of some classes, by exactly one criterion.

        The lowest threshold is searched whose running parameters or MACs are
        within the limit; they are counted the paper's way
        (`costs.count_masked_costs`), as fast as a search needs. The Keras model
        can be larger where channels cannot be removed: see `SubTask.summary`.

        Args:
          classes: names, in the order of the outputs wanted.
          threshold: on the importance, > 0.
          max_parameters, max_macs: an int is a number, a float in (0, 1] a
            fraction of the full network.
          max_drop: of the accuracy, in percentage points; the smallest
            sub-network found within it on the validation data (see
            `budgets.smallest_mask_within_drop` for what is guaranteed).
          validation_data: for `max_drop`; not the data of the final figures.
          rule: "union" (Eq. 3) or "xor" (Eq. 4, two classes).
          round_to: every site keeps a multiple of this many channels.
          repair: "none", "norms" or "least_squares": how the network is made to
            reproduce the full one once it is cut, see `repair`; with `max_drop`
            every network that is tried is repaired.
          images: for the repair, without labels, of these classes; by default
            those that the importance holds (`dissect(..., keep_images=100)`).

        Returns:
          The same object for the same arguments.

        Raises:
          ValueError: not exactly one criterion, a bad value of it, an unknown
            class, no sub-network that meets it, or no images to repair it with.
        """
        given = {
            "threshold": threshold,
            "max_parameters": max_parameters,
            "max_macs": max_macs,
            "max_drop": max_drop,
        }
        name, value = _only_criterion(given)
        _check_validation_data(name, validation_data)
        rows = self.importance.class_rows(classes)
        check_rule(rule, classes)
        check_round_to(round_to)
        # 1 and 1.0 are equal keys, but a count and a fraction.
        key = (tuple(rows), name, type(value), value, rule, round_to, repair)
        made = self._made.get(key)
        if made and made[0] is validation_data and made[1] is images:
            return made[2]
        cutter = self._cutter(repair, images, classes)
        mask, measured = self._mask(
            name,
            value,
            classes,
            validation_data,
            cutter,
            rule=rule,
            round_to=round_to,
        )
        subtask = SubTask(
            self.model,
            mask,
            self.importance.class_names,
            {name: value, **measured},
            self._costs.masked(mask, len(rows)),
            cutter,
        )
        self._made[key] = (validation_data, images, subtask)
        return subtask

    def _cutter(
        self, method: str, images: np.ndarray | None, classes: Sequence[str]
    ) -> Repair:
        """Checks how networks are to be repaired, before the long work."""
        if images is None and method != NONE:
            images = self.importance.images_of(classes)
        cutter = Repair(method, images)
        cutter.check_scale(self.importance.diagnostics.get("pixels"))
        return cutter

    def _mask(
        self,
        criterion: str,
        value: float,
        classes: Sequence[str],
        validation_data: Any,
        cutter: Repair,
        **settings: Any,
    ) -> tuple[ChannelMask, dict[str, float]]:
        """The mask, and what was measured on the way to it."""
        if criterion == "threshold":
            return build_mask(self.importance, classes, value, **settings), {}
        if criterion == "max_drop":
            return self._within_drop(
                value, classes, validation_data, cutter, **settings
            )
        of = criterion.removeprefix("max_")  # a field of MaskedCosts

        def cost(mask: ChannelMask) -> int:
            return getattr(self._costs.masked(mask, len(classes)), of)

        everything = self._costs.masked(self._open_mask())
        limit = _absolute(criterion, value, getattr(everything, f"{of}_full"))
        return largest_mask_within(
            self.importance, classes, cost, limit, **settings
        ), {}

    def _within_drop(
        self,
        max_drop: float,
        classes: Sequence[str],
        validation_data: Any,
        cutter: Repair,
        **settings: Any,
    ) -> tuple[ChannelMask, dict[str, float]]:
        check_max_drop(max_drop)  # before the long work
        names = self.importance.class_names
        full = evaluate(
            self.model, validation_data, classes, names, output_classes=names
        ).accuracy
        accuracies: dict[int, float] = {}
        bar = DelayedBar(None, "sub-network")

        def accuracy(mask: ChannelMask) -> float:
            small = cutter.cut(self.model, mask, classes, names)
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

        mask = smallest_mask_within_drop(
            self.importance, classes, accuracy, full, max_drop, **settings
        )
        bar.close()
        return mask, {
            "full_accuracy": full,
            "accuracy": accuracies[mask.kept],
        }

    def _open_mask(self) -> ChannelMask:
        channels = self.importance.channels.items()
        return ChannelMask({site: np.ones(c, bool) for site, c in channels})

    def __repr__(self) -> str:
        channels = self.importance.channels
        made = len(self._made)
        return (
            f"DRNet('{self.model.name}': {len(self.importance.class_names)} "
            f"classes, {sum(channels.values())} channels at {len(channels)} "
            f"sites, {made} sub-task{'' if made == 1 else 's'} made)"
        )


def _only_criterion(given: Mapping[str, float | None]) -> tuple[str, float]:
    chosen = {k: v for k, v in given.items() if v is not None}
    if len(chosen) != 1:
        raise ValueError(
            f"DRNet.subtask: got {', '.join(chosen) or 'no criterion'}, "
            f"expected exactly one of {', '.join(given)}."
        )
    return chosen.popitem()


def _check_validation_data(criterion: str, validation_data: Any) -> None:
    if (criterion == "max_drop") == (validation_data is None):
        got = "without" if validation_data is None else "with"
        raise ValueError(
            f"DRNet.subtask: got {criterion} {got} validation_data, expected "
            "it with max_drop and with nothing else."
        )


def _absolute(criterion: str, value: Any, full: int) -> float:
    """A limit as a number, from a number or a fraction of `full`."""
    whole = isinstance(value, numbers.Integral)
    if whole and value > 0 and not isinstance(value, bool):
        return int(value)
    if not whole and isinstance(value, numbers.Real) and 0 < float(value) <= 1:
        return float(value) * full
    raise ValueError(
        f"{criterion}: got {value!r}, expected a whole number above 0, or a "
        f"float in (0, 1] as a fraction of the full network's {full:,}."
    )
