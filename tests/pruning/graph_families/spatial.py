"""Pooling, padding, cropping, upsampling, dropout: channel by channel."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from tests.pruning.graph_families.drawing import (
    MAX_SIZE,
    Drawing,
    family,
    is_float64,
    places,
    ranked,
    size,
)


def _pooling(d: Drawing, pattern: str) -> Any:
    x = d.map(lambda x: not (len(x.shape) == 5 and is_float64(x)))
    pool = min(d.integer(1, 3), *places(x))
    return d.layer(
        ranked(pattern, len(places(x))),
        pool,
        strides=d.choice([None, 1, 2]),
        padding=d.choice(["valid", "same"]),
    )(x)


@family()
def max_pooling(d: Drawing) -> Any:
    return _pooling(d, "MaxPooling{}D")


@family()
def average_pooling(d: Drawing) -> Any:
    return _pooling(d, "AveragePooling{}D")


@family()
def global_pooling(d: Drawing) -> Any:
    x = d.map()
    pattern = d.choice(["GlobalAveragePooling{}D", "GlobalMaxPooling{}D"])
    kind = ranked(pattern, len(places(x)))
    return d.layer(kind, keepdims=d.chance(0.5))(x)


@family()
def zero_padding(d: Drawing) -> Any:
    x = d.map(lambda x: max(places(x)) <= 7)
    return d.layer(ranked("ZeroPadding{}D", len(places(x))), 1)(x)


@family()
def cropping(d: Drawing) -> Any:
    x = d.map(lambda x: min(places(x)) >= 3)
    return d.layer(ranked("Cropping{}D", len(places(x))), 1)(x)


@family()
def upsampling(d: Drawing) -> Any:
    x = d.map(lambda x: max(places(x)) <= 4)
    kind = ranked("UpSampling{}D", len(places(x)))
    if len(places(x)) == 2 and d.chance(0.3):
        return d.layer(kind, 2, interpolation="bilinear")(x)
    return d.layer(kind, 2)(x)


@family()
def dropout(d: Drawing) -> Any:
    kinds = [
        layers.Dropout,
        layers.AlphaDropout,
        layers.GaussianDropout,
        layers.GaussianNoise,
    ]
    if d.chance(0.3):
        x = d.map()
        return d.layer(ranked("SpatialDropout{}D", len(places(x))), 0.5)(x)
    return d.layer(d.choice(kinds), 0.5)(d.tensor())


@family(weight=0.5)
def identity(d: Drawing) -> Any:
    if d.chance(0.5):
        return d.layer(layers.Identity)(d.tensor())
    return d.layer(layers.ActivityRegularization, l2=0.1)(d.tensor())


@family()
def channels_first_spatial(d: Drawing) -> Any:
    """Layers that read the second axis as the channels, where a CPU can."""
    x = d.tensor(lambda x: size(x) <= MAX_SIZE // 4, (4,))
    kinds = [
        (layers.GlobalAveragePooling2D, {"keepdims": d.chance(0.5)}),
        (layers.GlobalMaxPooling2D, {}),
        (layers.ZeroPadding2D, {}),
        (layers.UpSampling2D, {}),
        (layers.Flatten, {}),
    ]
    if min(x.shape[2:]) >= 2:
        kinds += [
            (layers.MaxPooling2D, {}),
            (layers.AveragePooling2D, {"pool_size": 2}),
        ]
    kind, settings = d.choice(kinds)
    return d.layer(kind, data_format="channels_first", **settings)(x)


@family()
def reduction(d: Drawing) -> Any:
    """`keras.ops.mean` and its like, over all places or over one axis."""
    x = d.map()
    reduce = d.choice(
        [keras.ops.mean, keras.ops.max, keras.ops.sum, keras.ops.min]
    )
    axes = list(range(1, len(x.shape) - 1))
    axis = axes if d.chance(0.6) else d.choice(axes)
    return reduce(x, axis=axis, keepdims=d.chance(0.5))


@family(weight=0.4)
def reduction_over_channels(d: Drawing) -> Any:
    reduce = d.choice([keras.ops.mean, keras.ops.max])
    return reduce(d.map(), axis=-1, keepdims=True)
