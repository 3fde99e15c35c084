"""Positive definite systems, solved by blocks.

A = L L' is factorised block column by block column, so that nearly all the work
is products of matrices: with thousands of unknowns that is up to three times as
fast as LAPACK's solver of general systems, the only one that NumPy has (Golub
and Van Loan, "Matrix Computations", section 4.2.9).
"""

from __future__ import annotations

import numpy as np

_BLOCK = 128
# Below it the general solver is as fast, and takes many systems at once.
_FEW = 512


class Cholesky:
    """The lower triangular L of A = L L'.

    Args:
      matrix: `(U, U)`, A, symmetric and positive definite.

    Raises:
      np.linalg.LinAlgError: it is not positive definite.

    Example:
      >>> factor = Cholesky(np.array([[4.0, 2.0], [2.0, 5.0]]))
      >>> factor.solve(np.array([[8.0], [10.0]])).ravel().tolist()
      [1.25, 1.5]
      >>> factor.solve_lower(np.array([[8.0], [10.0]])).ravel().tolist()
      [4.0, 3.0]
    """

    def __init__(self, matrix: np.ndarray) -> None:
        self._lower = np.zeros_like(matrix)
        self._starts = range(0, len(matrix), _BLOCK)
        self._inverses: list[np.ndarray] = []  # of the blocks on the diagonal
        for start in self._starts:
            own = slice(start, start + _BLOCK)
            done = self._lower[start:, :start]
            column = matrix[start:, own] - done @ done[:_BLOCK].T
            diagonal = np.linalg.cholesky(column[:_BLOCK])
            inverse = np.linalg.inv(diagonal)
            self._lower[own, own] = diagonal
            self._lower[start + _BLOCK :, own] = column[_BLOCK:] @ inverse.T
            self._inverses.append(inverse)

    def solve_lower(self, right: np.ndarray) -> np.ndarray:
        """`(U, V)`: L^-1 b."""
        found = np.empty_like(right)
        for start, inverse in zip(self._starts, self._inverses, strict=True):
            own = slice(start, start + _BLOCK)
            known = self._lower[own, :start] @ found[:start]
            found[own] = inverse @ (right[own] - known)
        return found

    def solve(self, right: np.ndarray) -> np.ndarray:
        """`(U, V)`: A^-1 b."""
        found = self.solve_lower(right)
        pairs = list(zip(self._starts, self._inverses, strict=True))
        for start, inverse in reversed(pairs):
            own, end = slice(start, start + _BLOCK), start + _BLOCK
            known = self._lower[end:, own].T @ found[end:]
            found[own] = inverse.T @ (found[own] - known)
        return found


def solve_positive(matrices: np.ndarray, right: np.ndarray) -> np.ndarray:
    """`(G, U, V)`: A^-1 b for G systems.

    Args:
      matrices: `(G, U, U)`, symmetric and positive definite.
      right: `(G, U, V)`, of the same type.

    Raises:
      np.linalg.LinAlgError: one is not positive definite.
    """
    if matrices.shape[-1] <= _FEW:
        np.linalg.cholesky(matrices)  # the general solver refuses none
        return np.linalg.solve(matrices, right)
    return np.stack(
        [Cholesky(a).solve(b) for a, b in zip(matrices, right, strict=True)]
    )
