"""Which channels the dimensions of a file's tensors stand for."""

from __future__ import annotations

import dataclasses

import numpy as np

from drnet_tf.channels.atoms import Atoms


@dataclasses.dataclass(frozen=True, eq=False)
class Dimension:
    """A dimension along which channels lie.

    Attributes:
      atoms: of the channels; see `drnet_tf.channels.atoms`.
      repeats: how often they stand there, one whole set after the other: the
        number of places, behind a flatten.
    """

    atoms: np.ndarray
    repeats: int = 1


@dataclasses.dataclass(frozen=True)
class Reader:
    """An operator that mixes channels.

    Attributes:
      kind: e.g. "CONV_2D".
      source, weights, bias: tensors; -1 for no bias.
      pads: whether it may read zeros beside the image.
    """

    kind: str
    source: int
    weights: int
    bias: int
    pads: bool


class ChannelLabels:
    """What is known of the channels of all tensors.

    Attributes:
      atoms: sets of channels that can only go together.
      last: by tensor its last dimension, where channels lie along it.
      others: by tensor and number of the dimension those of weights that
        channels lie along besides.
      frozen: atoms that have to stay.
      readers: by the operator's name.
      normalised: by the name of a softmax the atoms that it mixes: as scores
        of the classes they may be fewer.
      stored: where the values lie of weights that are computed from others.
    """

    def __init__(self) -> None:
        self.atoms = Atoms()
        self.last: dict[int, Dimension] = {}
        self.others: dict[tuple[int, int], Dimension] = {}
        self.frozen: list[np.ndarray] = []
        self.readers: dict[str, Reader] = {}
        self.normalised: dict[str, np.ndarray] = {}
        self.stored: dict[int, int] = {}

    def new(self, tensor: int, count: int) -> Dimension:
        """Channels of their own along a tensor's last dimension."""
        self.last[tensor] = Dimension(self.atoms.new(count))
        return self.last[tensor]

    def freeze(self, tensor: int) -> None:
        """Says that a tensor's channels have to stay."""
        if tensor in self.last:
            self.frozen.append(self.last[tensor].atoms)

    def unite(self, first: Dimension, second: Dimension) -> bool:
        """Ties channels pair by pair; False if they do not lie alike."""
        if first.repeats != second.repeats or len(first.atoms) != len(
            second.atoms
        ):
            return False
        self.atoms.unite(first.atoms, second.atoms)
        return True
