"""Which of Keras' operations a call is, told by the names of their classes.

By name, as Keras' operators (`a + b`, `keras.ops.relu(x)`) are no public
classes; base classes count, as custom layers derive from Keras' own.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable

from drnet_tf.graph import Call


def class_names(call: Call) -> frozenset[str]:
    """Names of Keras' own classes that the call's operation derives from."""
    return _names_of_keras(type(call.operation).__mro__)


@functools.cache  # asked for at every step of a budget search
def _names_of_keras(bases: tuple[type, ...]) -> frozenset[str]:
    return frozenset(
        base.__name__ for base in bases if base.__module__.startswith("keras.")
    )


def is_a(call: Call, names: Iterable[str]) -> bool:
    """Whether the call's operation is of one of some classes of Keras.

    Example:
      >>> import keras
      >>> from drnet_tf.graph import read_graph
      >>> x = keras.Input((4,))
      >>> (add,) = read_graph(keras.Model(x, x + x)).calls
      >>> is_a(add, ("Add", "Average")), is_a(add, ("Multiply",))
      (True, False)
    """
    return not class_names(call).isdisjoint(names)
