"""Atoms: the sets of channels that can only be removed together."""

from __future__ import annotations

import numpy as np


class Atoms:
    """Union-find over atom numbers, by whole arrays of them.

    Every channel of every tensor of a network has an atom. Two channels that
    must be removed together (the c-th channel before and after a pooling layer,
    or of the two operands of an Add) have the same root.

    Example:
      >>> atoms = Atoms()
      >>> first, second = atoms.new(2), atoms.new(2)
      >>> atoms.unite(first, second)
      >>> atoms.roots(second).tolist()
      [0, 1]
    """

    def __init__(self) -> None:
        self._parents = np.zeros(0, np.int64)

    def __len__(self) -> int:
        return len(self._parents)

    def new(self, count: int) -> np.ndarray:
        """Makes `count` atoms that nothing is united with yet."""
        start = len(self._parents)
        numbers = np.arange(start, start + count)
        self._parents = np.concatenate([self._parents, numbers])
        return numbers

    def unite(self, first: np.ndarray, second: np.ndarray) -> None:
        """Unites two arrays of atoms of the same length, pair by pair."""
        while True:
            a, b = self.roots(first), self.roots(second)
            if np.array_equal(a, b):
                return
            # Of several that hang a root elsewhere the lowest wins; the others
            # are united in the next round.
            np.minimum.at(self._parents, np.maximum(a, b), np.minimum(a, b))

    def roots(self, atoms: np.ndarray) -> np.ndarray:
        """The number that stands for the set of each atom."""
        roots = self._parents[atoms]
        while True:
            above = self._parents[roots]
            if np.array_equal(above, roots):
                return roots
            roots = above
