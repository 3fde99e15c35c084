"""What pruning did to each layer, and what it could not do."""

from __future__ import annotations

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class LayerChange:
    """One call of a layer with weights, before and after.

    Attributes:
      name, kind: of the call in the full network, and its layer's class.
      inputs_before, inputs_after: input channels.
      outputs_before, outputs_after: output channels.
      parameters_before, parameters_after: all weights; 0 for further calls of
        a shared layer.
      macs_before, macs_after: multiply-accumulates for one image; None if the
        image size is open.

    All of a removed layer's "after" are 0.
    """

    name: str
    kind: str
    inputs_before: int
    inputs_after: int
    outputs_before: int
    outputs_after: int
    parameters_before: int
    parameters_after: int
    macs_before: int | None
    macs_after: int | None


@dataclasses.dataclass(frozen=True)
class KeptAgainstMask:
    """Channels of a site that the mask silences and that are there still."""

    site: str
    channels: int
    reason: str


@dataclasses.dataclass(frozen=True)
class Silenced:
    """Channels of a site that are there still and had to be made zero."""

    site: str
    channels: int
    how: str


@dataclasses.dataclass(frozen=True)
class Unknown:
    """A call of an operation without a rule."""

    name: str
    kind: str


@dataclasses.dataclass(frozen=True)
class PruneReport:
    """What `prune` did. `print(report)` shows it as a table.

    Attributes:
      model: name of the model.
      layers: every call of a layer with weights, in graph order.
      kept_against_mask: masked channels that stayed, and why.
      silenced: masked channels that stayed and are made zero, and how.
      removed: names of the calls that are gone.
      unknown: calls without a rule: their channels stay.
      masked: number of masked channels at all sites.
      masked_removed: how many of them are gone.
      parameters_before, parameters_after: all weights of the model.
      macs_before, macs_after: multiply-accumulates for one image; None if the
        image size is open.
    """

    model: str
    layers: tuple[LayerChange, ...]
    kept_against_mask: tuple[KeptAgainstMask, ...]
    silenced: tuple[Silenced, ...]
    removed: tuple[str, ...]
    unknown: tuple[Unknown, ...]
    masked: int
    masked_removed: int
    parameters_before: int
    parameters_after: int
    macs_before: int | None
    macs_after: int | None

    def as_dict(self) -> dict[str, Any]:
        """All of it as dicts, lists, strings and ints, ready for JSON."""
        return dataclasses.asdict(
            self, dict_factory=lambda pairs: {k: _plain(v) for k, v in pairs}
        )

    def __str__(self) -> str:
        lines = [
            f"Pruned '{self.model}': {self.masked_removed:,} of "
            f"{self.masked:,} masked channels removed",
            _totals(
                "parameters", self.parameters_before, self.parameters_after
            ),
            _totals("MACs", self.macs_before, self.macs_after),
            "",
            *_table(self.layers),
        ]
        lines += _section("Removed", [f"{name}" for name in self.removed])
        lines += _section(
            "Kept against the mask",
            [
                f"{x.site}: {x.channels} channels, {x.reason}"
                for x in self.kept_against_mask
            ],
        )
        lines += _section(
            "Silenced",
            [
                f"{x.site}: {x.channels} channels by {x.how}"
                for x in self.silenced
            ],
        )
        lines += _section(
            "Without a rule (their channels stay)",
            [f"{x.name} ({x.kind})" for x in self.unknown],
        )
        return "\n".join(lines)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _totals(what: str, before: int | None, after: int | None) -> str:
    if before is None or after is None:
        return f"{what}: open, as the image size is"
    share = 100 * after / before if before else 100.0
    return f"{what}: {before:,} -> {after:,} ({share:.1f} %)"


def _table(layers: tuple[LayerChange, ...]) -> list[str]:
    rows = [("layer", "channels in", "channels out", "parameters", "MACs")]
    for x in layers:
        rows.append(
            (
                f"{x.name} ({x.kind})",
                _change(x.inputs_before, x.inputs_after),
                _change(x.outputs_before, x.outputs_after),
                _change(x.parameters_before, x.parameters_after),
                _change(x.macs_before, x.macs_after),
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            [row[0].ljust(widths[0])]
            + [x.rjust(w) for x, w in zip(row[1:], widths[1:], strict=True)]
        )
        for row in rows
    ]


def _change(before: int | None, after: int | None) -> str:
    if before is None or after is None:
        return "-"
    return f"{before:,} -> {after:,}"


def _section(title: str, lines: list[str]) -> list[str]:
    if not lines:
        return []
    return ["", f"{title}:", *(f"  {line}" for line in lines)]
