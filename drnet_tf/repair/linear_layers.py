"""Layers that are linear in their weights, written as x W + b.

For each family: which inputs an output reads (`samples`), and its weights as
one array `(G, U, V)`: G groups of V outputs that share U unknowns each. Outputs
are numbered group by group, as Keras numbers their channels.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence

import keras
import numpy as np

from drnet_tf.repair.patches import Window, gather, take_patches


class LinearLayer(abc.ABC):
    """A layer whose outputs, before its activation, are x W + b.

    Args:
      layer: of Keras; only `set_weights` changes it.
    """

    transposed = False

    def __init__(self, layer: keras.Layer) -> None:
        self.layer = layer

    @property
    def first(self) -> bool:
        """Whether the channels come first, after the batch axis."""
        return getattr(self.layer, "data_format", "") == "channels_first"

    @property
    def is_linear_to_the_end(self) -> bool:
        """Whether no activation of the layer's own follows x W + b."""
        return self.layer.activation in (None, keras.activations.linear)

    def channels_last(self, array: np.ndarray) -> np.ndarray:
        """An input or output of the layer as float32 `(N, *spatial, C)`."""
        array = np.moveaxis(array, 1, -1) if self.first else array
        return np.asarray(array, "float32")

    def spatial(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Sizes of the places, of an array's shape `(N, ...)`."""
        return tuple(shape[2:] if self.first else shape[1:-1])

    @abc.abstractmethod
    def samples(
        self, inputs: np.ndarray, places: np.ndarray, shape_out: Sequence[int]
    ) -> np.ndarray:
        """What is read at some places of the output.

        Args:
          inputs: `(N, *spatial, C)`.
          places: `(N, P)` int, see `patches.take_patches`.
          shape_out: `spatial` of the output.

        Returns:
          `(G, N P, U)`.
        """

    def channels_of_unknowns(self, channels: int) -> np.ndarray:
        """`(G, U)` int: the input channel, of `channels`, of each unknown."""
        groups, unknowns, _ = self.kernel().shape
        numbers = np.arange(channels).reshape(groups, -1)
        return np.tile(numbers, unknowns // numbers.shape[1])

    @abc.abstractmethod
    def kernel(self) -> np.ndarray:
        """`(G, U, V)` float32."""

    @abc.abstractmethod
    def arrays(self, kernel: np.ndarray) -> list[np.ndarray]:
        """The kernel `(G, U, V)` as the layer's arrays, without the bias."""

    def bias(self) -> np.ndarray | None:
        """`(G, V)` float32; None without one."""
        if not self.layer.use_bias:
            return None
        bias = keras.ops.convert_to_numpy(self.layer.bias)
        groups, _, outputs = self.kernel().shape
        return bias.reshape(groups, outputs).astype("float32")

    def set_weights(self, kernel: np.ndarray, bias: np.ndarray | None) -> None:
        """Gives the layer a kernel `(G, U, V)` and a bias `(G, V)`."""
        arrays = self.arrays(kernel)
        if bias is not None:
            arrays.append(bias.ravel())
        self.layer.set_weights(arrays)

    def _windows(self) -> list[Window]:
        layer = self.layer
        return [
            Window(taps, stride, dilation, layer.padding, self.transposed)
            for taps, stride, dilation in zip(
                layer.kernel_size,
                layer.strides,
                layer.dilation_rate,
                strict=True,
            )
        ]

    def _patches(
        self, inputs: np.ndarray, places: np.ndarray, shape_out: Sequence[int]
    ) -> np.ndarray:
        """`(N P, T, C)`."""
        patches = take_patches(inputs, places, shape_out, self._windows())
        return patches.reshape(-1, *patches.shape[2:])


class _Dense(LinearLayer):
    def samples(
        self, inputs: np.ndarray, places: np.ndarray, shape_out: Sequence[int]
    ) -> np.ndarray:
        return gather(inputs, places).reshape(1, -1, inputs.shape[-1])

    def kernel(self) -> np.ndarray:
        return _numpy(self.layer.kernel)[None]

    def arrays(self, kernel: np.ndarray) -> list[np.ndarray]:
        return [kernel[0]]


class _Convolution(LinearLayer):
    """Plain and grouped convolutions; kernel `(..., in / G, G V)`."""

    def samples(
        self, inputs: np.ndarray, places: np.ndarray, shape_out: Sequence[int]
    ) -> np.ndarray:
        patches = self._patches(inputs, places, shape_out)
        count, taps, _ = patches.shape
        groups = self.layer.groups
        grouped = patches.reshape(count, taps, groups, -1)
        return grouped.transpose(2, 0, 1, 3).reshape(groups, count, -1)

    def kernel(self) -> np.ndarray:
        kernel = _numpy(self.layer.kernel)
        groups = self.layer.groups
        matrix = kernel.reshape(-1, groups, kernel.shape[-1] // groups)
        return matrix.swapaxes(0, 1)

    def arrays(self, kernel: np.ndarray) -> list[np.ndarray]:
        shape = self.layer.kernel.shape
        return [kernel.swapaxes(0, 1).reshape(shape)]


class _Transposed(LinearLayer):
    """Kernel `(..., out, in)`."""

    transposed = True

    def samples(
        self, inputs: np.ndarray, places: np.ndarray, shape_out: Sequence[int]
    ) -> np.ndarray:
        patches = self._patches(inputs, places, shape_out)
        return patches.reshape(1, len(patches), -1)

    def kernel(self) -> np.ndarray:
        kernel = _numpy(self.layer.kernel).swapaxes(-1, -2)
        return kernel.reshape(1, -1, kernel.shape[-1])

    def arrays(self, kernel: np.ndarray) -> list[np.ndarray]:
        *taps, outputs, inputs = self.layer.kernel.shape
        return [kernel.reshape(*taps, inputs, outputs).swapaxes(-1, -2)]


class _Depthwise(LinearLayer):
    """Kernel `(..., C, m)`: every channel a group of m outputs."""

    def samples(
        self, inputs: np.ndarray, places: np.ndarray, shape_out: Sequence[int]
    ) -> np.ndarray:
        return self._patches(inputs, places, shape_out).transpose(2, 0, 1)

    def kernel(self) -> np.ndarray:
        *taps, channels, times = self.layer.kernel.shape
        kernel = _numpy(self.layer.kernel)
        return kernel.reshape(-1, channels, times).swapaxes(0, 1)

    def arrays(self, kernel: np.ndarray) -> list[np.ndarray]:
        return [kernel.swapaxes(0, 1).reshape(self.layer.kernel.shape)]


class _Separable(LinearLayer):
    """The pointwise kernel `(..., C m, out)`; the depthwise one stays.

    Both at once would be a product of unknowns.
    """

    def samples(
        self, inputs: np.ndarray, places: np.ndarray, shape_out: Sequence[int]
    ) -> np.ndarray:
        patches = self._patches(inputs, places, shape_out)
        depthwise = _numpy(self.layer.depthwise_kernel)
        depthwise = depthwise.reshape(-1, *depthwise.shape[-2:])
        mixed = np.einsum("stc,tcm->scm", patches, depthwise)
        return mixed.reshape(1, len(patches), -1)

    def channels_of_unknowns(self, channels: int) -> np.ndarray:
        times = self.kernel().shape[1] // channels
        return np.repeat(np.arange(channels), times)[None]

    def kernel(self) -> np.ndarray:
        kernel = _numpy(self.layer.pointwise_kernel)
        return kernel.reshape(1, -1, kernel.shape[-1])

    def arrays(self, kernel: np.ndarray) -> list[np.ndarray]:
        return [
            _numpy(self.layer.depthwise_kernel),
            kernel.reshape(self.layer.pointwise_kernel.shape),
        ]


_FAMILIES: dict[type[keras.Layer], type[LinearLayer]] = {
    keras.layers.Dense: _Dense,
    keras.layers.Conv1D: _Convolution,
    keras.layers.Conv2D: _Convolution,
    keras.layers.Conv3D: _Convolution,
    keras.layers.Conv1DTranspose: _Transposed,
    keras.layers.Conv2DTranspose: _Transposed,
    keras.layers.Conv3DTranspose: _Transposed,
    keras.layers.DepthwiseConv1D: _Depthwise,
    keras.layers.DepthwiseConv2D: _Depthwise,
    keras.layers.SeparableConv1D: _Separable,
    keras.layers.SeparableConv2D: _Separable,
}


def is_linear(operation: keras.Operation) -> bool:
    """Whether an operation can be written as x W + b; no subclass of one."""
    return type(operation) in _FAMILIES


def linear_layer(operation: keras.Operation) -> LinearLayer:
    """The operation as x W + b.

    Raises:
      TypeError: it is another one; see `is_linear`.

    Example:
      >>> dense = keras.layers.Dense(2)
      >>> dense.build((None, 3))
      >>> linear_layer(dense).kernel().shape
      (1, 3, 2)
    """
    if not is_linear(operation):
        raise TypeError(f"{type(operation).__name__}: not linear in weights.")
    return _FAMILIES[type(operation)](operation)


def _numpy(variable: keras.Variable) -> np.ndarray:
    array = keras.ops.convert_to_numpy(variable)
    return np.asarray(array, "float32")
