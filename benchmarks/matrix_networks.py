"""The networks of the support matrix, by name."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any

import hand_built_networks
import hub_networks
import keras

APPLICATIONS, HAND_BUILT, HUB = "keras.applications", "hand-built", "keras-hub"
# Where a network leaves its image size open, or takes larger ones by default
# than fit into memory with all tensors in float64: sizes change no channels.
_IMAGE = (224, 224, 3)
_LARGEST = 300


@dataclasses.dataclass(frozen=True)
class Network:
    """One row of the matrix.

    Attributes:
      name: unique.
      origin: `APPLICATIONS`, `HAND_BUILT` or `HUB`.
      make: makes it with Keras' initial weights.
    """

    name: str
    origin: str
    make: Callable[[], keras.Model]


def matrix_networks() -> tuple[Network, ...]:
    """All networks, in the order of the table."""
    applications = [
        Network(name, APPLICATIONS, functools.partial(_application, function))
        for name, function in vars(keras.applications).items()
        if inspect.isfunction(function)
    ]
    others = [
        Network(f"{origin} {name}", origin, make)
        for origin, found in (
            (HAND_BUILT, hand_built_networks.NETWORKS),
            (HUB, hub_networks.networks()),
        )
        for name, make in found.items()
    ]
    return (*applications, *others)


def _application(function: Callable[..., Any]) -> keras.Model:
    # Logits: a softmax would hide what differs.
    make = functools.partial(function, weights=None, classifier_activation=None)
    model = make()
    size = model.input_shape[1]
    if size is None or size > _LARGEST:
        model = make(input_shape=_IMAGE)
    return model
