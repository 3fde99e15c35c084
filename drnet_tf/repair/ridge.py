"""Least squares with a ridge around given weights.

For each group of outputs,

    minimise over W, b   sum over samples |x W + b - y|^2 + r |W - W0|^2,

r = `ridge` times the mean of the diagonal of the Gram matrix of the centred x.
The bias is not pulled to anything, so it follows from the means:
b = mean(y) - mean(x) W. Solved in as many numbers as there are unknowns or
samples, whichever is less; see `samples`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from drnet_tf.repair.positive import solve_positive
from drnet_tf.repair.samples import NO_SPREAD, Moments, Samples


@dataclasses.dataclass(frozen=True)
class Solution:
    """Weights, and how well they fit.

    Attributes:
      kernel: `(G, U, V)` float64.
      bias: `(G, V)` float64; zeros without a bias.
      error_before, error_after: `(G, V)`, mean square of x W + b - y with the
        weights given and with the new ones.
      variance: `(G, V)`, of y.
      ridge: the strength, that which was asked for or, if that left the system
        indefinite by rounding, a stronger one.
    """

    kernel: np.ndarray
    bias: np.ndarray
    error_before: np.ndarray
    error_after: np.ndarray
    variance: np.ndarray
    ridge: float


class _System:
    """The normal equations of the change W - W0, of which b is left out.

    Solved for the change, what the samples do not determine stays exactly.

    Args:
      samples, kernel: as for `solve`.
      has_bias: whether there is a b.
      dtype: of the numbers that the systems are solved in.
    """

    def __init__(
        self,
        samples: Samples | Moments,
        kernel: np.ndarray,
        has_bias: bool,
        dtype: str = "float64",
    ) -> None:
        self._kernel, self._has_bias = kernel.astype(float), has_bias
        self._x, self._y = samples.means()
        equations = samples.equations(self._kernel, has_bias, dtype)
        # A group whose inputs do not vary keeps its weights: what is left of
        # its products without the mean is rounding.
        varies = equations.spread > NO_SPREAD * equations.power
        unit = equations.spread / max(kernel.shape[1], 1)
        unit = np.where(varies, unit, np.inf).astype(dtype)[:, None, None]
        self._gram, self._rest = equations.gram / unit, equations.rest / unit
        self._lift = equations.lift

    def solved(self, ridge: float) -> tuple[np.ndarray, np.ndarray]:
        """Kernel `(G, U, V)` and bias `(G, V)`, zeros where there is none."""
        damped = self._gram.copy()
        diagonal = np.arange(damped.shape[-1])
        damped[:, diagonal, diagonal] += ridge
        change = solve_positive(damped, self._rest)
        if self._lift is not None:
            change = self._lift @ change
        found = self._kernel + change
        bias = self._y - np.einsum("gu,guv->gv", self._x, found)
        return found, bias if self._has_bias else np.zeros_like(bias)


def solve(
    samples: Samples | Moments,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    ridge: float,
) -> Solution:
    """Solves the least squares problem.

    Args:
      samples: at least one, or sums of them.
      kernel: `(G, U, V)`, W0.
      bias: `(G, V)`, the one so far, or None if there can be none.
      ridge: relative strength, > 0.

    Example:
      >>> x = np.array([[[1.0], [2.0], [3.0]]])
      >>> samples = Samples(x, 2 * x + 1)
      >>> found = solve(samples, np.ones((1, 1, 1)), np.zeros((1, 1)), 1e-9)
      >>> found.kernel.round(6).item(), found.bias.round(6).item()
      (2.0, 1.0)
    """
    system = _System(samples, kernel, bias is not None)
    found, new_bias, ridge = _solved_at_least(system, ridge)
    old_bias = np.zeros_like(new_bias) if bias is None else bias.astype(float)
    return Solution(
        found,
        new_bias,
        samples.mean_square_error(kernel.astype(float), old_bias),
        samples.mean_square_error(found, new_bias),
        samples.variance(),
        ridge,
    )


def _solved_at_least(
    system: _System, ridge: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Kernel, bias and the strength that made the system definite."""
    while True:
        try:
            return *system.solved(ridge), ridge
        except np.linalg.LinAlgError:
            if ridge > 1:
                raise
            ridge *= 10


def choose_ridge(
    fitted: Samples | Moments,
    held_back: Samples | Moments,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    candidates: Sequence[float],
) -> float:
    """The candidate whose solution fits best where it was not fitted.

    The error is taken to fall, then to rise: from the middle candidate on, the
    next one is tried as long as it does better.

    Args:
      fitted: samples that the weights are solved for.
      held_back: samples of other images, at least one.
      kernel, bias: as for `solve`.
      candidates: relative strengths, rising, at least one.
    """
    spread = held_back.variance()
    scale = np.where(spread > 0, spread, 1.0)

    # To compare candidates half the digits are enough.
    system = _System(fitted, kernel, bias is not None, "float32")

    def error(ridge: float) -> float:
        try:
            found = system.solved(ridge)
        except np.linalg.LinAlgError:  # too weak for so few digits
            return float("inf")
        errors = held_back.mean_square_error(*found)
        return float((errors / scale).sum())

    place = len(candidates) // 2
    least = error(candidates[place])
    for step in (-1, 1):
        moved = False
        while 0 <= place + step < len(candidates):
            found = error(candidates[place + step])
            if found >= least:
                break
            place, least, moved = place + step, found, True
        if moved:
            break
    return candidates[place]
