"""What is known of a layer's inputs x and outputs y: samples, or their sums.

Least squares of n samples and U unknowns can be written in n or in U numbers:

    (X'X + r) D = X'E,  the same as  D = X'A with (XX' + r) A = E

(the second is ridge regression in its dual form: Saunders, Gammerman and Vovk,
"Ridge Regression Learning Algorithm in Dual Variables", ICML 1998). So samples
are held as they are while there are no more of them than unknowns; of more, the
sums of their products are.
"""

from __future__ import annotations

import dataclasses

import numpy as np

# Shares of the inputs' power: with less spread than this, products are summed
# in float64; with less than that, inputs count as constant.
_LITTLE_SPREAD = 0.1
NO_SPREAD = 1e-8
# As depthwise kernels have: up to here BLAS, called group by group, takes
# several times as long as plain sums.
_FEW_UNKNOWNS = 25


@dataclasses.dataclass(frozen=True)
class Equations:
    """(gram + r) z = rest, of which the change of the kernel is D = lift z.

    Attributes:
      gram: `(G, N, N)`, of N samples or unknowns.
      rest: `(G, N, V)`.
      lift: `(G, U, N)`; None if z is the change itself.
      spread: `(G,)`, sum of squares of the inputs, without their means if there
        is a bias.
      power: `(G,)`, the same with them.
    """

    gram: np.ndarray
    rest: np.ndarray
    lift: np.ndarray | None
    spread: np.ndarray
    power: np.ndarray


@dataclasses.dataclass
class Samples:
    """Samples themselves: of G groups, U unknowns, V outputs.

    Attributes:
      x: `(G, S, U)`.
      y: `(G, S, V)`.
    """

    x: np.ndarray
    y: np.ndarray

    @property
    def count(self) -> int:
        """Number of samples."""
        return self.x.shape[1]

    def means(self) -> tuple[np.ndarray, np.ndarray]:
        """`(G, U)` and `(G, V)`, in float64."""
        n = max(self.count, 1)
        return self.x.sum(1, dtype=float) / n, self.y.sum(1, dtype=float) / n

    def variance(self) -> np.ndarray:
        """`(G, V)`: of y."""
        distance = self.y - self.means()[1][:, None]
        return np.square(distance).sum(1) / max(self.count, 1)

    def mean_square_error(
        self, kernel: np.ndarray, bias: np.ndarray
    ) -> np.ndarray:
        """`(G, V)`: mean over the samples of (x W + b - y)^2."""
        made = self.x @ kernel.astype(self.x.dtype, copy=False)
        error = made + bias[:, None] - self.y
        return np.square(error).sum(1) / max(self.count, 1)

    def equations(
        self, kernel: np.ndarray, has_bias: bool, dtype: str
    ) -> Equations:
        """For the change of a kernel, in as many numbers as samples.

        Args:
          kernel: `(G, U, V)` float64, that is changed.
          has_bias: whether means are left out, since a bias takes them.
          dtype: of the result.
        """
        x, y = self.x.astype(float), self.y.astype(float)
        power = np.square(x).sum((1, 2))
        if has_bias:
            mean_x, mean_y = self.means()
            x, y = x - mean_x[:, None], y - mean_y[:, None]
        rest = (y - x @ kernel).astype(dtype, copy=False)
        spread = np.square(x).sum((1, 2))
        x = x.astype(dtype, copy=False)
        lift = np.swapaxes(x, 1, 2)
        return Equations(x @ lift, rest, lift, spread, power)


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
        sums, products = x.sum(1, dtype=float), _products(x, x)
        if _is_nearly_constant(sums, products, x.shape[1]):
            x, y = x.astype(float), y.astype(float)
            products = _products(x, x)
        self.count += x.shape[1]
        self.x += sums
        self.y += y.sum(1, dtype=float)
        self.xx += products
        self.xy += _products(x, y)
        self.yy += np.square(y, dtype=float).sum(1)

    def __add__(self, other: Moments) -> Moments:
        """Of the samples of both."""
        return Moments(
            *(
                getattr(self, field.name) + getattr(other, field.name)
                for field in dataclasses.fields(self)
            )
        )

    def means(self) -> tuple[np.ndarray, np.ndarray]:
        """`(G, U)` and `(G, V)`."""
        n = max(self.count, 1)
        return self.x / n, self.y / n

    def variance(self) -> np.ndarray:
        """`(G, V)`: of y."""
        n = max(self.count, 1)
        return np.maximum(self.yy / n - np.square(self.y / n), 0)

    def mean_square_error(
        self, kernel: np.ndarray, bias: np.ndarray
    ) -> np.ndarray:
        """`(G, V)`: mean over the samples of (x W + b - y)^2."""
        n = max(self.count, 1)
        fitted = np.einsum("guv,guv->gv", kernel, self.xx @ kernel)
        crossed = np.einsum("guv,guv->gv", kernel, self.xy)
        sum_fitted = np.einsum("gu,guv->gv", self.x, kernel)
        total = (
            fitted
            + self.yy
            + n * bias**2
            - 2 * crossed
            + 2 * bias * (sum_fitted - self.y)
        )
        return np.maximum(total / n, 0)

    def equations(
        self, kernel: np.ndarray, has_bias: bool, dtype: str
    ) -> Equations:
        """For the change of a kernel, in as many numbers as unknowns.

        Args:
          kernel, has_bias, dtype: see `Samples.equations`.
        """
        gram, cross = self.xx, self.xy
        if has_bias:
            mean_x, mean_y = self.means()
            gram = gram - self.x[:, :, None] * mean_x[:, None, :]
            cross = cross - self.x[:, :, None] * mean_y[:, None, :]
        rest = cross - gram @ kernel
        return Equations(
            gram.astype(dtype, copy=False),
            rest.astype(dtype, copy=False),
            None,
            np.trace(gram, axis1=1, axis2=2),
            np.trace(self.xx, axis1=1, axis2=2),
        )


class Collection:
    """Takes samples bit by bit, and holds what takes less room.

    Args:
      groups, unknowns, outputs: G, U and V.
    """

    def __init__(self, groups: int, unknowns: int, outputs: int) -> None:
        self._parts: list[Samples] = []
        self._sizes = (groups, unknowns, outputs)
        self._moments: Moments | None = None
        self._count = 0

    def add(self, samples: Samples | Moments) -> None:
        """Adds samples, or sums of them; keep their arrays as they are."""
        self._count += samples.count
        if isinstance(samples, Moments):
            self._moments = self._sums() + samples
        else:
            self._parts.append(samples)
        if self._moments is not None or self._count > self._sizes[1]:
            self._moments = self._sums()
            for part in self._parts:
                self._moments.add(part.x, part.y)
            self._parts.clear()

    def result(self) -> Samples | Moments:
        """All that was added."""
        if self._moments is not None:
            return self._moments
        if not self._parts:
            return Moments.zeros(*self._sizes)
        return Samples(
            np.concatenate([part.x for part in self._parts], 1),
            np.concatenate([part.y for part in self._parts], 1),
        )

    def _sums(self) -> Moments:
        return self._moments or Moments.zeros(*self._sizes)


def _products(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """`(G, U, V)`: sums over the samples of x y'.

    Args:
      x: `(G, S, U)`.
      y: `(G, S, V)`.
    """
    if x.shape[-1] <= _FEW_UNKNOWNS:
        return np.einsum("gsu,gsv->guv", x, y)
    return np.swapaxes(x, 1, 2) @ y


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
