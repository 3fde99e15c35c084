"""What was written as a bundle, and how well it holds."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class BundleReport:
    """What `write_bundle` wrote.

    Attributes:
      path, bytes: of the file.
      quantization: its number format.
      channels: that may go, of all groups.
      frozen: by site the number of channels that always stay.
      folds: layers whose biases take over what silent channels say.
      score_loss: greatest difference of a stored score to the importance.
      max_difference: of two sub-networks to the masked file, as a share of the
        class scores' scale.
    """

    path: str
    bytes: int
    quantization: str
    channels: int
    frozen: Mapping[str, int]
    folds: tuple[str, ...]
    score_loss: float
    max_difference: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        lines = [
            f"{self.path}: {self.bytes:,} bytes, {self.quantization}, "
            f"{self.channels} channels that may go",
            f"  sub-networks differ from the masked file by at most "
            f"{self.max_difference:.1e}, scores from the importance by "
            f"{self.score_loss:.1e}",
        ]
        if self.frozen:
            count = sum(self.frozen.values())
            names = ", ".join(self.frozen)
            lines.append(f"  {count} channels always stay, at {names}")
        return "\n".join(lines)
