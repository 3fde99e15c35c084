"""What is told after each epoch."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence

_LAST = 10  # epochs that say how long one takes


@dataclasses.dataclass(frozen=True)
class EpochReport:
    """An epoch that is done.

    Attributes:
      epoch: its number, from 1.
      epochs: how many there are in all.
      loss: mean cross-entropy of its images in nats, each before its update.
      accuracy: fraction of the images held back; None if there are none.
      seconds: that it took.
      seconds_left: estimate for the epochs that are left.

    Example:
      >>> print(EpochReport(12, 550, 0.4321, 0.8765, 57.0, 30666.0))
      epoch 12/550  loss 0.4321  accuracy 87.65 %  57 s  8 h 31 min left
    """

    epoch: int
    epochs: int
    loss: float
    accuracy: float | None
    seconds: float
    seconds_left: float

    def __str__(self) -> str:
        parts = [f"epoch {self.epoch}/{self.epochs}", f"loss {self.loss:.4f}"]
        if self.accuracy is not None:
            parts.append(f"accuracy {100 * self.accuracy:.2f} %")
        parts.append(duration(self.seconds))
        if self.epoch < self.epochs:
            parts.append(f"{duration(self.seconds_left)} left")
        return "  ".join(parts)


def seconds_left(seconds: Sequence[float], epochs: int) -> float:
    """Estimate for the epochs that are left: what the last ones took, each.

    The median of the last ten; the first epoch takes longer, as the network is
    traced.

    Args:
      seconds: of each epoch done, one or more.
      epochs: how many there are in all.

    Example:
      >>> seconds_left([90.0, 10.0, 11.0], epochs=5)
      22.0
    """
    return statistics.median(seconds[-_LAST:]) * (epochs - len(seconds))


def duration(seconds: float) -> str:
    """A span of time in the two units that matter.

    Example:
      >>> [duration(s) for s in (0.31, 9.94, 75, 3600, 200_000)]
      ['0.3 s', '9.9 s', '1 min 15 s', '1 h 0 min', '2 d 7 h']
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"
