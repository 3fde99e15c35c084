"""A random network while it is drawn, and the table of what can be drawn."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import keras
import numpy as np
from keras import layers

MAX_WIDTH = 12  # of what a family makes wider
MAX_SIZE = 1500  # numbers in a tensor, per image
_T = TypeVar("_T")


class Unsuitable(Exception):
    """A family finds nothing that it could be applied to."""


@dataclasses.dataclass(frozen=True)
class Family:
    """One family of operations.

    Attributes:
      draw: applies it to tensors of a drawing; gives the new tensors.
      weight: how often it is tried, against 1 of the others.
    """

    draw: Callable[[Drawing], Any]
    weight: float


FAMILIES: dict[str, Family] = {}
HEADS: dict[str, Family] = {}


def family(
    weight: float = 1.0, table: dict[str, Family] = FAMILIES
) -> Callable[[Callable[[Drawing], Any]], Callable[[Drawing], Any]]:
    """Puts a function into the table, under its own name."""

    def decorate(draw: Callable[[Drawing], Any]) -> Callable[[Drawing], Any]:
        table[draw.__name__] = Family(draw, weight)
        return draw

    return decorate


@dataclasses.dataclass(frozen=True)
class Step:
    """A family that was applied: what it read and made, by `id`."""

    family: str
    reads: tuple[int, ...]
    makes: tuple[int, ...]


class Drawing:
    """Tensors so far, and random choices.

    Args:
      generator: makes all choices.
      inputs: the network's inputs.

    Attributes:
      tensors: what can be read.
      steps: the families that were applied.
    """

    def __init__(
        self, generator: np.random.Generator, inputs: list[keras.KerasTensor]
    ) -> None:
        self.generator = generator
        self.tensors = list(inputs)
        self.steps: list[Step] = []
        self.once: set[str] = set()
        self._reads: list[keras.KerasTensor] = []
        self._names = 0

    def apply(self, name: str, table: dict[str, Family] = FAMILIES) -> Any:
        """Applies a family; None if it is unsuitable here."""
        self._reads = []
        try:
            made = table[name].draw(self)
        except Unsuitable:
            return None
        outputs = [
            x for x in keras.tree.flatten(made) if math.prod(x.shape[1:])
        ]
        reads = tuple(map(id, self._reads))
        self.steps.append(Step(name, reads, tuple(map(id, outputs))))
        self.tensors += [x for x in outputs if size(x) <= MAX_SIZE]
        return outputs

    def unread(self) -> list[keras.KerasTensor]:
        """Tensors that nothing reads yet."""
        read = {tensor for step in self.steps for tensor in step.reads}
        return [x for x in self.tensors if id(x) not in read]

    # Choices.

    def chance(self, probability: float) -> bool:
        return bool(self.generator.random() < probability)

    def integer(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        if high < low:
            raise Unsuitable
        return int(self.generator.integers(low, high + 1))

    def choice(self, items: Sequence[_T]) -> _T:
        if not items:
            raise Unsuitable
        return items[int(self.generator.integers(len(items)))]

    def numbers(self, *shape: int) -> np.ndarray:
        return self.generator.normal(0, 1, shape).round(3)

    def scalar(self) -> float:
        return float(self.choice([-2.0, -0.7, 0.0, 0.4, 1.0, 1.5, 3.0]))

    # Tensors.

    def tensor(
        self,
        suits: Callable[[keras.KerasTensor], bool] = lambda x: True,
        ranks: Sequence[int] = (2, 3, 4, 5),
    ) -> keras.KerasTensor:
        """Picks one, late and unread ones more often."""
        fitting = [x for x in self.tensors if len(x.shape) in ranks]
        fitting = [x for x in fitting if suits(x)]
        unread = {id(x) for x in self.unread()}
        fresh = [x for x in fitting if id(x) in unread]
        if fresh and self.chance(0.7):
            fitting = fresh
        if len(fitting) > 2 and self.chance(0.6):
            fitting = fitting[-2:]
        tensor = self.choice(fitting)
        self._reads.append(tensor)
        return tensor

    def read(self, tensors: list[keras.KerasTensor]) -> list[Any]:
        """Notes that all of these are read; there has to be one."""
        if not tensors:
            raise Unsuitable
        self._reads += tensors
        return tensors

    def map(
        self, suits: Callable[[keras.KerasTensor], bool] = lambda x: True
    ) -> keras.KerasTensor:
        """Picks a tensor with places: rank 3, 4 or 5."""
        return self.tensor(suits, (3, 4, 5))

    def like(self, tensor: keras.KerasTensor) -> keras.KerasTensor:
        """Another tensor of the same shape; makes one if there is none."""
        same = [
            x
            for x in self.tensors
            if x is not tensor and x.shape == tensor.shape
        ]
        if same and self.chance(0.8):
            other = self.choice(same)
            self._reads.append(other)
            return other
        return self.mixed(tensor, width(tensor))

    def mixed(
        self, tensor: keras.KerasTensor, filters: int, **kwargs: Any
    ) -> keras.KerasTensor:
        """A convolution (a Dense layer of a vector) of one place each."""
        rank = len(tensor.shape) - 2
        if not rank:
            return self.layer(layers.Dense, filters, **kwargs)(tensor)
        kind = ranked("Conv{}D", rank)
        return self.layer(kind, filters, 1, **kwargs)(tensor)

    def name(self, kind: str) -> str:
        # Keras names operators like layers, but for the letter.
        self._names += 1
        return f"{kind.lower()}_d{self._names}"

    def layer(
        self, kind: type[layers.Layer], *args: Any, **kwargs: Any
    ) -> layers.Layer:
        """Makes a layer; its name is of this drawing, not of the process."""
        return kind(*args, name=self.name(kind.__name__), **kwargs)


def width(tensor: keras.KerasTensor) -> int:
    """Size of the last axis."""
    return tensor.shape[-1]


def places(tensor: keras.KerasTensor) -> tuple[int, ...]:
    """Sizes of the axes between the batch and the last."""
    return tuple(tensor.shape[1:-1])


def size(tensor: keras.KerasTensor) -> int:
    """How many numbers one image has."""
    return math.prod(tensor.shape[1:])


def ranked(pattern: str, rank: int) -> type[layers.Layer]:
    """The layer for 1, 2 or 3 axes of places, e.g. of `Conv{}D`."""
    return getattr(layers, pattern.format(rank))


def is_float64(tensor: keras.KerasTensor) -> bool:
    """Some kernels of TensorFlow's are not there for the CPU in float64."""
    return tensor.dtype == "float64"
