"""Classification accuracy reduction (CAR): what a network loses with a filter.

The index of filter i of layer l is the accuracy of the network minus that of
the network without it,

    CAR(i, l) = Acc − Acc(−i, l),

and the class-wise index takes the images of one class c, Acc^c − Acc^c(−i, l).
To compress a layer greedily, the filter with the smallest index is removed
and the index is found anew for those that are left, again and again.

Source: Abbasi-Asl and Yu, "Structural Compression of Convolutional Neural
Networks with Applications in Interpretability", Frontiers in Big Data 4, 2021
(arXiv 1705.07356).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import keras
import numpy as np

from drnet_tf.dissection.method import Problem
from drnet_tf.dissection.removals import ImageRemovals, Removals
from drnet_tf.free_sites import GateSite
from drnet_tf.importance import NONZERO
from drnet_tf.progress import DelayedBar

_DIGITS = 6  # of a cross-entropy in nats; what is below is rounding


@dataclasses.dataclass(frozen=True, eq=False)
class RemovalOrder:
    """The channels of a site, those first that a network can best do without.

    Attributes:
      order: `(C,)` int64, the channels as they are removed.
      correct: `(C,)` int64: images that are still classified rightly after
        each removal; of a single pass, without that channel alone.
      full: images that are classified rightly with all channels.
      images: number of images.
    """

    order: np.ndarray
    correct: np.ndarray
    full: int
    images: int

    @property
    def lost(self) -> np.ndarray:
        """`(C,)` int64: images lost until each removal, never falling."""
        lost = np.maximum(self.full - self.correct, 0)
        return np.maximum.accumulate(lost)

    def scores(self) -> np.ndarray:
        """`(C,)` float64, by channel: (lost - 1 + place / C) / images, <= 1.

        At most the share of images lost, and less than one image below it: a
        mask at threshold t keeps channels that cannot go without losing the
        share t. The place in the order, 1 to C, tells channels that cost the
        same apart. A channel that costs no image scores below 1e-8, by its
        place, too: `ChannelImportance.similarity` takes it for not used.
        """
        place = np.arange(1, len(self.order) + 1) / len(self.order)
        scores = np.empty(len(self.order))
        scores[self.order] = np.where(
            self.lost > 0,
            (self.lost - 1 + place) / self.images,
            NONZERO * (place - place[0]),
        )
        return scores


@dataclasses.dataclass(frozen=True)
class AccuracyReduction:
    """Settings of CAR; the defaults are the paper's greedy removal, by class.

    A site of C channels takes C (C + 1) / 2 evaluations of what lies behind it,
    or C in a single pass; class by class they are no more, as each takes the
    images of one class. Scores: see `RemovalOrder.scores`.

    Departures: equal accuracies are told apart by the mean cross-entropy (to
    1e-6 nats), then by the number of the channel, as accuracies of few images
    are often equal; no fine-tuning between removals; an index below 0, of a
    channel that does harm, counts as 0. `dissect` draws images that the network
    classifies rightly, so its accuracy is 1 with all channels.

    Attributes:
      greedy: whether the index is found anew after each removal; else once,
        with all other channels there.
      step: channels that greedy removal takes away at a time; 1 is the paper's.
      class_wise: whether every class has its own order, found on its own
        images; else all share the one of all images, which are then held in
        memory (else those of one class).

    Example:
      >>> AccuracyReduction(greedy=False).name
      'accuracy_reduction'
    """

    name: ClassVar[str] = "accuracy_reduction"
    greedy: bool = True
    step: int = 1
    class_wise: bool = True

    def __post_init__(self) -> None:
        _check_step("AccuracyReduction", self.step)

    def scores(
        self, problem: Problem
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """See `Method.scores`."""
        classes = len(problem.class_names)
        scores = {
            x.name: np.zeros((classes, x.channels)) for x in problem.sites
        }
        free = {x.name: np.zeros(classes, np.int64) for x in problem.sites}
        removals = [Removals(problem.model, x) for x in problem.sites]
        groups = classes if self.class_wise else 1
        channels = sum(site.channels for site in problem.sites)
        bar = DelayedBar(groups * channels, "channel")
        done = 0

        def removed(count: int) -> None:
            nonlocal done
            done += count
            if problem.progress:
                bar.update(done)

        for group, images, labels in self._groups(problem):
            for site in removals:
                measured = site.on(images, labels)
                found = self._order(measured, site.site.channels, removed)
                scores[site.site.name][group] = found.scores()
                free[site.site.name][group] = int((found.lost == 0).sum())
        bar.close()
        return scores, {"free": {x: row.tolist() for x, row in free.items()}}

    def _order(
        self,
        measured: ImageRemovals,
        channels: int,
        removed: Callable[[int], None],
    ) -> RemovalOrder:
        if self.greedy:
            return _greedy(measured, channels, self.step, removed)
        found = _single_pass(measured, channels)
        removed(channels)
        return found

    def _groups(
        self, problem: Problem
    ) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """Yields rows, and the images and labels that decide about them."""
        if not self.class_wise:
            parts, classes = zip(*problem.images, strict=True)
            yield slice(None), np.concatenate(parts), np.concatenate(classes)
            return
        for number in range(len(problem.class_names)):
            images = np.concatenate(
                [some[c == number] for some, c in problem.images]
            )
            labels = np.full(len(images), number)
            yield slice(number, number + 1), images, labels


def greedy_order(
    model: keras.Model,
    site: GateSite,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    step: int = 1,
) -> RemovalOrder:
    """The order in which greedy removal takes the channels of one site.

    Args:
      model: a classifier; it is not changed.
      site: of `gate_sites(model, ...)`.
      images: `(N, ...)`, as the network expects them.
      labels: `(N,)` int, their classes; need not be what the network says.
      step: channels removed at a time.

    Raises:
      ValueError: no images, or not one label each in the range of the classes;
        a step that is no whole number of 1 or more.

    Example:
      >>> from drnet_tf.sites import gate_sites
      >>> model = keras.Sequential([
      ...     keras.Input((4, 4, 2)),
      ...     keras.layers.Conv2D(2, 1, activation="relu", name="conv"),
      ...     keras.layers.GlobalAveragePooling2D(),
      ...     keras.layers.Dense(2),
      ... ])
      >>> one, none = np.eye(2), np.array([0.0, 0.1])
      >>> model.set_weights([one.reshape(1, 1, 2, 2), 0 * none, one, none])
      >>> images = np.ones((2, 4, 4, 1)) * one[:, None, None]
      >>> (site,) = gate_sites(model)
      >>> found = greedy_order(model, site, images, np.array([0, 1]))
      >>> found.order.tolist(), found.correct.tolist()
      ([1, 0], [2, 1])
    """
    _check_step("greedy_order", step)
    images, labels = np.asarray(images), np.asarray(labels)
    removals = Removals(model, site)
    if (
        not len(images)
        or labels.shape != (len(images),)
        or labels.dtype.kind not in "iu"
        or not 0 <= labels.min() <= labels.max() < removals.num_classes
    ):
        raise ValueError(
            f"greedy_order: got {len(images)} images and labels of shape "
            f"{labels.shape} and dtype {labels.dtype}, expected one or more "
            f"images with one whole label each in 0..{removals.num_classes - 1}"
            "; check how they were loaded."
        )
    measured = removals.on(images, labels)
    return _greedy(measured, site.channels, step, lambda count: None)


def _check_step(where: str, step: int) -> None:
    if step != int(step) or step < 1:
        raise ValueError(
            f"{where}: step: got {step!r}, expected a whole number of "
            "channels, 1 or more."
        )


def _greedy(
    measured: ImageRemovals,
    channels: int,
    step: int,
    removed: Callable[[int], None],
) -> RemovalOrder:
    keep = np.ones(channels, bool)
    full = int(measured(keep[None])[0][0])
    order: list[int] = []
    correct: list[int] = []
    while keep.any():
        candidates = np.flatnonzero(keep)
        right, losses = measured(_without(keep, candidates))
        best = _least_missed(right, losses)[:step]
        group = candidates[best]
        if len(group) > 1:  # what is left after each of them
            nested = np.tile(keep, (len(group), 1))
            nested[:, group] &= ~np.tri(len(group), dtype=bool)
            right, best = measured(nested)[0], np.arange(len(group))
        order += group.tolist()
        correct += right[best].tolist()
        keep[group] = False
        removed(len(group))
    return RemovalOrder(np.array(order), np.array(correct), full, len(measured))


def _single_pass(measured: ImageRemovals, channels: int) -> RemovalOrder:
    keep = np.ones(channels, bool)
    full = int(measured(keep[None])[0][0])
    right, losses = measured(_without(keep, np.arange(channels)))
    order = _least_missed(right, losses)
    return RemovalOrder(order, right[order], full, len(measured))


def _without(keep: np.ndarray, channels: np.ndarray) -> np.ndarray:
    """`(r, C)` bool: one row without each of r channels."""
    rows = np.tile(keep, (len(channels), 1))
    rows[np.arange(len(channels)), channels] = False
    return rows


def _least_missed(right: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """Most images right, then the smallest loss, then the lowest number."""
    return np.lexsort((np.round(losses, _DIGITS), -right))
