"""Which things belong together: average linkage on a matrix of distances.

SciPy has it (`scipy.cluster.hierarchy`), but nothing else here needs SciPy, and
some hundreds of classes need no more than the textbook's algorithm.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import ArrayLike


@dataclasses.dataclass(frozen=True)
class ClusterTree:
    """How N things were merged, two clusters at a time, until one was left.

    Attributes:
      merges: N - 1 pairs of clusters; thing i is cluster i, merge m makes
        cluster N + m. The one with the smaller thing stands first.
      heights: N - 1 mean distances between the two, rising.
    """

    merges: tuple[tuple[int, int], ...]
    heights: tuple[float, ...]

    @property
    def size(self) -> int:
        """The number of things, N."""
        return len(self.merges) + 1

    def members(self) -> list[list[int]]:
        """The things of all 2 N - 1 clusters, in the order of the tree.

        The last is the root: N things, each beside those it is merged with.
        """
        found = [[thing] for thing in range(self.size)]
        for left, right in self.merges:
            found.append(found[left] + found[right])
        return found

    def clusters(self) -> list[list[int]]:
        """Cuts the tree where its heights leave the widest gap.

        Of the cuts that leave two to half as many clusters as things (rounded
        up): the widest gap of all can lie above the first merge, where every
        thing but two stands alone.

        Returns:
          The things of each cluster, in the order of the tree; a single
          cluster where no gap is wider than 0.
        """
        least = self.size - (self.size + 1) // 2  # merges that are not cut
        gaps = np.diff(self.heights)[max(0, least - 1) :]
        members = self.members()
        if not len(gaps) or gaps.max() <= 0:
            return [members[-1]]
        merged = max(1, least) + int(np.argmax(gaps))
        used = {part for pair in self.merges[:merged] for part in pair}
        top = [x for x in range(self.size + merged) if x not in used]
        place = {thing: i for i, thing in enumerate(members[-1])}
        return sorted((members[x] for x in top), key=lambda x: place[x[0]])


def average_linkage(distances: ArrayLike) -> ClusterTree:
    """Clusters things by hierarchical average linkage (UPGMA).

    The two clusters A and B are merged next whose mean distance
    1 / (|A| |B|) Σ_{a in A, b in B} d_ab is smallest (Sokal and Michener 1958);
    of equal ones, those that stand first.

    Args:
      distances: `(N, N)` symmetric, finite; the diagonal is not read.

    Raises:
      ValueError: no such matrix.

    Example:
      >>> tree = average_linkage([[0, 9, 1], [9, 0, 7], [1, 7, 0]])
      >>> tree
      ClusterTree(merges=((0, 2), (3, 1)), heights=(1.0, 8.0))
      >>> tree.members()[-1], tree.clusters()
      ([0, 2, 1], [[0, 2], [1]])
    """
    between = _checked(distances)
    count = len(between)
    np.fill_diagonal(between, np.inf)
    numbers, sizes = list(range(count)), np.ones(count)
    merges: list[tuple[int, int]] = []
    heights: list[float] = []
    for step in range(count - 1):
        # `i` is the smaller of both, as the matrix is symmetric.
        i, j = map(int, divmod(int(np.argmin(between)), count))
        merges.append((numbers[i], numbers[j]))
        # Rounding may not let a merge lie below the one before it.
        heights.append(max([float(between[i, j]), *heights[-1:]]))
        mean = sizes[i] * between[i] + sizes[j] * between[j]
        between[i] = between[:, i] = mean / (sizes[i] + sizes[j])
        between[j] = between[:, j] = np.inf
        between[i, i] = np.inf
        sizes[i] += sizes[j]
        numbers[i] = count + step
    return ClusterTree(tuple(merges), tuple(heights))


def _checked(distances: ArrayLike) -> np.ndarray:
    matrix = np.array(distances, np.float64)
    if matrix.ndim != 2 or len(set(matrix.shape)) != 1 or not len(matrix):
        raise ValueError(
            f"average_linkage: got distances of shape {matrix.shape}, expected "
            "(N, N) for N things, one at least."
        )
    if not np.isfinite(matrix).all() or not np.allclose(matrix, matrix.T):
        raise ValueError(
            "average_linkage: the distances are not finite and symmetric; pass "
            "one distance for each two things, such as 1 - IoU."
        )
    return matrix
