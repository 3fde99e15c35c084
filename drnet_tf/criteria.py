"""What may be asked of a sub-network."""

from __future__ import annotations

import dataclasses
import math
import numbers
from typing import Any

import numpy as np

from drnet_tf.masks import check_round_to, is_number

RECONSTRUCTION = "reconstruction"
ALLOCATIONS = ("threshold", "layers", RECONSTRUCTION)


# The criteria, of which one is given.
_CRITERIA = (
    "threshold",
    "max_parameters",
    "max_macs",
    "max_bytes",
    "max_milliseconds",
    "max_drop",
)
_LIMITS = ("max_parameters", "max_macs", "max_bytes")


@dataclasses.dataclass(frozen=True)
class Criterion:
    """What is asked of a sub-network. One of the first six is given.

    Arrays without axes become numbers of Python's, 2.0 channels become 2.

    Attributes:
      threshold: on the importance, > 0.
      max_parameters, max_macs: an int is a number, a float in (0, 1] a fraction
        of the full network.
      max_bytes: of the float32 `.tflite` file with its labels, as the former.
      max_milliseconds: of one image in LiteRT on this machine's CPU, > 0.
      max_drop: of the accuracy, in percentage points.
      rule: how classes are combined, see `rules.subtask_scores`.
      round_to: every site keeps a multiple of this many channels.
      allocation: "threshold": one for all sites; "layers": channels are taken
        where that loses least for what it saves; "reconstruction": and those
        that it loses least without.

    Raises:
      ValueError: not exactly one of the six, or a bad value.
    """

    threshold: float | None = None
    max_parameters: int | float | None = None
    max_macs: int | float | None = None
    max_bytes: int | float | None = None
    max_milliseconds: float | None = None
    max_drop: float | None = None
    rule: str = "union"
    round_to: int = 1
    allocation: str = "threshold"

    def __post_init__(self) -> None:
        for name in _CRITERIA:
            value: Any = getattr(self, name)
            if isinstance(value, np.ndarray) and value.ndim == 0:
                object.__setattr__(self, name, value.item())
        given = [x for x in _CRITERIA if getattr(self, x) is not None]
        if len(given) != 1:
            raise ValueError(
                f"DRNet.subtask: got {', '.join(given) or 'no criterion'}, "
                f"expected exactly one of {', '.join(_CRITERIA)}."
            )
        if self.allocation not in ALLOCATIONS:
            raise ValueError(
                f"allocation: got {self.allocation!r}, expected one of "
                f"{', '.join(ALLOCATIONS)}."
            )
        if self.allocation != "threshold" and self.name == "threshold":
            raise ValueError(
                f"allocation {self.allocation!r}: got a threshold, expected "
                f"one of {', '.join(_CRITERIA[1:])} with it."
            )
        object.__setattr__(self, "round_to", check_round_to(self.round_to))
        if self.name in _LIMITS:
            self.limit(1.0)
        if self.name == "max_milliseconds":
            self._check_time()

    @property
    def name(self) -> str:
        """Which of the six is given."""
        return next(x for x in _CRITERIA if getattr(self, x) is not None)

    @property
    def value(self) -> int | float:
        """Its value."""
        return getattr(self, self.name)

    def limit(self, full: float) -> float:
        """The value as a number, from a number or a fraction of `full`.

        Raises:
          ValueError: it is neither a whole number above 0 nor a fraction.
        """
        value: Any = self.value  # numpy's numbers, and whatever was given
        whole = isinstance(value, numbers.Integral)
        if whole and value > 0 and value is not True:
            return int(value)
        part = isinstance(value, numbers.Real) and not whole
        if part and 0 < float(value) <= 1:
            return float(value) * full
        raise ValueError(
            f"{self.name}: got {value!r}, expected a whole number above 0, or "
            "a float in (0, 1] as a fraction of the full network's."
        )

    def _check_time(self) -> None:
        value = self.value
        if not is_number(value) or not 0 < value < math.inf:
            raise ValueError(
                f"{self.name}: got {value!r}, expected milliseconds above 0, "
                "e.g. 2.5."
            )
