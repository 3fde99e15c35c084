"""Masks of one sub-task from large to small, each within the one before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import overload

import numpy as np

from drnet_tf.allocation import width_path
from drnet_tf.importance import ChannelImportance
from drnet_tf.masks import ChannelMask, build_mask, check_round_to
from drnet_tf.rules import subtask_scores
from drnet_tf.width_masks import masks_of_widths


class NestedMasks(Sequence[ChannelMask]):
    """Masks of a sub-task, from large to small; made when they are asked for.

    Args:
      classes: the sub-task.
      count: number of masks.
      make: the mask of a number below it.
    """

    def __init__(
        self,
        classes: Sequence[str],
        count: int,
        make: Callable[[int], ChannelMask],
    ) -> None:
        self.classes = tuple(classes)
        self._count, self._make = count, make

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, number: int) -> ChannelMask: ...

    @overload
    def __getitem__(self, number: slice) -> Sequence[ChannelMask]: ...

    def __getitem__(
        self, number: int | slice
    ) -> ChannelMask | Sequence[ChannelMask]:
        if isinstance(number, slice):
            return [self[i] for i in range(*number.indices(len(self)))]
        if not -len(self) <= number < len(self):
            raise IndexError(number)
        return self._make(number % len(self))


def masks_by_threshold(
    importance: ChannelImportance,
    classes: Sequence[str],
    *,
    rule: str = "union",
    round_to: int = 1,
) -> NestedMasks:
    """A mask for each threshold that makes a difference, as in the paper.

    Args:
      importance: the CIVs λ^c.
      classes: the sub-task.
      rule, round_to: as for `masks.union`.

    Raises:
      ValueError: as for `candidate_thresholds`.

    Example:
      >>> importance = ChannelImportance(
      ...     {"relu": np.array([[0.5, 0.0, 0.25, 0.5]])}, ("cat",), "by hand"
      ... )
      >>> [x.kept for x in masks_by_threshold(importance, ("cat",))]
      [3, 2]
    """
    thresholds = candidate_thresholds(importance, classes, rule)
    round_to = check_round_to(round_to)
    return NestedMasks(
        classes,
        len(thresholds),
        lambda number: build_mask(
            importance,
            classes,
            float(thresholds[number]),
            rule=rule,
            round_to=round_to,
        ),
    )


def masks_by_rank(
    importance: ChannelImportance,
    classes: Sequence[str],
    *,
    rule: str = "union",
) -> NestedMasks:
    """A mask for every number of channels, whatever the scores look like.

    All channels stand in one order, by their score. Importances with many equal
    scores, of which a threshold makes few masks, meet any budget so, too: of
    equals those go first that are further back in their site, so that all sites
    lose the same share. The best channel of every site stays to the end: no
    mask empties a site.

    Args:
      importance, classes: as for `masks_by_threshold`.
      rule: as for `rules.subtask_scores`.

    Raises:
      ValueError: an unknown class or rule.

    Example:
      >>> importance = ChannelImportance(
      ...     {"a": np.array([[0.5, 0.0, 0.0]]), "b": np.array([[0.0, 0.0]])},
      ...     ("cat",),
      ...     "by hand",
      ... )
      >>> masks = masks_by_rank(importance, ("cat",))
      >>> [{s: m[s].sum().item() for s in m.sites} for m in masks]
      [{'a': 3, 'b': 2}, {'a': 2, 'b': 2}, {'a': 2, 'b': 1}, {'a': 1, 'b': 1}]
    """
    scores = subtask_scores(importance, classes, rule)
    site = np.concatenate(
        [np.full(own.size, n) for n, own in enumerate(scores.values())]
    )
    # The place of a channel in its own site, 0 for the best.
    place = np.concatenate(
        [np.argsort(np.argsort(-x, kind="stable")) for x in scores.values()]
    )
    share = place / np.concatenate(
        [np.full(own.size, own.size) for own in scores.values()]
    )
    score = np.concatenate(list(scores.values()))
    order = np.lexsort((share, -score, place > 0))
    names, mask_of = list(scores), masks_of_widths(importance, classes, rule)

    def make(number: int) -> ChannelMask:
        counts = np.bincount(site[order[: order.size - number]])
        return mask_of(dict(zip(names, counts.tolist(), strict=True)))

    return NestedMasks(classes, order.size - len(names) + 1, make)


def masks_by_layers(
    importance: ChannelImportance,
    classes: Sequence[str],
    losses: Mapping[str, np.ndarray],
    cost: Callable[[ChannelMask], float],
    *,
    rule: str = "union",
    round_to: int = 1,
) -> NestedMasks:
    """Masks whose channels are taken where that loses least for what it saves.

    The importance orders the channels of a site, the losses of reconstruction
    and the costs say how many it gets: see `allocation.width_path`.

    Args:
      importance: the CIVs λ^c.
      classes: the sub-task.
      losses: by site, of `repair.redundancy.reconstruction_losses` with the
        same importance, classes and rule, or those that come with the
        importance from `repair.elimination.reconstruction_importance`.
      cost: of a mask, what is to be saved.
      rule, round_to: as for `masks.union`.
    """
    round_to = check_round_to(round_to)
    mask_of = masks_of_widths(importance, classes, rule)
    path = [
        widths
        for widths, _ in width_path(
            losses, lambda widths: cost(mask_of(widths)), round_to=round_to
        )
    ]
    return NestedMasks(classes, len(path), lambda number: mask_of(path[number]))


def candidate_thresholds(
    importance: ChannelImportance, classes: Sequence[str], rule: str = "union"
) -> np.ndarray:
    """All thresholds of a sub-task that make a difference.

    Args:
      importance: the CIVs λ^c.
      classes: the sub-task.
      rule: "union" or "xor".

    Returns:
      The distinct scores above 0, rising, `(T,)` float32: number t keeps the
      channels with that score or a higher one, so number 0 keeps the most.

    Raises:
      ValueError: an unknown class or rule, or no score is above 0.

    Example:
      >>> importance = ChannelImportance(
      ...     {"relu": np.array([[0.5, 0.0, 0.25, 0.5]])}, ("cat",), "by hand"
      ... )
      >>> candidate_thresholds(importance, ("cat",)).tolist()
      [0.25, 0.5]
    """
    scores = subtask_scores(importance, classes, rule)
    distinct = np.unique(np.concatenate(list(scores.values())))
    positive = distinct[distinct > 0]
    if not positive.size:
        raise ValueError(
            f"Sub-task {tuple(classes)}: no channel has a {rule} score above "
            "0, so no threshold keeps any; dissect the model again with a "
            "weaker sparsity."
        )
    return positive
