"""Some of the sub-tasks of a size, where all of them would be too many."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np


def draw_subtasks(
    class_names: Sequence[str], size: int, count: int, seed: int
) -> tuple[tuple[str, ...], ...]:
    """All sub-tasks of a size, or as many of them drawn by seed.

    Args:
      class_names: K names.
      size: classes of a sub-task, at most K.
      count: how many are wanted at most, 1 or more.
      seed: the same seed draws the same ones.

    Returns:
      Different sub-tasks, in the order of their classes.

    Raises:
      ValueError: fewer classes than `size`, or a count below 1.

    Example:
      >>> draw_subtasks(("a", "b", "c"), 2, 9, seed=0)
      (('a', 'b'), ('a', 'c'), ('b', 'c'))
      >>> names = [f"class {number}" for number in range(1000)]
      >>> len(draw_subtasks(names, 3, 5, seed=0))
      5
    """
    if not 1 <= size <= len(class_names) or count < 1:
        raise ValueError(
            f"Sub-tasks: got {count} of {size} classes out of "
            f"{len(class_names)}, expected one or more, of as many classes as "
            "there are at most."
        )
    if math.comb(len(class_names), size) <= count:
        return tuple(itertools.combinations(class_names, size))
    random = np.random.default_rng(seed)
    drawn: set[tuple[int, ...]] = set()
    while len(drawn) < count:
        rows = random.choice(len(class_names), size, replace=False)
        drawn.add(tuple(sorted(rows.tolist())))
    return tuple(
        tuple(class_names[row] for row in rows) for rows in sorted(drawn)
    )
