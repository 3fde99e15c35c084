"""Networks with random weights, random masks for them, and float64 twins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from drnet_tf.graph import read_graph
from drnet_tf.masks import ChannelMask
from drnet_tf.sites import GateSite

HALF = "50% silenced"


def randomise(model: keras.Model, seed: int) -> keras.Model:
    """Weights as training leaves them: no mean, beta or factor is plain.

    Kernels keep their initial values, whose variance fits their size.
    """
    generator = np.random.default_rng(seed)
    for variable in model.variables:
        if "kernel" in variable.name or "float" not in variable.dtype:
            continue
        if variable.name in ("bias", "beta", "mean", "moving_mean"):
            values = generator.normal(0, 0.3, variable.shape)
        else:  # gammas, variances, the factors of layer scales
            values = generator.uniform(0.5, 1.5, variable.shape)
        variable.assign(values)
    _finalise(model)
    return model


def random_masks(
    sites: Sequence[GateSite], seed: int
) -> Iterator[tuple[str, ChannelMask]]:
    """The four masks and their titles, the most telling first."""
    generator = np.random.default_rng(seed)

    def silenced(share: float) -> dict[str, np.ndarray]:
        return {x.name: generator.random(x.channels) >= share for x in sites}

    yield HALF, ChannelMask(silenced(0.5))
    empty = sites[len(sites) // 2]
    keep = {**silenced(0.1), empty.name: np.zeros(empty.channels, bool)}
    yield f"10%, {empty.name} emptied", ChannelMask(keep)
    keep = {
        x.name: np.arange(x.channels) == generator.integers(x.channels)
        for x in sites
    }
    yield "all but one a site", ChannelMask(keep)
    yield "10% silenced", ChannelMask(silenced(0.1))


def in_float64(model: keras.Model) -> keras.Model:
    """The same network and weights, computed in float64."""
    text = model.to_json().replace('"float32"', '"float64"')
    twin = keras.models.model_from_json(text)
    pairs = zip(twin.variables, model.variables, strict=True)
    for variable, source in pairs:
        # The last part may hold a number that counts all weights ever made.
        layers = [x.path.rpartition("/")[0] for x in (variable, source)]
        if layers[0] != layers[1]:
            raise ValueError(f"in_float64: {layers[0]} stands for {layers[1]}.")
        variable.assign(source.numpy())
    _finalise(twin)
    return twin


def _finalise(model: Any) -> None:
    """Lets `Normalization` read its weights, as loading a file does."""
    for call in read_graph(model).calls:
        if isinstance(call.operation, keras.layers.Normalization):
            call.operation.finalize_state()
