"""What ends a network."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from tests.pruning.graph_families.drawing import (
    HEADS,
    Drawing,
    family,
    places,
    ranked,
    size,
)


def _pooled(d: Drawing, x: keras.KerasTensor) -> keras.KerasTensor:
    if len(x.shape) == 2:
        return x
    if size(x) <= 200 and d.chance(0.4):
        return d.layer(layers.Flatten)(x)
    pattern = d.choice(["GlobalAveragePooling{}D", "GlobalMaxPooling{}D"])
    return d.layer(ranked(pattern, len(places(x))))(x)


@family(3, HEADS)
def dense_logits(d: Drawing) -> Any:
    return d.layer(layers.Dense, 4)(_pooled(d, d.tensor()))


@family(2, HEADS)
def dense_softmax(d: Drawing) -> Any:
    x = _pooled(d, d.tensor())
    return d.layer(layers.Dense, 4, activation="softmax")(x)


@family(2, HEADS)
def dense_and_softmax_layer(d: Drawing) -> Any:
    x = d.layer(layers.Dense, 4)(_pooled(d, d.tensor()))
    if d.chance(0.5):
        return d.layer(layers.Softmax)(x)
    return d.layer(layers.Activation, "softmax")(x)


@family(3, HEADS)
def dense_on_all_branches(d: Drawing) -> Any:
    """What nothing reads yet, side by side."""
    parts = [_pooled(d, x) for x in d.read(d.unread()[-4:])]
    x = d.layer(layers.Concatenate)(parts) if len(parts) > 1 else parts[0]
    return d.layer(layers.Dense, 4)(x)


@family(1, HEADS)
def hidden_dense(d: Drawing) -> Any:
    x = _pooled(d, d.tensor())
    x = d.layer(layers.Dense, 5, activation="relu")(x)
    return d.layer(layers.Dense, 4)(d.layer(layers.Dropout, 0.5)(x))


@family(1, HEADS)
def convolution_and_pooling(d: Drawing) -> Any:
    x = d.mixed(d.map(), 4)
    pattern = ranked("GlobalAveragePooling{}D", len(places(x)))
    x = d.layer(pattern)(x)
    return d.layer(layers.Softmax)(x) if d.chance(0.5) else x


@family(1, HEADS)
def whole_map(d: Drawing) -> Any:
    """No head: what was drawn is the output."""
    return d.layer(layers.Identity)(d.tensor()) if d.chance(0.2) else d.tensor()
