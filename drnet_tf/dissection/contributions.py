"""What each input channel of a layer contributes to each output channel.

Of a convolution that is a_{q,p} = c_{q,p} * a_p, the map that one kernel makes
of one input map, without the bias; summed over its places it is linear in the
kernel, so the maps need not be made: s_{q,p} = Σ_t c_{q,p}[t] S_p[t], S_p[t]
being the sum of the inputs that tap t meets.
"""

from __future__ import annotations

import itertools

import keras
import numpy as np

from drnet_tf.channels.rules import find_rule
from drnet_tf.graph import Call

_CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
_SEPARABLE = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
_AT_ONCE = 1 << 25  # contributions held at a time, 128 MiB


def contributes(call: Call) -> bool:
    """Whether the call's contributions can be computed.

    True for Dense layers and for plain, grouped and separable convolutions;
    not for what is derived from them, which may do anything.
    """
    kinds = (keras.layers.Dense, *_CONVOLUTIONS, *_SEPARABLE)
    known = find_rule(call.operation) is not None
    return known and type(call.operation) in kinds


class Contributions:
    """V of one layer: contributions of the images of each class, summed.

    V_k[g, u, v] = Σ over images of class k of max(s, 0), s of the u-th input
    channel and v-th output channel of group g (one group, if not grouped).

    Args:
      layer: one that `contributes`.
      classes: K.

    Attributes:
      sums: `(K, G, U, V)` float32.
    """

    def __init__(self, layer: keras.Layer, classes: int) -> None:
        self._layer = layer
        self._kernel = _kernel(layer)
        groups, inputs, _, outputs = self._kernel.shape
        self.sums = np.zeros((classes, groups, inputs, outputs), np.float32)

    def add(self, inputs: np.ndarray, classes: np.ndarray) -> None:
        """Adds the images of a batch.

        Args:
          inputs: what the layer reads, `(n, ...)`.
          classes: `(n,)` int, of the images.
        """
        groups, each, taps, _ = self._kernel.shape
        sums = tap_sums(np.asarray(inputs, np.float32), self._layer)
        sums = sums.reshape(-1, taps, groups, each).transpose(2, 3, 0, 1)
        step = max(1, _AT_ONCE // self.sums[0].size)
        for number in np.unique(classes):
            images = np.flatnonzero(classes == number)
            for start in range(0, len(images), step):
                part = sums[:, :, images[start : start + step]]
                positive = np.maximum(part @ self._kernel, 0)
                self.sums[number] += positive.sum(2)


def tap_sums(inputs: np.ndarray, layer: keras.Layer) -> np.ndarray:
    """Sums over all places of what each tap of a kernel meets.

    Args:
      inputs: `(n, ...)` of the layer.
      layer: Dense (a single tap) or a convolution.

    Returns:
      `(n, T, C)`, taps in the order of the kernel's memory.
    """
    if isinstance(layer, keras.layers.Dense):
        flat = inputs.reshape(len(inputs), -1, inputs.shape[-1])
        return flat.sum(1, keepdims=True)
    if layer.data_format == "channels_first":
        inputs = np.moveaxis(inputs, 1, -1)
    windows, padding = [], [(0, 0)]
    for size, taps, stride, dilation in zip(
        inputs.shape[1:-1],
        layer.kernel_size,
        layer.strides,
        layer.dilation_rate,
        strict=True,
    ):
        reach = (taps - 1) * dilation + 1
        front, back = _padding(layer.padding, size, stride, reach)
        padding.append((front, back))
        places = (size + front + back - reach) // stride + 1
        starts = (tap * dilation for tap in range(taps))
        windows.append(
            [slice(x, x + (places - 1) * stride + 1, stride) for x in starts]
        )
    padded = np.pad(inputs, [*padding, (0, 0)])
    spatial = tuple(range(1, inputs.ndim - 1))
    sums = [
        padded[(slice(None), *tap)].sum(spatial)
        for tap in itertools.product(*windows)
    ]
    return np.stack(sums, 1)


def _padding(
    padding: str, size: int, stride: int, reach: int
) -> tuple[int, int]:
    """Zeros in front and behind, as TensorFlow pads."""
    if padding == "causal":
        return reach - 1, 0
    if padding != "same":
        return 0, 0
    places = -(-size // stride)
    zeros = max((places - 1) * stride + reach - size, 0)
    return zeros // 2, zeros - zeros // 2


def _kernel(layer: keras.Layer) -> np.ndarray:
    """`(G, U, T, V)` float32: groups, inputs, taps, outputs."""
    if isinstance(layer, _SEPARABLE):
        depthwise, pointwise = (
            keras.ops.convert_to_numpy(x).astype(np.float32)
            for x in (layer.depthwise_kernel, layer.pointwise_kernel)
        )
        channels, times = depthwise.shape[-2:]
        kernel = np.einsum(
            "tcm,cmo->tco",
            depthwise.reshape(-1, channels, times),
            pointwise.reshape(channels, times, -1),
        )
    else:
        kernel = keras.ops.convert_to_numpy(layer.kernel).astype(np.float32)
    groups = getattr(layer, "groups", 1)
    inputs, outputs = kernel.shape[-2:]
    kernel = kernel.reshape(-1, inputs, groups, outputs // groups)
    return np.ascontiguousarray(kernel.transpose(2, 1, 0, 3))
