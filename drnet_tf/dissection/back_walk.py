"""Relevance of channels, handed back through a graph from the class scores."""

from __future__ import annotations

import numpy as np

from drnet_tf.channels.analysis import analyse, flow_rule_of
from drnet_tf.channels.rules.linear import Linear
from drnet_tf.channels.rules.unknown import Whole
from drnet_tf.graph import Call, Graph


class BackWalk:
    """The relevance of every channel of every tensor, from 0 to 1.

    A channel that several operations read is as relevant as the most relevant
    of its readings: for 0 and 1 a logical OR.

    Args:
      graph: of the network.

    Attributes:
      reset: names of the calls through which no channel can be followed: all
        that they read is fully relevant to whatever they are.
    """

    def __init__(self, graph: Graph) -> None:
        # Atoms say which channels of a call's inputs are which of its outputs.
        self._flow = analyse(graph, {})
        self._relevance: dict[int, np.ndarray] = {}
        self.reset: list[str] = []

    def of(self, tensor: int, axis: int | None = None) -> np.ndarray | None:
        """`(K, C)` of a tensor; None if nothing relevant reads it.

        Args:
          tensor: its number.
          axis: where its channels should be. If the graph has them elsewhere,
            all along this axis are relevant to what the tensor is.
        """
        relevance = self._relevance.get(tensor)
        if relevance is None or axis in (None, self._flow[tensor].axis):
            return relevance
        return _all(relevance, self._flow.shape(tensor)[axis] or 1)

    def give(
        self, tensor: int, relevance: np.ndarray, axis: int | None = None
    ) -> None:
        """Says how relevant a reader finds the channels of a tensor.

        Args:
          tensor: its number.
          relevance: `(K, C)`.
          axis: where the reader has the channels; see `of`.
        """
        channels = self._flow[tensor]
        if axis not in (None, channels.axis):
            relevance = _all(relevance, len(channels))
        before = self._relevance.get(tensor)
        if before is not None:
            relevance = np.maximum(before, relevance)
        self._relevance[tensor] = relevance

    def pass_on(self, call: Call) -> None:
        """Hands a call's relevance to what it reads, channel by channel."""
        outputs = [x for x in call.outputs if x in self._relevance]
        if not outputs:
            return
        relevance = np.concatenate([self._relevance[x] for x in outputs], 1)
        roots = np.concatenate([self._roots(x) for x in outputs])
        mixes = isinstance(flow_rule_of(call, self._flow), Whole | Linear)
        for tensor in dict.fromkeys(call.inputs):
            own = self._roots(tensor)
            if mixes or not np.isin(own, roots).any():
                self.reset.append(call.name)
                self.give(tensor, _all(relevance, len(own)))
            else:
                self.give(tensor, _matched(relevance, roots, own))

    def _roots(self, tensor: int) -> np.ndarray:
        return self._flow.atoms.roots(self._flow[tensor].atoms)


def _matched(
    relevance: np.ndarray, roots: np.ndarray, wanted: np.ndarray
) -> np.ndarray:
    """`(K, len(wanted))`: the most relevant of the channels of each root."""
    known, places = np.unique(
        np.concatenate([roots, wanted]), return_inverse=True
    )
    best = np.zeros((len(known), len(relevance)))
    np.maximum.at(best, places[: len(roots)], relevance.T)
    return best[places[len(roots) :]].T


def _all(relevance: np.ndarray, channels: int) -> np.ndarray:
    """`(K, channels)`: each as relevant as the most relevant channel."""
    return np.repeat(relevance.max(1, keepdims=True), channels, axis=1)
