"""Masks from budgets: the largest one allowed, the smallest good enough."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from drnet_tf.masks import ChannelMask, is_number
from drnet_tf.nested_masks import NestedMasks


def largest_mask_within(
    masks: NestedMasks, cost: Callable[[ChannelMask], float], limit: float
) -> ChannelMask:
    """The largest mask whose cost is within a limit.

    A mask within another one does not cost more, so bisection finds the best of
    all in log2(T) + 2 calls of `cost`.

    Args:
      masks: of a sub-task, from large to small.
      cost: of a mask, in any unit; a mask with further channels must not cost
        less.
      limit: the highest cost allowed, in that unit.

    Raises:
      ValueError: even the smallest costs more than the limit.

    Example:
      >>> from drnet_tf.importance import ChannelImportance
      >>> from drnet_tf.nested_masks import masks_by_threshold
      >>> importance = ChannelImportance(
      ...     {"relu": np.array([[0.5, 0.1, 0.25, 0.4]])}, ("cat",), "by hand"
      ... )
      >>> mask = largest_mask_within(
      ...     masks_by_threshold(importance, ("cat",)),
      ...     lambda mask: 10.0 * mask.kept,
      ...     limit=25.0,
      ... )
      >>> mask["relu"].tolist(), round(mask.provenance["threshold"], 6)
      ([True, False, False, True], 0.4)
    """
    within = len(masks) - 1
    best = masks[within]
    smallest = cost(best)
    if smallest > limit:
        raise ValueError(
            f"Sub-task {masks.classes}: the limit is {limit:g}, the smallest "
            f"sub-network ({best.kept} of {best.total} channels) costs "
            f"{smallest:g}; pass a higher limit."
        )
    above = -1  # this mask and all before it cost too much
    while within - above > 1:
        middle = (within + above) // 2
        mask = masks[middle]
        if cost(mask) <= limit:
            within, best = middle, mask
        else:
            above = middle
    return best


def smallest_mask_within_drop(
    masks: NestedMasks,
    accuracy: Callable[[ChannelMask], float],
    full_accuracy: float,
    max_drop: float,
    *,
    candidates: int = 16,
    refinements: int = 6,
) -> ChannelMask:
    """A small mask whose accuracy is within a drop from the full network's.

    Accuracy does not rise steadily with the channels, so no search short of
    trying every mask is sure to find the smallest. This one tries masks from
    small to large, evenly spread over all, up to the first that is good enough;
    then it bisects between that one and the one before. Guaranteed: the mask
    returned was itself found good enough by `accuracy`, and no smaller mask
    that was tried was.

    Args:
      masks: of a sub-task, from large to small.
      accuracy: of the sub-network of a mask, a fraction in [0, 1].
      full_accuracy: of the full network on the same images.
      max_drop: in percentage points, 0 or more.
      candidates: masks on the way from small to large, at least 1.
      refinements: masks tried between the last two, at least 0.

    Raises:
      ValueError: no mask tried is good enough.

    Example:
      >>> from drnet_tf.importance import ChannelImportance
      >>> from drnet_tf.nested_masks import masks_by_threshold
      >>> importance = ChannelImportance(
      ...     {"relu": np.array([[0.5, 0.1, 0.25, 0.4]])}, ("cat",), "by hand"
      ... )
      >>> accuracies = {1: 0.5, 2: 0.75, 3: 0.94, 4: 0.95}
      >>> mask = smallest_mask_within_drop(
      ...     masks_by_threshold(importance, ("cat",)),
      ...     lambda mask: accuracies[mask.kept],
      ...     full_accuracy=0.95,
      ...     max_drop=1.0,
      ... )
      >>> mask["relu"].tolist()
      [True, False, True, True]
    """
    check_max_drop(max_drop)
    _check_steps(candidates, refinements)
    target = full_accuracy - max_drop / 100 - 1e-9  # rounding is no drop
    tried: dict[int, tuple[float, ChannelMask]] = {}

    def is_good(number: int) -> bool:
        mask = masks[number]
        # Masks are nested: as many channels are the same channels.
        if mask.kept not in tried:
            tried[mask.kept] = (accuracy(mask), mask)
        return tried[mask.kept][0] >= target

    _search(is_good, _descending_grid(len(masks), candidates), refinements)
    good = [kept for kept, (value, _) in tried.items() if value >= target]
    if not good:
        best = max(tried, key=lambda kept: (tried[kept][0], -kept))
        value, mask = tried[best]
        raise ValueError(
            f"Sub-task {masks.classes}: no sub-network is within {max_drop:g} "
            f"points of {100 * full_accuracy:.2f} %; the best of {len(tried)} "
            f"tried reached {100 * value:.2f} % with {mask.kept} of "
            f"{mask.total} channels; allow a larger drop."
        )
    return tried[min(good)][1]


def _search(
    is_good: Callable[[int], bool], grid: list[int], refinements: int
) -> None:
    """Goes down the grid to the first good number, then bisects above it."""
    last_bad: int | None = None
    for number in grid:
        if is_good(number):
            break
        last_bad = number
    else:
        return
    if last_bad is None:
        return
    while last_bad - number > 1 and refinements > 0:
        middle = (last_bad + number) // 2
        if is_good(middle):
            number = middle
        else:
            last_bad = middle
        refinements -= 1


def _descending_grid(count: int, steps: int) -> list[int]:
    """Numbers below `count` from high to low in even steps, 0 at the end."""
    numbers = np.linspace(count, 0, steps + 1)[1:]
    return list(dict.fromkeys(int(number) for number in numbers))


def check_max_drop(max_drop: float) -> None:
    """Refuses what is no number of percentage points."""
    if not is_number(max_drop) or not 0 <= max_drop <= 100:
        raise ValueError(
            f"max_drop: got {max_drop!r}, expected percentage points from 0 to "
            "100, e.g. 0.5."
        )


def _check_steps(candidates: int, refinements: int) -> None:
    if candidates < 1 or refinements < 0:
        raise ValueError(
            f"candidates, refinements: got {candidates} and {refinements}, "
            "expected at least 1 and at least 0."
        )
