"""Groups: the channels that scores are given to and that go together."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np

from drnet_tflite.bundles.plan import FIXED, Axis, Segment
from drnet_tflite.planning.channel_labels import ChannelLabels


@dataclasses.dataclass(frozen=True, eq=False)
class SitePlace:
    """Where a site of the Keras model lies in the file.

    Attributes:
      site: its name.
      tensor: number of the file's tensor.
      gates: `(C,)` int, which of the site's gates each channel has.
      atoms: `(C,)` of the channels.
    """

    site: str
    tensor: int
    gates: np.ndarray
    atoms: np.ndarray


class Groups:
    """Numbers every channel that may go: by group, and within it.

    Sites make the groups, in their order: channels that lie side by side at a
    site and are in no group yet are a new one.

    Args:
      labels: of the file.
      places: of the sites; gates that stand for several channels tie them.
      outputs: atoms of the model's outputs.

    Attributes:
      places: see above.
      widths: channels by group.
      entries: by site for each gate (group, channel), or None: it has to stay.

    Raises:
      ValueError: an output is tied to other channels.
    """

    def __init__(
        self,
        labels: ChannelLabels,
        places: Iterable[SitePlace],
        outputs: np.ndarray,
    ) -> None:
        self._atoms = labels.atoms
        self.places = places = tuple(places)
        for place in places:
            self._tie(place)
        frozen = set(self._roots_of(labels.frozen))
        self._where: dict[int, tuple[int, int]] = {}
        self.widths: list[int] = []
        for place in places:
            self._add(self._roots_of([place.atoms]), frozen)
        roots = self._roots_of([outputs])
        if len(set(roots)) < len(roots) or (
            set(roots) & (frozen | self._where.keys())
        ):
            raise ValueError(
                "the class scores are tied to other channels; convert the "
                "network of each sub-task by itself"
            )
        for name, atoms in labels.normalised.items():
            if set(self._roots_of([atoms])) != set(roots):
                raise ValueError(
                    f"operator SOFTMAX ('{name}') mixes other channels than "
                    "the class scores; convert the network of each sub-task by "
                    "itself"
                )
        last = len(self.widths)
        self._where.update({root: (last, i) for i, root in enumerate(roots)})
        self.entries = self._entries(places)

    def axis(self, atoms: np.ndarray) -> Axis:
        """The segments of a dimension along which these channels lie."""
        found: list[list[int]] = []
        for root in self._roots_of([atoms]):
            group, place = self._where.get(root, (FIXED, 0))
            last = found[-1] if found else None
            if (
                last
                and last[0] == group
                and (group == FIXED or last[1] + last[2] == place)
            ):
                last[2] += 1
            else:
                found.append([group, place, 1])
        return tuple(Segment(*x) for x in found)

    def kept(self, atoms: np.ndarray, keep: list[np.ndarray]) -> np.ndarray:
        """`(C,)` bool of channels, given those of the groups."""
        last = len(self.widths)
        found = [self._where.get(x, (last, 0)) for x in self._roots_of([atoms])]
        return np.array([g >= last or keep[g][i] for g, i in found], bool)

    def _roots_of(self, arrays: Iterable[np.ndarray]) -> list[int]:
        parts = list(arrays)
        if not parts:
            return []
        return self._atoms.roots(np.concatenate(parts)).tolist()

    def _tie(self, place: SitePlace) -> None:
        _, first, inverse = np.unique(
            place.gates, return_index=True, return_inverse=True
        )
        self._atoms.unite(place.atoms, place.atoms[first[inverse]])

    def _add(self, roots: list[int], frozen: set[int]) -> None:
        joins = False  # whether the channel before began or went on a group
        for root in roots:
            if root in frozen or root in self._where:
                joins = False
                continue
            if not joins:
                self.widths.append(0)
            self._where[root] = len(self.widths) - 1, self.widths[-1]
            self.widths[-1] += 1
            joins = True

    def _entries(
        self, places: Iterable[SitePlace]
    ) -> dict[str, list[tuple[int, int] | None]]:
        entries: dict[str, dict[int, tuple[int, int] | None]] = {}
        for place in places:
            gates = entries.setdefault(place.site, {})
            roots = self._roots_of([place.atoms])
            for gate, root in zip(place.gates.tolist(), roots, strict=True):
                gates[gate] = self._where.get(root)
        return {
            site: [gates[i] for i in range(len(gates))]
            for site, gates in entries.items()
        }
