"""Several tensors in, one out."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from tests.pruning.graph_families.drawing import (
    MAX_WIDTH,
    Drawing,
    family,
    places,
    ranked,
    width,
)

_LAYERS = (
    layers.Add,
    layers.Subtract,
    layers.Multiply,
    layers.Average,
    layers.Maximum,
    layers.Minimum,
)
_OPERATORS = (
    lambda a, b: a + b,
    lambda a, b: a - b,
    lambda a, b: a * b,
    keras.ops.maximum,
    keras.ops.minimum,
    keras.ops.add,
    lambda a, b: a / (1 + keras.ops.abs(b)),
)


@family(weight=3)
def merge_layer(d: Drawing) -> Any:
    kind = d.choice(_LAYERS)
    x = d.tensor()
    operands = [x, d.like(x)]
    if kind is not layers.Subtract and d.chance(0.3):
        operands.append(d.like(x))
    if d.chance(0.5):
        operands.reverse()
    return d.layer(kind)(operands)


@family(weight=2)
def merge_operator(d: Drawing) -> Any:
    merge = d.choice(_OPERATORS)
    x = d.tensor()
    return merge(*d.choice([(x, d.like(x)), (d.like(x), x)]))


@family(weight=2)
def residual_block(d: Drawing) -> Any:
    """A shortcut around a convolution, as a layer or as an operator."""
    x = d.map()
    kind = ranked("Conv{}D", len(places(x)))
    y = d.layer(kind, width(x), 1)(x)
    if d.chance(0.6):
        y = d.layer(layers.BatchNormalization)(y)
    y = d.layer(layers.Add)([x, y]) if d.chance(0.6) else x + y
    return d.layer(layers.ReLU)(y) if d.chance(0.6) else y


def _broadcast(d: Drawing, x: keras.KerasTensor, y: keras.KerasTensor) -> Any:
    operands = d.choice([[x, y], [y, x]])
    if d.chance(0.6):
        return d.layer(d.choice(_LAYERS))(operands)
    return d.choice(_OPERATORS)(*operands)


@family()
def broadcast_over_places(d: Drawing) -> Any:
    """(B, H, W, C) and (B, 1, 1, C)."""
    x = d.map()
    kind = ranked("GlobalAveragePooling{}D", len(places(x)))
    y = d.layer(kind, keepdims=True)(x)
    if d.chance(0.7):
        y = d.mixed(y, width(x), activation=d.choice(["sigmoid", None]))
    return _broadcast(d, x, y)


@family()
def broadcast_over_channels(d: Drawing) -> Any:
    """(B, H, W, C) and (B, H, W, 1)."""
    x = d.map(lambda x: width(x) > 1)
    if d.chance(0.7):
        y = d.mixed(x, 1, activation=d.choice(["sigmoid", "relu", None]))
    else:
        y = keras.ops.mean(x, axis=-1, keepdims=True)
    return _broadcast(d, x, y)


@family()
def broadcast_over_all(d: Drawing) -> Any:
    """(B, H, W, C) and (B, 1, 1, 1), or (B, 1, 1, C) and (B, H, W, 1)."""
    x = d.map(lambda x: width(x) > 1)
    kind = ranked("GlobalMaxPooling{}D", len(places(x)))
    y = d.layer(kind, keepdims=True)(x)
    if d.chance(0.5):
        return _broadcast(d, x, d.mixed(y, 1))
    return _broadcast(d, y, d.mixed(x, 1))


@family(weight=2)
def concatenate_channels(d: Drawing) -> Any:
    x = d.tensor(lambda x: width(x) <= MAX_WIDTH)
    same = [y for y in d.tensors if y.shape[:-1] == x.shape[:-1]]
    same = [y for y in same if width(y) <= MAX_WIDTH]
    if d.chance(0.6):
        other = d.tensor(lambda y: any(y is z for z in same))
    else:
        other = d.mixed(x, d.integer(1, 6))
    parts = [x, other] if d.chance(0.5) else [other, x]
    if d.chance(0.2):
        parts.append(d.mixed(x, 2, activation="relu"))
    if d.chance(0.6):
        return d.layer(layers.Concatenate)(parts)
    return keras.ops.concatenate(parts, axis=-1)


@family()
def concatenate_places(d: Drawing) -> Any:
    x = d.map(lambda x: max(places(x)) <= 6)
    parts = [x, d.like(x)]
    axis = d.choice([1, -2])
    if d.chance(0.6):
        return d.layer(layers.Concatenate, axis=axis)(parts)
    return keras.ops.concatenate(parts, axis=axis)


@family(weight=0.4)
def stack(d: Drawing) -> Any:
    x = d.tensor(ranks=(2, 3, 4))
    return keras.ops.stack([x, d.like(x)], axis=d.choice([1, -1]))


@family(weight=3)
def dot(d: Drawing) -> Any:
    """Attention over places: (B, N, N) from (B, N, C)."""
    x = d.tensor(lambda x: x.shape[1] <= MAX_WIDTH, (3,))
    if d.chance(0.5):
        return d.layer(layers.Dot, axes=2)([x, d.like(x)])
    return keras.ops.matmul(x, keras.ops.transpose(d.like(x), (0, 2, 1)))
