"""Layers and models that are called several times, models within models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from tests.pruning.graph_families.drawing import (
    Drawing,
    family,
    places,
    ranked,
    width,
)


def _layers(d: Drawing, x: keras.KerasTensor) -> list[layers.Layer]:
    """Some layers in a row that keep the shape of a map."""
    kind = ranked("Conv{}D", len(places(x)))
    middle = d.integer(1, 5)
    row = [d.layer(kind, middle, 1, use_bias=d.chance(0.5))]
    if d.chance(0.5):
        row.append(d.layer(layers.BatchNormalization))
    row.append(d.layer(layers.Activation, d.choice(["relu", "sigmoid"])))
    row.append(d.layer(kind, width(x), 3, padding="same"))
    if d.chance(0.5):
        row.append(d.layer(layers.ReLU))
    return row


def _call_some_times(
    d: Drawing, x: keras.KerasTensor, layer: Callable[[Any], Any]
) -> Any:
    """Once, in a row, or on two branches."""
    form = d.integer(0, 3)
    if form == 0:
        return layer(x)
    if form == 1:
        return layer(layer(x))
    if form == 2:
        return [layer(x), layer(d.like(x))]
    return layer(d.layer(layers.ReLU)(layer(x)))


@family()
def nested_sequential(d: Drawing) -> Any:
    x = d.map()
    model = keras.Sequential(
        [keras.Input(x.shape[1:]), *_layers(d, x)], name=d.name("sequential")
    )
    return _call_some_times(d, x, model)


@family()
def nested_functional(d: Drawing) -> Any:
    """Sometimes with a residual, sometimes with two outputs."""
    x = d.map()
    inputs = y = keras.Input(x.shape[1:], name=d.name("inner_input"))
    for layer in _layers(d, x):
        y = layer(y)
    if d.chance(0.5):
        y = d.layer(layers.Add)([y, inputs])
    two = d.chance(0.3)
    outputs = [y, d.mixed(y, 3, activation="relu")] if two else y
    model = keras.Model(inputs, outputs, name=d.name("functional"))
    return model(x) if two else _call_some_times(d, x, model)


@family(weight=2)
def shared_layer(d: Drawing) -> Any:
    """One that keeps the shape, called on one or several tensors."""
    x = d.map()
    rank = len(places(x))
    kinds: list[Callable[[], layers.Layer]] = [
        lambda: d.layer(
            ranked("Conv{}D", rank),
            width(x),
            min(2, *places(x)),
            padding="same",
        ),
        lambda: d.layer(
            ranked("Conv{}D", rank), width(x), 1, activation="sigmoid"
        ),
        lambda: d.layer(layers.BatchNormalization),
        lambda: d.layer(layers.Dense, width(x), activation="relu"),
        lambda: d.layer(layers.PReLU, shared_axes=list(range(1, rank + 1))),
        lambda: d.layer(layers.ReLU),
        lambda: d.layer(layers.LayerNormalization),
    ]
    if rank < 3:
        kind = ranked("DepthwiseConv{}D", rank)
        kinds.append(lambda: d.layer(kind, 2, padding="same"))
        kind_2 = ranked("SeparableConv{}D", rank)
        kinds.append(lambda: d.layer(kind_2, width(x), 2, padding="same"))
    return _call_some_times(d, x, d.choice(kinds)())


@family()
def shared_convolution_of_two_branches(d: Drawing) -> Any:
    """Of other sizes, as in feature pyramids."""
    x = d.map(lambda x: max(places(x)) <= 5)
    rank = len(places(x))
    other = d.layer(ranked("ZeroPadding{}D", rank))(x)
    layer = d.layer(
        ranked("Conv{}D", rank), d.integer(1, 6), 1, activation="relu"
    )
    return [layer(x), layer(other)]
