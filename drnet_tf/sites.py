"""Sites: where the channels of a network can be gated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import keras
import numpy as np

from drnet_tf.free_sites import GateSite, find_free_sites
from drnet_tf.graph import Graph, check_model, read_graph
from drnet_tf.tied_sites import find_tied_sites

_FIND = {"free": find_free_sites, "tied": find_tied_sites}


def gate_sites(
    model: keras.Model, coupling: str = "free"
) -> tuple[GateSite, ...]:
    """Finds every site of a Functional or Sequential model, in graph order.

    A site is the output of the activation that follows a convolution, after its
    norm and after a residual add (DRNet section 3.1: gates sit after the ReLU);
    where no activation follows it is the output of the norm, or of the
    convolution itself. A convolution that makes the class scores has none. A
    Dense layer on a map counts as the 1x1 convolution that it is.

    Args:
      model: a Functional or Sequential model; nested models are opened.
      coupling: "free": a site for each activation, as in the paper. "tied": one
        for each group of channels that can only be removed together, such as
        all the outputs of a residual stage, so that every channel that a mask
        silences can go; see `tied_sites`.

    Raises:
      TypeError: the model is subclassed, or no Keras model.
      ValueError: the model has no convolution to gate, or none whose channels
        can be removed; or the coupling is unknown.

    Example:
      >>> import keras
      >>> model = keras.Sequential([
      ...     keras.Input((8, 8, 3)),
      ...     keras.layers.Conv2D(4, 3, name="conv"),
      ...     keras.layers.BatchNormalization(name="norm"),
      ...     keras.layers.ReLU(name="relu"),
      ...     keras.layers.Flatten(),
      ...     keras.layers.Dense(2),
      ... ])
      >>> [(site.name, site.channels) for site in gate_sites(model)]
      [('relu', 4)]
    """
    check_model(model)
    if coupling not in _FIND:
        raise ValueError(
            f"coupling: got {coupling!r}, expected 'free' or 'tied'."
        )
    sites = _FIND[coupling](read_graph(model))
    if not sites:
        raise ValueError(
            f"Model '{model.name}': found no convolution whose channels can be "
            f"{'gated' if coupling == 'free' else 'removed'}, expected at "
            "least one before the class scores; channel pruning by sites needs "
            "a ConvNet."
        )
    return sites


def sites_for(
    graph: Graph, channels: Mapping[str, int]
) -> tuple[GateSite, ...]:
    """The sites that a mask or an importance was made for.

    Args:
      graph: of the network.
      channels: number of gates of each of its sites.

    Returns:
      The tied sites if they have these names, else the free ones.
    """
    free = find_free_sites(graph)
    if [site.name for site in free] == list(channels):
        return free
    tied = find_tied_sites(graph)
    fits = [site.name for site in tied] == list(channels)
    return tied if fits else free


def keep_by_tensor(
    sites: Iterable[GateSite], keep: Mapping[str, np.ndarray]
) -> dict[int, np.ndarray]:
    """`(C,)` bool for each tensor that a mask of these sites silences.

    Args:
      sites: free or tied.
      keep: `(gates,)` bool for each site.
    """
    return {
        place.tensor: keep[site.name][place.index]
        for site in sites
        for place in site.places
    }
