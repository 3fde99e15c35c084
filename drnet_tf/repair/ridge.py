"""Least squares with a ridge around given weights, streamed.

For each group of outputs,

    minimise over W, b   sum over samples |x W + b - y|^2 + r |W - W0|^2,

r = `ridge` times the mean of the diagonal of the Gram matrix of the centred x.
Only sums over samples are held: 1, x, y, x x', x y'. The bias is not pulled to
anything, so it follows from the means: b = mean(y) - mean(x) W.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from drnet_tf.repair.positive import solve_positive

# Shares of the inputs' power: with less spread than the first, products are
# summed in float64; with less than the second, inputs count as constant.
_LITTLE_SPREAD, _NO_SPREAD = 0.1, 1e-8


@dataclasses.dataclass
class Moments:
    """Sums over samples, in float64: of G groups, U unknowns, V outputs.

    Attributes:
      count: number of samples.
      x, y: `(G, U)` and `(G, V)`, sums.
      xx, xy: `(G, U, U)` and `(G, U, V)`, sums of products.
      yy: `(G, V)`, sums of squares.
    """

    count: int
    x: np.ndarray
    y: np.ndarray
    xx: np.ndarray
    xy: np.ndarray
    yy: np.ndarray

    @classmethod
    def zeros(cls, groups: int, unknowns: int, outputs: int) -> Moments:
        """Of no samples."""
        return cls(
            0,
            np.zeros((groups, unknowns)),
            np.zeros((groups, outputs)),
            np.zeros((groups, unknowns, unknowns)),
            np.zeros((groups, unknowns, outputs)),
            np.zeros((groups, outputs)),
        )

    def add(self, x: np.ndarray, y: np.ndarray) -> None:
        """Adds samples.

        Products are summed in the arrays' own type within a call, float64 over
        the calls: call it with some thousands of samples at a time. Inputs that
        hardly vary beside their mean are multiplied in float64: what is left
        of the products without the mean would be their rounding.

        Args:
          x: `(G, S, U)`.
          y: `(G, S, V)`.
        """
        sums, products = x.sum(1, dtype=float), np.swapaxes(x, 1, 2) @ x
        if _is_nearly_constant(sums, products, x.shape[1]):
            x, y = x.astype(float), y.astype(float)
            products = np.swapaxes(x, 1, 2) @ x
        self.count += x.shape[1]
        self.x += sums
        self.y += y.sum(1, dtype=float)
        self.xx += products
        self.xy += np.swapaxes(x, 1, 2) @ y
        self.yy += np.square(y, dtype=float).sum(1)

    def __add__(self, other: Moments) -> Moments:
        """Of the samples of both."""
        return Moments(
            *(
                getattr(self, field.name) + getattr(other, field.name)
                for field in dataclasses.fields(self)
            )
        )


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
      moments, kernel: as for `solve`.
      has_bias: whether there is a b.
      dtype: of the numbers that the systems are solved in.
    """

    def __init__(
        self,
        moments: Moments,
        kernel: np.ndarray,
        has_bias: bool,
        dtype: str = "float64",
    ) -> None:
        n = max(moments.count, 1)
        self._kernel, self._has_bias = kernel.astype(float), has_bias
        self._x, self._y = moments.x / n, moments.y / n
        centre = n if has_bias else 0
        gram = moments.xx - centre * self._x[:, :, None] * self._x[:, None, :]
        cross = moments.xy - centre * self._x[:, :, None] * self._y[:, None, :]
        rest = cross - gram @ self._kernel
        spread = np.trace(gram, axis1=1, axis2=2)
        # A group whose inputs do not vary keeps its weights: what is left of
        # its products without the mean is rounding.
        varies = spread > _NO_SPREAD * np.trace(moments.xx, axis1=1, axis2=2)
        unit = np.where(varies, spread / max(gram.shape[-1], 1), np.inf)
        unit = unit[:, None, None]
        self._gram = (gram / unit).astype(dtype, copy=False)
        self._rest = (rest / unit).astype(dtype, copy=False)

    def solved(self, ridge: float) -> tuple[np.ndarray, np.ndarray]:
        """Kernel `(G, U, V)` and bias `(G, V)`, zeros where there is none."""
        damped = self._gram.copy()
        unknowns = np.arange(damped.shape[-1])
        damped[:, unknowns, unknowns] += ridge
        found = self._kernel + solve_positive(damped, self._rest)
        bias = self._y - np.einsum("gu,guv->gv", self._x, found)
        return found, bias if self._has_bias else np.zeros_like(bias)


def solve(
    moments: Moments,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    ridge: float,
) -> Solution:
    """Solves the least squares problem.

    Args:
      moments: of at least one sample.
      kernel: `(G, U, V)`, W0.
      bias: `(G, V)`, the one so far, or None if there can be none.
      ridge: relative strength, > 0.

    Example:
      >>> x = np.array([[[1.0], [2.0], [3.0]]])
      >>> moments = Moments.zeros(1, 1, 1)
      >>> moments.add(x, 2 * x + 1)
      >>> found = solve(moments, np.ones((1, 1, 1)), np.zeros((1, 1)), 1e-9)
      >>> found.kernel.round(6).item(), found.bias.round(6).item()
      (2.0, 1.0)
    """
    system = _System(moments, kernel, bias is not None)
    found, new_bias, ridge = _solved_at_least(system, ridge)
    old_bias = np.zeros_like(new_bias) if bias is None else bias.astype(float)
    return Solution(
        found,
        new_bias,
        mean_square_error(moments, kernel.astype(float), old_bias),
        mean_square_error(moments, found, new_bias),
        variance(moments),
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
    fitted: Moments,
    held_back: Moments,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    candidates: Sequence[float],
) -> float:
    """The candidate whose solution fits best where it was not fitted.

    The error is taken to fall, then to rise: from the middle candidate on, the
    next one is tried as long as it does better.

    Args:
      fitted: of samples that the weights are solved for.
      held_back: of samples of other images, at least one.
      kernel, bias: as for `solve`.
      candidates: relative strengths, rising, at least one.
    """
    spread = variance(held_back)
    scale = np.where(spread > 0, spread, 1.0)

    # To compare candidates half the digits are enough.
    system = _System(fitted, kernel, bias is not None, "float32")

    def error(ridge: float) -> float:
        try:
            found = system.solved(ridge)
        except np.linalg.LinAlgError:  # too weak for so few digits
            return float("inf")
        errors = mean_square_error(held_back, *found)
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


def _is_nearly_constant(
    sums: np.ndarray, products: np.ndarray, count: int
) -> bool:
    """Whether the inputs of any group vary little beside their mean.

    Args:
      sums: `(G, U)` of the inputs.
      products: `(G, U, U)`, sums of their products.
      count: number of samples.
    """
    power = np.trace(products, axis1=1, axis2=2, dtype=float)
    of_means = np.square(sums).sum(1) / max(count, 1)
    return bool(np.any(power - of_means < _LITTLE_SPREAD * power))


def variance(moments: Moments) -> np.ndarray:
    """`(G, V)`: of y."""
    n = max(moments.count, 1)
    return np.maximum(moments.yy / n - np.square(moments.y / n), 0)


def mean_square_error(
    moments: Moments, kernel: np.ndarray, bias: np.ndarray
) -> np.ndarray:
    """`(G, V)`: mean over the samples of (x W + b - y)^2."""
    n = max(moments.count, 1)
    fitted = np.einsum("guv,guv->gv", kernel, moments.xx @ kernel)
    crossed = np.einsum("guv,guv->gv", kernel, moments.xy)
    sum_fitted = np.einsum("gu,guv->gv", moments.x, kernel)
    total = (
        fitted
        + moments.yy
        + n * bias**2
        - 2 * crossed
        + 2 * bias * (sum_fitted - moments.y)
    )
    return np.maximum(total / n, 0)
