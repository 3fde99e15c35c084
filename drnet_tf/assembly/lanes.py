"""Lanes: each channel of a wide tensor is one of some part's."""

from __future__ import annotations

import dataclasses

import numpy as np

_SHARED = -1  # the image's channels belong to all parts


@dataclasses.dataclass(frozen=True, eq=False)
class Lanes:
    """Whose the channels of a wide tensor are.

    Attributes:
      owners: `(C,)` int, number of the part; -1: of all.
      places: `(C,)` int, number of the channel there.
    """

    owners: np.ndarray
    places: np.ndarray

    @classmethod
    def shared(cls, width: int) -> Lanes:
        """Of the image, which all parts read."""
        return cls(np.full(width, _SHARED), np.arange(width))

    @classmethod
    def joined(cls, widths: list[int]) -> Lanes:
        """Of parts of these widths, one behind the other."""
        return cls(
            np.repeat(np.arange(len(widths)), widths),
            np.concatenate([np.arange(x) for x in widths]),
        )

    @property
    def are_shared(self) -> bool:
        return bool((self.owners == _SHARED).any())

    def of(self, part: int) -> np.ndarray:
        """Numbers of the channels that a part reads."""
        mine = (self.owners == part) | (self.owners == _SHARED)
        return np.flatnonzero(mine)

    def gather(self, arrays: list[np.ndarray]) -> np.ndarray:
        """`(..., C)` of arrays of the parts, each with its channels last."""
        wide = np.zeros((*arrays[0].shape[:-1], len(self.owners)), "float32")
        for part, array in enumerate(arrays):
            mine = self.of(part)
            wide[..., mine] = array[..., self.places[mine]]
        return wide

    def equal(self, other: Lanes) -> bool:
        return np.array_equal(self.owners, other.owners) and np.array_equal(
            self.places, other.places
        )
