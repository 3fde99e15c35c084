"""The same values in another shape, or some of them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers

from tests.pruning.graph_families.drawing import (
    MAX_WIDTH,
    Drawing,
    family,
    places,
    ranked,
    size,
    width,
)


def _factors(d: Drawing, number: int) -> list[int]:
    """One to three random factors of a number, in a random order."""
    factors = [number]
    for _ in range(d.integer(0, 2)):
        last = factors.pop()
        first = d.choice([n for n in range(1, last + 1) if last % n == 0])
        factors += [first, last // first]
    return [factors[i] for i in d.generator.permutation(len(factors))]


@family()
def flatten(d: Drawing) -> Any:
    return d.layer(layers.Flatten)(d.tensor(lambda x: size(x) <= 300))


@family()
def reshape(d: Drawing) -> Any:
    """Any shape of the same size."""
    x = d.tensor(lambda x: size(x) <= 300)
    target = _factors(d, size(x))
    if d.chance(0.2):
        target[d.integer(0, len(target) - 1)] = -1
    if d.chance(0.5):
        return d.layer(layers.Reshape, target)(x)
    return keras.ops.reshape(x, (-1, *_known(target, x)))


def _known(target: list[int], x: keras.KerasTensor) -> list[int]:
    """Without -1, which stands for the batch."""
    left = size(x) // abs(int(np.prod([n for n in target if n != -1])))
    return [left if n == -1 else n for n in target]


@family()
def reshape_that_keeps_channels(d: Drawing) -> Any:
    """Places in another shape: the last axis is typed in."""
    x = d.map()
    target = (*_factors(d, size(x) // width(x)), width(x))
    if d.chance(0.3):
        target = (-1, width(x))
    if len(target) > 4:
        target = target[-4:]
    return d.layer(layers.Reshape, target)(x)


@family()
def squeeze_and_excite(d: Drawing) -> Any:
    x = d.map()
    rank, channels = len(places(x)), width(x)
    s = d.layer(ranked("GlobalAveragePooling{}D", rank))(x)
    s = d.layer(layers.Reshape, (*[1] * rank, channels))(s)
    s = d.mixed(s, d.integer(1, 4), activation="relu")
    s = d.mixed(s, channels, activation=d.choice(["sigmoid", "hard_sigmoid"]))
    return d.layer(layers.Multiply)([x, s]) if d.chance(0.7) else x * s


@family()
def channel_shuffle(d: Drawing) -> Any:
    x = d.tensor(lambda x: width(x) in (4, 6, 8, 9, 10, 12), (2, 3, 4))
    groups = d.choice([n for n in (2, 3, 4) if width(x) % n == 0])
    space = places(x)
    rank = len(space)
    shape = (*space, groups, width(x) // groups)
    order = (*range(1, rank + 1), rank + 2, rank + 1)
    if d.chance(0.6):
        y = d.layer(layers.Reshape, shape)(x)
        y = d.layer(layers.Permute, order)(y)
        return d.layer(layers.Reshape, (*space, width(x)))(y)
    y = keras.ops.reshape(x, (-1, *shape))
    y = keras.ops.transpose(y, (0, *order))
    return keras.ops.reshape(y, (-1, *space, width(x)))


@family()
def permute(d: Drawing) -> Any:
    x = d.map(lambda x: max(x.shape[1:]) <= MAX_WIDTH)
    order = [int(n) for n in d.generator.permutation(len(x.shape) - 1) + 1]
    if d.chance(0.6):
        return d.layer(layers.Permute, order)(x)
    return keras.ops.transpose(x, (0, *order))


@family()
def expand_and_squeeze(d: Drawing) -> Any:
    x = d.tensor(ranks=(2, 3, 4))
    ones = [i for i in range(1, len(x.shape)) if x.shape[i] == 1]
    if ones and len(x.shape) > 2 and d.chance(0.7):
        return keras.ops.squeeze(x, d.choice(ones))
    axis = d.choice([1, -1, -2])
    return keras.ops.expand_dims(x, axis)


@family()
def split(d: Drawing) -> Any:
    x = d.tensor(lambda x: width(x) > 1)
    if d.chance(0.6):
        parts = d.choice([n for n in (2, 3, 4, 5, 7) if width(x) % n == 0])
        return keras.ops.split(x, parts, axis=-1)
    return keras.ops.split(x, [d.integer(1, width(x) - 1)], axis=-1)


@family()
def slice_of_channels(d: Drawing) -> Any:
    x = d.tensor(lambda x: width(x) > 1)
    at = d.integer(1, width(x) - 1)
    forms = [
        lambda: x[..., :at],
        lambda: x[..., at:],
        lambda: x[..., ::2],
        lambda: x[..., ::-1],
        lambda: x[..., at : at + 1],
        lambda: keras.ops.take(x, [at, 0, at], axis=-1),
    ]
    return d.choice(forms)()


@family()
def slice_of_places(d: Drawing) -> Any:
    x = d.map(lambda x: x.shape[1] >= 3)
    forms = [
        lambda: x[:, 1:-1],
        lambda: x[:, ::2],
        lambda: x[:, 0],
        lambda: x[:, 1:2],
    ]
    return d.choice(forms)()


@family(weight=0.5)
def flip_and_pad(d: Drawing) -> Any:
    x = d.map(lambda x: max(places(x)) <= 7)
    if d.chance(0.5):
        return keras.ops.flip(x, axis=1)
    around = [(1, 1)] * len(places(x))
    return keras.ops.pad(x, [(0, 0), *around, (0, 0)])


@family(weight=2)
def repeat_vector(d: Drawing) -> Any:
    return d.layer(layers.RepeatVector, d.integer(2, 4))(d.tensor(ranks=(2,)))
