"""Convolutions of all kinds, and Dense."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from tests.pruning.graph_families.activations import FUNCTIONS
from tests.pruning.graph_families.drawing import (
    MAX_WIDTH,
    Drawing,
    family,
    places,
    ranked,
    width,
)


def settings(d: Drawing) -> dict[str, Any]:
    """Bias and inline activation, softmax sometimes."""
    activation = None
    if d.chance(0.5):
        activation = d.choice(FUNCTIONS)
    elif d.chance(0.05):
        activation = "softmax"
    return {"use_bias": d.chance(0.6), "activation": activation}


def geometry(d: Drawing, x: keras.KerasTensor) -> dict[str, Any]:
    """Kernel, strides or dilation, and padding that suit a map."""
    size = min(3, *places(x))
    kernel = tuple(d.integer(1, min(size, n)) for n in places(x))
    options: dict[str, Any] = {"padding": d.choice(["valid", "same"])}
    if d.chance(0.3):
        options["strides"] = 2
    elif d.chance(0.3) and max(kernel) * 2 - 1 <= min(places(x)):
        options["dilation_rate"] = 2
    return {"kernel_size": kernel, **options}


@family(weight=4)
def convolution(d: Drawing) -> Any:
    x = d.map()
    kind = ranked("Conv{}D", len(places(x)))
    options = {**geometry(d, x), **settings(d)}
    return d.layer(kind, d.integer(1, 9), **options)(x)


@family(weight=2)
def causal_convolution(d: Drawing) -> Any:
    x = d.tensor(ranks=(3,))
    return d.layer(
        layers.Conv1D, d.integer(1, 6), 2, padding="causal", **settings(d)
    )(x)


@family(weight=0.7)
def grouped_convolution(d: Drawing) -> Any:
    x = d.map(lambda x: 1 < width(x) <= MAX_WIDTH)
    divisors = [n for n in range(2, width(x) + 1) if width(x) % n == 0]
    groups = d.choice(divisors)
    filters = groups * d.integer(1, max(1, MAX_WIDTH // groups))
    kind = ranked("Conv{}D", len(places(x)))
    options = {**geometry(d, x), **settings(d)}
    return d.layer(kind, filters, groups=groups, **options)(x)


@family()
def depthwise_convolution(d: Drawing) -> Any:
    x = d.tensor(lambda x: width(x) <= MAX_WIDTH, (3, 4))
    kind = ranked("DepthwiseConv{}D", len(places(x)))
    times = d.integer(1, 3) if width(x) <= MAX_WIDTH // 3 else 1
    options = {**geometry(d, x), **settings(d)}
    return d.layer(kind, depth_multiplier=times, **options)(x)


@family()
def separable_convolution(d: Drawing) -> Any:
    x = d.tensor(ranks=(3, 4))
    kind = ranked("SeparableConv{}D", len(places(x)))
    options = {**geometry(d, x), **settings(d)}
    times, filters = d.integer(1, 2), d.integer(1, 9)
    return d.layer(kind, filters, depth_multiplier=times, **options)(x)


@family()
def transposed_convolution(d: Drawing) -> Any:
    x = d.map(lambda x: max(places(x)) <= 6)
    kind = ranked("Conv{}DTranspose", len(places(x)))
    options = geometry(d, x)
    options.pop("dilation_rate", None)  # not on a CPU
    return d.layer(kind, d.integer(1, 7), **options, **settings(d))(x)


@family()
def channels_first_depthwise(d: Drawing) -> Any:
    x = d.tensor(lambda x: x.shape[1] <= MAX_WIDTH, (4,))
    kernel = min(2, *x.shape[2:])
    return d.layer(
        layers.DepthwiseConv2D,
        kernel,
        data_format="channels_first",
        # Keras adds the bias along the last axis where that is as wide.
        use_bias=False,
        activation=d.choice([None, "relu", "sigmoid"]),
    )(x)


@family(weight=2)
def dense(d: Drawing) -> Any:
    return d.layer(layers.Dense, d.integer(1, 9), **settings(d))(d.tensor())


@family(weight=0.5)
def einsum_dense(d: Drawing) -> Any:
    units = d.integer(1, 6)
    x = d.tensor()
    axes = "bcdef"[: len(x.shape)]
    return d.layer(
        layers.EinsumDense,
        f"{axes},{axes[-1]}z->{axes[:-1]}z",
        (*places(x), units),
        bias_axes="z",
    )(x)


@family(weight=2)
def linear_block(d: Drawing) -> Any:
    """Convolution, norm and ReLU, as most networks have them."""
    x = d.map()
    x = d.layer(
        ranked("Conv{}D", len(places(x))),
        d.integer(1, 9),
        use_bias=False,
        **geometry(d, x),
    )(x)
    x = d.layer(layers.BatchNormalization)(x)
    return d.layer(layers.ReLU)(x)
