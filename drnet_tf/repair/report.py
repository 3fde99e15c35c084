"""What repair did to each layer."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from drnet_tf.pruning import PrunedModel


@dataclasses.dataclass(frozen=True)
class LayerRepair:
    """One call whose weights were refitted.

    Attributes:
      name: of the call in the pruned network.
      samples: how many places of images it was fitted to.
      unknowns: how many weights each of its outputs has.
      error_before, error_after: mean square of the difference to the full
        network's values, as a share of their variance, over all outputs: with
        the weights of the mask (but repaired inputs) and with the new ones.
      ridge: how strongly the weights were held to the old ones.
      matched: "output", or "sum" if it was fitted to the addition it ends in.
    """

    name: str
    samples: int
    unknowns: int
    error_before: float
    error_after: float
    ridge: float
    matched: str


@dataclasses.dataclass(frozen=True)
class RepairReport:
    """What `repair` did. `print(report)` shows it as a table.

    Attributes:
      method: as given to `repair`.
      images: their number.
      layers: refitted convolutions and Dense layers, in graph order.
      norms: names of the batch norms that were matched.
      left: calls with weights that stay as they are, and why.
      divergences: of `repair_best`, of every method it tried, in nats.
    """

    method: str
    images: int
    layers: tuple[LayerRepair, ...]
    norms: tuple[str, ...]
    left: Mapping[str, str]
    divergences: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def underdetermined(self) -> tuple[str, ...]:
        """Layers with fewer samples than unknowns: the ridge decides there."""
        return tuple(x.name for x in self.layers if x.samples < x.unknowns)

    def as_dict(self) -> dict[str, Any]:
        """All of it as dicts, lists, strings and numbers, ready for JSON."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        lines = [
            f"Repaired by {self.method} with {self.images:,} images: "
            f"{len(self.layers)} layers refitted, {len(self.norms)} norms "
            "matched"
        ]
        if self.layers:
            width = max(len(x.name) for x in self.layers)
            lines.append("")
            lines.append(
                f"{'layer'.ljust(width)}  samples  unknowns  error before  "
                "after  ridge  matched"
            )
            lines += [
                f"{x.name.ljust(width)}  {x.samples:>7,}  {x.unknowns:>8,}  "
                f"{x.error_before:>12.3f}  {x.error_after:>5.3f}  "
                f"{x.ridge:>5.0e}  {x.matched}"
                for x in self.layers
            ]
        if self.divergences:
            lines += ["", "Divergence from the full network, held-back images:"]
            lines += [f"  {x}: {y:.4f}" for x, y in self.divergences.items()]
        if self.left:
            lines += ["", "Left as they are:"]
            lines += [f"  {name}: {why}" for name, why in self.left.items()]
        return "\n".join(lines)


@dataclasses.dataclass(frozen=True)
class RepairedModel(PrunedModel):
    """A pruned network with new weights.

    Attributes:
      repair: what was done; None if nothing was.
    """

    repair: RepairReport | None = None
