"""One network under many masks, built and traced once."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np

from drnet_tf.free_sites import GateSite
from drnet_tf.gates import gate_model, gate_names
from drnet_tf.graph import read_graph
from drnet_tf.masks import ChannelMask
from drnet_tf.sites import gate_sites, sites_for

_Gated = tuple[tuple[GateSite, ...], keras.Model]


class MaskedNetwork:
    """Runs a network under one mask after another.

    Gives what `apply_mask(model, mask)` would, and so what `prune` would,
    without building a model for every mask: right for a search over masks,
    where building costs more than running.

    Args:
      model: a Functional or Sequential model; it is not changed.
      batch_size: images run at a time.

    Example:
      >>> model = keras.Sequential([
      ...     keras.Input((8, 8, 1)),
      ...     keras.layers.Conv2D(2, 3, activation="relu", name="conv"),
      ...     keras.layers.GlobalAveragePooling2D(),
      ...     keras.layers.Dense(2, use_bias=False),
      ... ])
      >>> nothing = ChannelMask({"conv": np.array([False, False])})
      >>> images = np.ones((1, 8, 8, 1), "float32")
      >>> MaskedNetwork(model)(images, nothing).tolist()
      [[0.0, 0.0]]
    """

    def __init__(self, model: keras.Model, batch_size: int = 250) -> None:
        self._model = model
        self._batch_size = batch_size
        # By the names of the sites: a mask may be of free or of tied ones.
        self._gated: dict[tuple[str, ...], _Gated] = {}

    def __call__(
        self, images: np.ndarray, mask: ChannelMask | None = None
    ) -> np.ndarray:
        """The network's outputs under a mask.

        Args:
          images: `(N, ...)` as the network expects them.
          mask: which channels run, at free or at tied sites; None: all.

        Returns:
          `(N, K)` outputs.

        Raises:
          ValueError: the mask was made for other sites.
        """
        names = () if mask is None else mask.sites
        if names not in self._gated:
            channels = {} if mask is None else mask.channels
            self._gated[names] = _gate(self._model, channels)
        sites, gated = self._gated[names]
        if mask is not None:
            widths = {site.name: site.channels for site in sites}
            mask.check_sites(widths, self._model.name)
        names_of_gates = gate_names(sites)
        for site in sites:
            gate = gated.get_layer(names_of_gates[site.name])
            keep = np.ones(site.channels) if mask is None else mask[site.name]
            gate.gates.assign(keep.astype("float32"))
        parts = [
            gated.predict_on_batch(images[i : i + self._batch_size])
            for i in range(0, len(images), self._batch_size)
        ]
        return np.concatenate(parts)


def _gate(model: keras.Model, channels: Mapping[str, int]) -> _Gated:
    sites = sites_for(read_graph(model), channels)
    tied = channels and sites != gate_sites(model)
    return sites, gate_model(model, "tied" if tied else "free")
