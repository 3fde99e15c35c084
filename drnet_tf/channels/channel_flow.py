"""What is known of every channel of every tensor of a masked network."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Container

import numpy as np

from drnet_tf.channels.atoms import Atoms
from drnet_tf.graph import Call, Graph


@dataclasses.dataclass
class Channels:
    """The channels of one tensor.

    Attributes:
      axis: where they are, counted from the end: -1 for channels last.
      atoms: `(C,)` int, which channels can only go together; see `Atoms`.
      values: `(C,)` float64, the one value that the channel has at every
        place of every image in the masked network; NaN where it varies or is
        unknown (a live channel).
      needed: `(C,)` bool, whether a reader relies on the channel's value.
    """

    axis: int
    atoms: np.ndarray
    values: np.ndarray
    needed: np.ndarray

    def __len__(self) -> int:
        return len(self.atoms)


@dataclasses.dataclass(frozen=True)
class MaskedSite:
    """A tensor whose channels are multiplied by 0 or 1.

    Attributes:
      name: of the site.
      axis: the channel axis, counted from the end.
      keep: `(C,)` bool.
    """

    name: str
    axis: int
    keep: np.ndarray


class ChannelFlow:
    """Channels of all tensors of a graph, filled by `analysis.analyse`.

    The rules of `channels/rules` write to it, one call of the graph at a time:
    forward they give every tensor its axis, atoms and values; backward they
    mark which channels of their inputs are needed.

    Args:
      graph: of the network.
      masks: the masked sites by the number of their tensor.
      head: calls from the classifier to the output, by name, if class rows are
        cut: there channels are classes, which go and stay alone.

    Attributes:
      channels: of each tensor, by its number.
      frozen: atoms that no mask can remove; filled for tied sites only.
      kept_for: which atoms stay whatever the mask says, by the reason and
        their bytes: one entry, however often it is said.
      dropped: inputs that a call no longer reads, by its name.
      class_order: atoms of the class rows that are kept, in their order.
      alive: names of the calls that the small network has.
      silent: `(C,)` bool by call name: output channels that the call's weights
        have to make zero.
      closed: `(C,)` bool by tensor: channels that a layer of their own has to
        make zero.
    """

    def __init__(
        self,
        graph: Graph,
        masks: dict[int, MaskedSite],
        head: frozenset[str] = frozenset(),
    ) -> None:
        self.graph = graph
        self.masks = masks
        self.head = head
        self.atoms = Atoms()
        self.channels: dict[int, Channels] = {}
        self.kept_for: dict[tuple[str, bytes], np.ndarray] = {}
        self.dropped: dict[str, frozenset[int]] = {}
        self.silent: dict[str, np.ndarray] = {}
        self.closed: dict[int, np.ndarray] = {}
        self.alive: frozenset[str] = frozenset()
        self.class_order: np.ndarray | None = None
        self.frozen: list[np.ndarray] = []
        self._views: dict[tuple[int, int], Channels] = {}
        self._kept = np.zeros(0, bool)
        self._calls = collections.defaultdict(list)
        for call in graph.calls:
            self._calls[id(call.operation)].append(call)

    def __getitem__(self, tensor: int) -> Channels:
        return self.channels[tensor]

    def shape(self, tensor: int) -> tuple[int | None, ...]:
        """Shape of a tensor of the full network, batch first."""
        return tuple(self.graph.tensors[tensor].shape)

    def calls_of(self, call: Call) -> list[Call]:
        """All calls of the operation of `call`; more than one if shared."""
        return self._calls[id(call.operation)]

    def is_shared(self, call: Call) -> bool:
        """Whether the operation is called more than once."""
        return len(self.calls_of(call)) > 1

    # Forward.

    def add(
        self,
        tensor: int,
        axis: int,
        atoms: np.ndarray,
        values: np.ndarray | None = None,
    ) -> None:
        """Says which channels a call's output has; its mask is applied."""
        values = np.full(len(atoms), np.nan) if values is None else values
        needed = np.zeros(len(atoms), bool)
        self.channels[tensor] = Channels(axis, atoms, values.copy(), needed)
        if tensor in self.masks:
            site = self.masks[tensor]
            self.on_axis(tensor, site.axis).values[~site.keep] = 0.0

    def add_new(
        self, tensor: int, axis: int = -1, values: np.ndarray | None = None
    ) -> None:
        """As `add`, with atoms of the tensor's own."""
        shape = self.shape(tensor)
        axis = max(axis, -len(shape))
        width = shape[axis] if shape else 1
        self.add(tensor, axis, self.atoms.new(width or 1), values)

    def on_axis(self, tensor: int, axis: int) -> Channels:
        """The channels of a tensor as a reader with that channel axis sees it.

        If they lie on another axis, the reader sees live channels on its own;
        those stay, and so do the tensor's own, as long as the tensor is read.
        """
        if self[tensor].axis == axis:
            return self[tensor]
        if (tensor, axis) not in self._views:
            width = self.shape(tensor)[axis] or 1
            self._views[tensor, axis] = Channels(
                axis,
                self.atoms.new(width),
                np.full(width, np.nan),
                np.zeros(width, bool),
            )
        return self._views[tensor, axis]

    def tie(self, call: Call, axis: int) -> None:
        """Ties the input of a shared layer's call to that of its first call."""
        first = self.calls_of(call)[0]
        if first is not call:
            self.atoms.unite(
                self.on_axis(first.inputs[0], axis).atoms,
                self.on_axis(call.inputs[0], axis).atoms,
            )

    def freeze(self, tensor: int) -> None:
        """Says that no channel of a tensor can ever go."""
        self.frozen.append(self[tensor].atoms)

    def freeze_views(self) -> None:
        """Freezes what is read along another axis than its channels'."""
        for (tensor, _), view in self._views.items():
            self.freeze(tensor)
            self.frozen.append(view.atoms)

    # Between: forward is complete.

    def shared_values(self, call: Call, axis: int) -> np.ndarray:
        """Values of the first input, NaN where calls of the layer differ."""
        values = self.on_axis(call.inputs[0], axis).values.copy()
        for other in self.calls_of(call):
            others = self.on_axis(other.inputs[0], axis).values
            values[values != others] = np.nan
        return values

    # Backward.

    def needed(self, tensor: int) -> np.ndarray:
        """`(C,)` bool: which channels its call has to compute.

        A masked channel needs no computing: after it comes the zero.
        """
        channels = self[tensor]
        if any(view.needed.any() for view in self._views_of(tensor)):
            channels.needed[:] = True
        needed = channels.needed.copy()
        site = self.masks.get(tensor)
        if site and site.axis == channels.axis:
            needed &= site.keep
        return needed

    def relied_on(self, tensor: int, axis: int) -> np.ndarray:
        """`(C,)` bool: channels along an axis whose values somebody relies on.

        Whoever reads the tensor along another axis relies on all of these.
        """
        needed = self.on_axis(tensor, axis).needed
        others = [self[tensor], *self._views_of(tensor)]
        if any(x.axis != axis and x.needed.any() for x in others):
            return np.ones(len(needed), bool)
        return needed

    def need_all(self, tensor: int) -> None:
        """Marks all channels of a tensor as needed."""
        self[tensor].needed[:] = True

    def drop(self, call: Call, tensors: frozenset[int]) -> None:
        """Says that a call does not read some of its inputs."""
        self.dropped[call.name] = tensors

    # After: which channels are there.

    def keep(self, atoms: np.ndarray, reason: str) -> None:
        """Keeps atoms whatever the mask says."""
        self._kept[self.atoms.roots(atoms)] = True
        self.kept_for[reason, atoms.tobytes()] = atoms

    def keep_all(self, tensor: int, reason: str) -> None:
        """Keeps all channels of a tensor whatever the mask says."""
        self.keep(self[tensor].atoms, reason)

    def count_kept(self) -> int:
        """How many atoms are kept."""
        return int(self._kept.sum())

    def find_kept(self) -> None:
        """Keeps the atoms that are needed, once backward is complete."""
        self._kept = np.zeros(len(self.atoms), bool)
        for channels in (*self.channels.values(), *self._views.values()):
            needed = channels.atoms[channels.needed]
            self._kept[self.atoms.roots(needed)] = True

    def keep_views(self, tensors: Container[int]) -> None:
        """Keeps what is read along another axis than that of the channels."""
        for (tensor, _), view in self._views.items():
            if tensor in tensors:
                reason = "a layer reads them along another axis"
                self.keep_all(tensor, reason)
                self.keep(view.atoms, reason)

    def is_kept(self, channels: Channels) -> np.ndarray:
        """`(C,)` bool: which of the channels the small network has.

        An axis that is asked for only now has all of its places.
        """
        roots = self.atoms.roots(channels.atoms)
        known = roots < len(self._kept)
        kept = np.ones(len(roots), bool)
        kept[known] = self._kept[roots[known]]
        return kept

    def kept(self, channels: Channels) -> np.ndarray:
        """Numbers of the channels that the small network has, in its order."""
        kept = np.flatnonzero(self.is_kept(channels))
        if self.class_order is None:
            return kept
        places = {
            root: place
            for place, root in enumerate(
                self.atoms.roots(channels.atoms).tolist()
            )
        }
        rows = [
            places.get(root, -1)
            for root in self.atoms.roots(self.class_order).tolist()
        ]
        return np.array(rows) if sorted(rows) == kept.tolist() else kept

    def is_silent(self, call: Call) -> np.ndarray:
        """`(C,)` bool: output channels that the weights have to make zero."""
        width = len(self[call.outputs[0]])
        return self.silent.get(call.name, np.zeros(width, bool))

    def _views_of(self, tensor: int) -> list[Channels]:
        return [x for (seen, _), x in self._views.items() if seen == tensor]
