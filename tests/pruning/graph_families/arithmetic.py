"""Operators with numbers: `x * 2`, `x + array`, `-x`."""

from __future__ import annotations

from typing import Any

import keras

from tests.pruning.graph_families.drawing import Drawing, family, width


@family(weight=2)
def with_a_number(d: Drawing) -> Any:
    x, number = d.tensor(), d.scalar()
    divisor = number or 2.0
    forms = [
        lambda: x + number,
        lambda: number + x,
        lambda: x - number,
        lambda: number - x,
        lambda: x * number,
        lambda: number * x,
        lambda: x / divisor,
        lambda: keras.ops.maximum(x, number),
        lambda: keras.ops.minimum(number, x),
    ]
    return d.choice(forms)()


@family(weight=2)
def with_a_number_for_each_channel(d: Drawing) -> Any:
    x = d.tensor()
    numbers = d.numbers(width(x))
    numbers[d.generator.random(width(x)) < 0.2] = 0
    if d.chance(0.4):
        numbers = numbers.reshape(*[1] * (len(x.shape) - 1), -1)
    numbers = numbers.astype(x.dtype)
    if d.chance(0.3):
        numbers = keras.ops.convert_to_tensor(numbers)
    forms = [
        lambda: x + numbers,
        lambda: x - numbers,
        lambda: keras.ops.subtract(numbers, x),
        lambda: x * numbers,
        lambda: keras.ops.multiply(numbers, x),
        lambda: x / (keras.ops.abs(numbers) + 0.5),
        lambda: keras.ops.maximum(x, numbers),
    ]
    return d.choice(forms)()


@family()
def of_one_value(d: Drawing) -> Any:
    x = d.tensor()
    forms = [
        lambda: -x,
        lambda: keras.ops.abs(x),
        lambda: keras.ops.square(keras.ops.tanh(x)),
        lambda: keras.ops.clip(x, -0.5, 0.8),
        lambda: keras.ops.cos(x),
        lambda: keras.ops.sqrt(keras.ops.abs(x) + 0.1),
        lambda: 1 / (keras.ops.abs(x) + 1),
        lambda: keras.ops.tanh(x) ** 2,
    ]
    return d.choice(forms)()
