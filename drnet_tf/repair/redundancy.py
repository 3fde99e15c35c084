"""How much of what a layer computes follows from a site's best channels.

A site's channels are ordered by their importance. For every layer that reads
them and every number k,

    r(k) = min over W, b of sum |x_k W + b - y|^2 / sum |y - mean(y)|^2,

x_k being the layer's inputs without the site's channels from the k-th on, y its
outputs before norm and activation: the share of y that is lost however the
layer is refitted. All k come from one Cholesky factor of the ordered Gram
matrix G = L L': with Z = L^-1 x'y, the first m unknowns explain the sum of the
squares of Z's first m rows (the matrix form of Gram-Schmidt).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import numpy as np

from drnet_tf.graph import read_graph
from drnet_tf.importance import ChannelImportance
from drnet_tf.repair.positive import Cholesky
from drnet_tf.repair.readers import find_readers, visit_readers
from drnet_tf.repair.samples import NO_SPREAD, Moments
from drnet_tf.rules import subtask_scores
from drnet_tf.sites import sites_for

_RIDGE = 1e-3  # of the mean variance of the inputs, as in `ridge`


def reconstruction_losses(
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
) -> dict[str, np.ndarray]:
    """What a site's readers lose if it keeps its best k channels only.

    Args:
      model: the full network; it is not changed.
      images: unlabelled, of the sub-task, as the network expects them.
      importance: orders the channels.
      classes: the sub-task.
      rule: see `rules.subtask_scores`.
      samples: places of the images at which each layer is read.
      max_bytes: of activations held in memory.
      seed: of the places.
      progress: whether to show a bar if it takes long.

    Returns:
      By site `(C_l + 1,)`, for k = 0 to C_l: the sum over its readers of r(k),
      falling; zeros for a site that no convolution or Dense layer reads.
    """
    graph = read_graph(model)
    sites = sites_for(graph, importance.channels)
    orders = {
        site: np.argsort(-scores, kind="stable")
        for site, scores in subtask_scores(importance, classes, rule).items()
    }
    losses = {x.name: np.zeros(x.channels + 1) for x in sites}

    def visit(moments: Moments, gates: Mapping[str, np.ndarray]) -> None:
        for site, own in gates.items():
            losses[site] += loss_of_prefixes(moments, own, orders[site])

    visit_readers(
        graph,
        find_readers(graph, sites),
        images,
        visit,
        samples=samples,
        max_bytes=max_bytes,
        seed=seed,
        progress=progress,
    )
    return losses


def loss_of_prefixes(
    moments: Moments, gates: np.ndarray, order: np.ndarray
) -> np.ndarray:
    """r(k) for k = 0 to the number of gates; see the module.

    Args:
      moments: of the layer's inputs and outputs.
      gates: `(G, U)` int, the gate of each unknown's input, or -1.
      order: `(gates,)` int, the best first.
    """
    rank = np.full(len(order) + 1, -1)
    rank[order] = np.arange(len(order))
    ranks = rank[gates]  # -1 picks the last entry: -1, always there
    explained = np.zeros(len(order) + 1)
    total = 0.0
    for group, own in enumerate(ranks):
        gained, all_of_it = _explained(moments, group, own, len(order))
        explained += gained
        total += all_of_it
    if not total > 0:
        return np.zeros(len(order) + 1)
    return np.clip(1 - explained / total, 0, 1)


def covariances(
    moments: Moments, group: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """Of a group's inputs, with its outputs, and its outputs' variance.

    Args:
      moments: of the layer's inputs and outputs.
      group: its number.

    Returns:
      `(U, U)`, `(U, V)` and the sum over the outputs; zeros where the inputs do
      not vary: what is left of them without the mean is rounding.
    """
    n = max(moments.count, 1)
    x, y = moments.x[group] / n, moments.y[group] / n
    gram = moments.xx[group] / n
    power = np.trace(gram)
    gram -= np.outer(x, x)
    cross = moments.xy[group] / n - np.outer(x, y)
    if not np.trace(gram) > NO_SPREAD * power:
        return np.zeros_like(gram), np.zeros_like(cross), 0.0
    total = np.maximum(moments.yy[group] / n - y**2, 0).sum()
    return gram, cross, float(total)


def _explained(
    moments: Moments, group: int, ranks: np.ndarray, count: int
) -> tuple[np.ndarray, float]:
    """Sums of squares explained by k channels, and all of the outputs'."""
    gram, cross, total = covariances(moments, group)
    order = np.argsort(ranks, kind="stable")
    gram = gram[np.ix_(order, order)]
    strength = _RIDGE * np.trace(gram) / len(gram) or 1.0
    gram[np.diag_indices_from(gram)] += strength
    squares = np.square(Cholesky(gram).solve_lower(cross[order])).sum(1)
    gained = np.concatenate([[0.0], np.cumsum(squares)])
    # How many unknowns are there with k channels.
    lengths = np.searchsorted(ranks[order], np.arange(count + 1), "left")
    return gained[lengths], total
