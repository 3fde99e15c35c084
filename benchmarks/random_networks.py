"""Networks with random weights, random masks for them, and float64 twins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from drnet_tf.free_sites import GateSite
from drnet_tf.graph import Call, read_graph, replay
from drnet_tf.masks import ChannelMask

HALF = "50% silenced"


def randomise(model: keras.Model, seed: int) -> keras.Model:
    """Weights as training leaves them: no mean, beta or factor is plain.

    Kernels keep their initial values, whose variance fits their size; those of
    a network without norms are doubled, as nothing else makes up for what a
    ReLU and a mask take. Betas lie about 1: about 0, every norm and ReLU would
    double what differs, and a deep network the last digit of float32 until it
    is all that the outputs show (of ResNet152, a tenth of their scale).
    """
    generator = np.random.default_rng(seed)
    has_norms = any("gamma" in variable.name for variable in model.variables)
    for variable in model.variables:
        if "float" not in variable.dtype:
            continue
        if "kernel" in variable.name:
            if not has_norms:
                variable.assign(2 * variable)
        elif variable.name in ("bias", "beta", "mean", "moving_mean"):
            middle = 1.0 if variable.name == "beta" else 0.0
            variable.assign(generator.normal(middle, 0.3, variable.shape))
        else:  # gammas, variances, the factors of layer scales
            variable.assign(generator.uniform(0.5, 1.5, variable.shape))
    _finalise(model)
    return model


def fit_norms(model: keras.Model, images: np.ndarray, seed: int) -> None:
    """Gives batch norms the statistics of images, off by a random amount.

    Without it what a deep random network says of an image fades from layer to
    layer, and faster under a mask: at the output it would be lost in the
    constants, and with it every fault.

    Args:
      model: usually a masked one; the norms are those of the full network.
      images: as the model expects them.
      seed: of what the statistics are off by.
    """
    generator = np.random.default_rng(seed)

    def call(step: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        norm = step.operation
        if isinstance(norm, keras.layers.BatchNormalization):
            momentum, norm.momentum = norm.momentum, 0.0
            norm(*args, **{**kwargs, "training": True})
            norm.momentum = momentum
            mean, variance = norm.moving_mean.numpy(), norm.moving_variance
            mean_variance = variance.numpy().mean()
            # A silent channel's are not 0 either; and where nothing of the
            # images is left, a norm would only blow rounding up.
            least = 0.05 if mean_variance > 0.01 else 1.0
            variance = (variance + mean_variance) / 2 + least
            variance *= generator.uniform(0.5, 1.5, mean.shape)
            mean += generator.normal(0, 0.3, mean.shape) * variance**0.5
            norm.moving_mean.assign(mean)
            norm.moving_variance.assign(variance)
        return norm(*args, **kwargs)

    replay(read_graph(model), [keras.ops.convert_to_tensor(images)], call)


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
        if "float" not in variable.dtype:  # the state of a dropout's generator
            continue
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
