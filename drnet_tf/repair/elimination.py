"""Channels taken from a site one by one, always that which is missed least.

What a layer reads, x of U unknowns, gives its outputs y by least squares: with
A = X'X / n + r (centred, r a ridge), P = A^-1 and W = P X'y / n. Without some
unknowns T the error is larger by

    d(T) = tr(W_T' P_TT^-1 W_T),

and the others go on as P - P_:T P_TT^-1 P_T: and W - P_:T P_TT^-1 W_T: backward
elimination (with the Hessian of a loss in place of A, optimal brain surgeon:
Hassibi and Stork, "Second order derivatives for network pruning", NIPS 1992).
The price of a channel is the sum of d over the layers that read it, each as a
share of its outputs' variance: how well a repair can do without it.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Mapping, Sequence

import keras
import numpy as np

from drnet_tf.criteria import RECONSTRUCTION
from drnet_tf.graph import read_graph
from drnet_tf.importance import ChannelImportance
from drnet_tf.repair.readers import find_readers, visit_readers
from drnet_tf.repair.redundancy import covariances
from drnet_tf.repair.samples import Moments
from drnet_tf.rules import subtask_scores
from drnet_tf.sites import sites_for

_RIDGE = 1e-3  # of the mean variance of the inputs, as in `ridge`
_STEPS = 64  # in which a site is emptied, between exact prices of all channels


def reconstruction_importance(
    model: keras.Model,
    images: np.ndarray,
    importance: ChannelImportance,
    classes: Sequence[str],
    *,
    rule: str = "mean",
    samples: int = 12_000,
    max_bytes: int = 1 << 30,
    seed: int = 0,
    progress: bool = True,
) -> tuple[ChannelImportance, dict[str, np.ndarray]]:
    """Orders channels by what their readers lose without them.

    Args:
      model: the full network; it is not changed.
      images: unlabelled, of the sub-task, as the network expects them.
      importance: of the sites that are wanted; of channels at the same price
        the one that it rates lowest goes first.
      classes: the sub-task.
      rule: see `rules.subtask_scores`.
      samples: places of the images at which each layer is read.
      max_bytes: of activations held in memory.
      seed: of the places.
      progress: whether to show a bar if it takes long.

    Returns:
      An importance of these classes, the same for each: 1 for the channel of a
      site that goes last, falling evenly to 1 / C_l for the first; and by site
      `(C_l + 1,)`, for k = 0 to C_l the sum over its readers of the share that
      they lose if the best k channels stay, as `redundancy` has it.
    """
    graph = read_graph(model)
    readers = find_readers(graph, sites_for(graph, importance.channels))
    emptied = _Emptied(readers, subtask_scores(importance, classes, rule))
    visit_readers(
        graph,
        readers,
        images,
        emptied.visit,
        samples=samples,
        max_bytes=max_bytes,
        seed=seed,
        progress=progress,
    )
    rows = {
        site: np.tile(np.float32(x / x.size), (len(classes), 1))
        for site, x in emptied.places.items()
    }
    found = ChannelImportance(
        rows,
        tuple(classes),
        RECONSTRUCTION,
        fingerprint=importance.fingerprint,
    )
    return found, emptied.losses


class _Emptied:
    """Empties sites, each when its last reader is seen: memory for one is kept.

    Args:
      readers: see `readers.find_readers`.
      scores: `(C_l,)` by site, which decide between equal prices.

    Attributes:
      places: `(C_l,)` by site, 1 for the channel that goes first to C_l.
      losses: `(C_l + 1,)` by site, see `eliminate`.
    """

    def __init__(
        self,
        readers: Mapping[str, Mapping[str, np.ndarray]],
        scores: Mapping[str, np.ndarray],
    ) -> None:
        self._ties = {
            site: np.argsort(x, kind="stable") for site, x in scores.items()
        }
        self._unseen = collections.Counter(
            site for gates in readers.values() for site in gates
        )
        self._systems: dict[str, list[System]] = {site: [] for site in scores}
        # What nobody reads is left in the order of the scores.
        self.places = {x: np.argsort(y) + 1 for x, y in self._ties.items()}
        self.losses = {x: np.zeros(y.size + 1) for x, y in scores.items()}

    def visit(self, moments: Moments, gates: Mapping[str, np.ndarray]) -> None:
        """Takes what a reader reads and gives, see `readers.Visit`."""
        solved = systems_of(moments)
        for site, owners in gates.items():
            self._systems[site] += [
                system.owned(own)
                for system, own in zip(solved, owners, strict=bool(solved))
            ]
            self._unseen[site] -= 1
            if not self._unseen[site]:
                order, self.losses[site] = eliminate(
                    self._systems.pop(site), self._ties[site]
                )
                self.places[site] = np.argsort(order[::-1]) + 1


@dataclasses.dataclass(eq=False)
class System:
    """A reader's least squares, of the unknowns that a site's channels give.

    Attributes:
      inverse: `(U, U)`, P.
      weights: `(U, V)`, W, over the root of the outputs' variance.
      owners: `(U,)` int, the channel of each unknown.
      unexplained: share of the outputs' variance that all unknowns leave.
    """

    inverse: np.ndarray
    weights: np.ndarray
    owners: np.ndarray
    unexplained: float = 0.0

    def prices(self, channels: int) -> np.ndarray:
        """`(channels,)`: d of each, 0 for those that are not read."""
        found = np.zeros(channels)
        counts = np.bincount(self.owners, minlength=channels)
        by_owner = np.argsort(self.owners, kind="stable")
        for size in np.unique(counts[counts > 0]):
            own = np.flatnonzero(counts == size)
            places = by_owner[np.isin(self.owners[by_owner], own)]
            places = places.reshape(-1, size)
            weights = self.weights[places]
            square = self.inverse[places[:, :, None], places[:, None, :]]
            # tr(W' S^-1 W) = tr(S^-1 W W'): as many right sides as unknowns.
            powers = weights @ weights.swapaxes(1, 2)
            found[own] = np.linalg.solve(square, powers).trace(0, 1, 2)
        return found

    def take(self, channels: Sequence[int] | np.ndarray) -> None:
        """Removes channels."""
        taken = np.isin(self.owners, channels)
        rest, gone = np.flatnonzero(~taken), np.flatnonzero(taken)
        if not gone.size:
            return
        cross = self.inverse[np.ix_(rest, gone)]
        square = self.inverse[np.ix_(gone, gone)]
        gains = np.linalg.solve(square, cross.T)
        self.weights = self.weights[rest] - gains.T @ self.weights[gone]
        self.inverse = self.inverse[np.ix_(rest, rest)] - cross @ gains
        self.owners = self.owners[rest]

    def owned(self, owners: np.ndarray) -> System:
        """Of the unknowns of a site alone: the others stay, part of P and W.

        Args:
          owners: `(U,)` int, the channel of each unknown, or -1.
        """
        own = np.flatnonzero(owners >= 0)
        return System(
            self.inverse[np.ix_(own, own)],
            self.weights[own],
            owners[own],
            self.unexplained,
        )

    def of(self, channels: np.ndarray) -> System:
        """These channels alone: takes and prices among them are the same."""
        own = np.flatnonzero(np.isin(self.owners, channels))
        return System(
            self.inverse[np.ix_(own, own)], self.weights[own], self.owners[own]
        )


def systems_of(moments: Moments) -> list[System]:
    """The least squares of a reader's groups, each unknown a channel.

    Args:
      moments: of its inputs and outputs.

    Returns:
      One for each group; none if the outputs do not vary.
    """
    groups = [covariances(moments, group) for group in range(len(moments.xx))]
    total = sum(variance for _, _, variance in groups)
    if not total > 0:
        return []
    found = []
    for gram, cross, variance in groups:
        strength = _RIDGE * np.trace(gram) / len(gram) or 1.0
        gram[np.diag_indices_from(gram)] += strength
        inverse = np.linalg.inv(gram)
        weights = inverse @ cross
        left = max(variance - float((cross * weights).sum()), 0) / total
        unknowns = np.arange(len(gram))
        weights /= np.sqrt(total)
        found.append(System(inverse, weights, unknowns, left))
    return found


def eliminate(
    systems: Sequence[System], ties: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Empties a site.

    Some channels are taken between two rounds of exact prices: out of the
    twice as many that are cheapest, one by one, with exact prices among them,
    so that of two alike only one is cheap.

    Args:
      systems: of its readers; they are used up.
      ties: `(C,)` int, all channels; of equal prices the first goes first.

    Returns:
      `(C,)` int, the channels in the order in which they are worth keeping, and
      `(C + 1,)`, the sum of the shares that readers lose with the best k.
    """
    count = len(ties)
    step = max(1, count // _STEPS)
    order, prices = [], []
    left = ties
    while left.size:
        cheap = np.argsort(_total(systems, count)[left], kind="stable")
        pool = left[np.sort(cheap[: 2 * step])]
        few = [x.of(pool) for x in systems]
        taken = []
        for _ in range(min(step, pool.size)):
            own = _total(few, count)[pool]
            place = int(np.argmin(own))
            taken.append(int(pool[place]))
            prices.append(max(float(own[place]), 0.0))
            pool = np.delete(pool, place)
            for system in few:
                system.take(taken[-1:])
        for system in systems:
            system.take(taken)
        left = left[~np.isin(left, taken)]
        order += taken
    start = sum(x.unexplained for x in systems)
    losses = start + np.concatenate([[0.0], np.cumsum(prices)])
    return np.array(order[::-1], int), losses[::-1]


def _total(systems: Sequence[System], channels: int) -> np.ndarray:
    """`(channels,)`: the sum of the systems' prices."""
    return sum((x.prices(channels) for x in systems), np.zeros(channels))
