"""Activations: as functions, as layers, as operators."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from tests.pruning.graph_families.drawing import (
    Drawing,
    Unsuitable,
    family,
    width,
)

# By name in `keras.activations`. Not "exponential": two in a row overflow.
FUNCTIONS = (
    *("relu", "relu", "relu", "relu6", "celu", "elu", "gelu", "hard_shrink"),
    *("hard_sigmoid", "hard_silu", "hard_tanh", "leaky_relu", "log_sigmoid"),
    *("linear", "mish", "selu", "sigmoid", "silu", "soft_shrink", "softplus"),
    *("softsign", "sparse_plus", "sparse_sigmoid", "squareplus", "tanh"),
    "tanh_shrink",
)


@family(weight=2)
def activation_layer(d: Drawing) -> Any:
    function = d.choice(FUNCTIONS)
    return d.layer(layers.Activation, function)(d.tensor())


@family()
def activation_function(d: Drawing) -> Any:
    # These two of Keras' take no symbolic tensor.
    names = [x for x in FUNCTIONS if x not in ("mish", "hard_silu")]
    return getattr(keras.activations, d.choice(names))(d.tensor())


@family(weight=2)
def activation_operator(d: Drawing) -> Any:
    x = d.tensor()
    if d.chance(0.1):
        return keras.ops.threshold(x, 0.1, d.scalar())
    names = [name for name in FUNCTIONS if hasattr(keras.ops, name)]
    return getattr(keras.ops, d.choice(names))(x)


@family(weight=2)
def relu_layer(d: Drawing) -> Any:
    settings = d.choice(
        [
            {},
            {"max_value": 6.0},
            {"negative_slope": 0.2},
            {"threshold": 0.3},
            {"max_value": 1.0, "negative_slope": 0.1, "threshold": 0.2},
        ]
    )
    return d.layer(layers.ReLU, **settings)(d.tensor())


@family()
def leaky_and_elu_layers(d: Drawing) -> Any:
    kind = d.choice([layers.LeakyReLU, layers.ELU])
    return d.layer(kind)(d.tensor())


@family()
def prelu_shared(d: Drawing) -> Any:
    x = d.map()
    axes = list(range(1, len(x.shape)))
    shared = axes[:-1] if d.chance(0.7) else d.choice([axes, axes[-1:]])
    return d.layer(layers.PReLU, shared_axes=shared)(x)


@family(weight=0.5)
def prelu_by_place(d: Drawing) -> Any:
    return d.layer(layers.PReLU)(d.tensor())


@family(weight=0.5)
def softmax_over_channels(d: Drawing) -> Any:
    x = d.tensor()
    form = d.integer(0, 2)
    if form == 0:
        return d.layer(layers.Softmax)(x)
    if form == 1:
        name = d.choice(["softmax", "log_softmax"])
        return d.layer(layers.Activation, name)(x)
    return keras.ops.softmax(x)


@family(weight=0.5)
def softmax_over_places(d: Drawing) -> Any:
    x = d.map()
    return d.layer(layers.Softmax, axis=d.choice([1, -2]))(x)


@family()
def gated_linear_unit(d: Drawing) -> Any:
    # As a layer (`Activation("glu")`) Keras gives it the wrong shape.
    return keras.ops.glu(d.tensor(lambda x: width(x) % 2 == 0))


@family(weight=0.3)
def exponential(d: Drawing) -> Any:
    if "exponential" in d.once:
        raise Unsuitable
    d.once.add("exponential")
    return d.layer(layers.Activation, "exponential")(d.tensor())
