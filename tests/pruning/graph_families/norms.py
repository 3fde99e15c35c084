"""Norms, over the batch and over the channels."""

from __future__ import annotations

from typing import Any

from keras import layers

from tests.pruning.graph_families.drawing import Drawing, family, width


@family(weight=3)
def batch_norm(d: Drawing) -> Any:
    return d.layer(
        layers.BatchNormalization, scale=d.chance(0.8), center=d.chance(0.8)
    )(d.tensor())


@family(weight=0.5)
def batch_norm_along_places(d: Drawing) -> Any:
    return d.layer(layers.BatchNormalization, axis=1)(d.map())


@family()
def layer_norm(d: Drawing) -> Any:
    x = d.tensor()
    axes = [-1, list(range(1, len(x.shape))), 1]
    return d.layer(
        layers.LayerNormalization,
        axis=d.choice(axes),
        scale=d.chance(0.8),
        center=d.chance(0.8),
    )(x)


@family()
def group_norm(d: Drawing) -> Any:
    x = d.tensor()
    divisors = [n for n in range(1, width(x) + 1) if width(x) % n == 0]
    return d.layer(
        layers.GroupNormalization,
        groups=d.choice([*divisors, -1]),
        scale=d.chance(0.8),
        center=d.chance(0.8),
    )(x)


@family(weight=0.5)
def rms_norm(d: Drawing) -> Any:
    return d.layer(layers.RMSNormalization, epsilon=1e-3)(d.tensor())


@family(weight=0.5)
def unit_norm(d: Drawing) -> Any:
    return d.layer(layers.UnitNormalization)(d.tensor())


@family(weight=0.5)
def normalization(d: Drawing) -> Any:
    x = d.tensor()
    wide = d.chance(0.7)
    count = width(x) if wide else 1
    return d.layer(
        layers.Normalization,
        axis=-1 if wide else None,
        mean=d.numbers(count).tolist() if wide else 0.3,
        variance=(1 + d.numbers(count) ** 2).tolist() if wide else 2.0,
    )(x)


@family()
def rescaling(d: Drawing) -> Any:
    x = d.tensor()
    if d.chance(0.4):
        return d.layer(layers.Rescaling, d.scalar(), d.scalar())(x)
    scale = d.numbers(width(x))
    scale[d.generator.random(width(x)) < 0.2] = 0
    offset = d.numbers(width(x)).tolist() if d.chance(0.7) else 0.0
    return d.layer(layers.Rescaling, scale.tolist(), offset)(x)
