"""Which inputs a convolution reads at a place: patches, without padding.

A place o of the output reads, along each axis, the inputs

    i = o s + t d - p       of a convolution (stride s, dilation d, tap t),
    i = (o + p - t d) / s   of a transposed one, where that is whole,

p zeros being in front ("same" pads as TensorFlow does: the smaller half in
front). Places outside the input are zeros.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class Window:
    """How a convolution slides along one axis.

    Attributes:
      taps: size of the kernel.
      stride, dilation: as of the layer.
      padding: "valid", "same" or "causal".
      transposed: whether the layer is a transposed convolution.
    """

    taps: int
    stride: int = 1
    dilation: int = 1
    padding: str = "valid"
    transposed: bool = False

    def reads(
        self, places: np.ndarray, size_in: int, size_out: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Which inputs are read.

        Args:
          places: `(P,)` int, along this axis of the output.
          size_in, size_out: of the input and of the output.

        Returns:
          `(P, taps)` int, numbers of inputs, and `(P, taps)` bool, whether
          there is one: elsewhere the number is 0.
        """
        front = self._zeros_in_front(size_out if self.transposed else size_in)
        taps = np.arange(self.taps) * self.dilation
        if self.transposed:
            steps = places[:, None] + front - taps
            inputs, rest = np.divmod(steps, self.stride)
            there = rest == 0
        else:
            inputs = places[:, None] * self.stride + taps - front
            there = np.ones(inputs.shape, bool)
        there &= (inputs >= 0) & (inputs < size_in)
        return np.where(there, inputs, 0), there

    def _zeros_in_front(self, size: int) -> int:
        reach = (self.taps - 1) * self.dilation + 1
        if self.padding == "same":
            steps = -(-size // self.stride)
            return max((steps - 1) * self.stride + reach - size, 0) // 2
        return reach - 1 if self.padding == "causal" else 0


def take_patches(
    inputs: np.ndarray,
    places: np.ndarray,
    shape_out: Sequence[int],
    windows: Sequence[Window],
) -> np.ndarray:
    """What a convolution reads at some places of every image.

    Args:
      inputs: `(N, *spatial, C)`.
      places: `(N, P)` int, numbers of places of the output, counted in the
        order of its memory.
      shape_out: `spatial` of the output.
      windows: one for each axis.

    Returns:
      `(N, P, T, C)`, the taps T in the order of the kernel's memory.

    Example:
      >>> images = np.arange(4.0).reshape(1, 4, 1)
      >>> window = Window(taps=3, padding="same")
      >>> take_patches(images, np.array([[0, 2]]), (4,), [window])[0, ..., 0]
      array([[0., 0., 1.],
             [1., 2., 3.]])
    """
    count, channels = len(inputs), inputs.shape[-1]
    sizes = inputs.shape[1:-1]
    index = np.zeros((*places.shape, 1), np.int64)
    there = np.ones((*places.shape, 1), bool)
    along = np.unravel_index(places, tuple(shape_out))
    for size, out, at, window in zip(
        sizes, shape_out, along, windows, strict=True
    ):
        reads, inside = window.reads(at.ravel(), size, out)
        reads = reads.reshape(*places.shape, 1, -1)
        inside = inside.reshape(*places.shape, 1, -1)
        index = (index[..., None] * size + reads).reshape(*places.shape, -1)
        there = (there[..., None] & inside).reshape(*places.shape, -1)
    flat = inputs.reshape(count, -1, channels)
    patches = flat[np.arange(count)[:, None, None], index]
    return np.where(there[..., None], patches, np.zeros((), inputs.dtype))


def draw_places(
    images: int,
    shape_out: Sequence[int],
    per_image: int,
    generator: np.random.Generator,
) -> np.ndarray:
    """Draws places of the output, other ones in every image.

    Args:
      images: their number N.
      shape_out: `spatial` of the output; none for a vector.
      per_image: number of places; all are taken if there are no more.
      generator: of random numbers.

    Returns:
      `(N, P)` int, ascending in every row, each place at most once.
    """
    size = int(np.prod(shape_out, dtype=int))
    if per_image >= size:
        return np.tile(np.arange(size), (images, 1))
    # One place in each of `per_image` stretches of equal length: spread over
    # the image, and drawn at once.
    edges = np.linspace(0, size, per_image + 1)
    low = np.ceil(edges[:-1]).astype(int)
    high = np.ceil(edges[1:]).astype(int)
    return generator.integers(low, high, size=(images, per_image))


def gather(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Values at places.

    Args:
      values: `(N, *spatial, C)`.
      places: `(N, P)` int.

    Returns:
      `(N, P, C)`.
    """
    flat = values.reshape(len(values), -1, values.shape[-1])
    return flat[np.arange(len(values))[:, None], places]
