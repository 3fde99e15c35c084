"""Parameters and multiply-accumulates of one call, whole or in part."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import keras
import numpy as np

from drnet_tf.graph import Call, Graph

_CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
)
_TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)
_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
_SEPARABLE = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
_STATISTICS = ("moving_mean", "moving_variance")
_OPERATORS = ("Dot", "Einsum", "Matmul", "Tensordot", "Vdot")


@dataclasses.dataclass(frozen=True)
class Product:
    """Every output channel as a weighted sum over its group's input channels.

    Weights: taps x pairs. Multiply-accumulates: positions x taps x pairs, where
    pairs = sum over groups g of (inputs of g) x (outputs of g).

    Attributes:
      inputs: input channels.
      outputs: output channels.
      groups: 1 for Dense and most convolutions, `inputs` for a depthwise one.
      taps: places of the kernel: 9 for 3x3.
      positions: places of an image where the kernel is applied: the pixels of
        the output; of the input for a transposed convolution.
    """

    inputs: int
    outputs: int
    groups: int
    taps: int
    positions: int

    def weights(
        self, inputs: np.ndarray | None, outputs: np.ndarray | None
    ) -> int:
        """Number of weights between kept inputs and kept outputs.

        Args:
          inputs: `(inputs,)` bool; None: all are kept.
          outputs: `(outputs,)` bool; None: all are kept.

        Example:
          >>> product = Product(4, 4, 1, taps=9, positions=64)
          >>> product.weights(None, np.array([True, True, True, False]))
          108
        """
        kept_inputs, kept_outputs = (
            np.full(self.groups, count // self.groups)
            if kept is None
            else kept.reshape(self.groups, -1).sum(axis=1)
            for kept, count in (
                (inputs, self.inputs),
                (outputs, self.outputs),
            )
        )
        return self.taps * int(kept_inputs @ kept_outputs)


@dataclasses.dataclass(frozen=True)
class Weight:
    """One weight tensor of a layer.

    Attributes:
      shape: of the tensor.
      learnable: False for moving statistics. It says what the weight is for:
        freezing a layer does not change it.
    """

    shape: tuple[int, ...]
    learnable: bool


def products(call: Call, graph: Graph) -> tuple[Product, ...]:
    """The products that a call of a convolution or Dense layer consists of.

    Returns:
      Two for a separable convolution (depthwise, then pointwise), one for the
      others, none for any other operation.

    Raises:
      ValueError: the layer works on images of unknown size.
    """
    layer = call.operation
    known = (*_CONVOLUTIONS, *_TRANSPOSED, *_DEPTHWISE, *_SEPARABLE)
    if isinstance(layer, keras.layers.Dense):
        shape = _shape(graph, call.outputs[0], call)
        inputs = _shape(graph, call.inputs[0], call)[-1]
        return (Product(inputs, layer.units, 1, 1, math.prod(shape[:-1])),)
    if not isinstance(layer, known):
        return ()
    first = layer.data_format == "channels_first"
    before, after = (
        np.roll(_shape(graph, index, call), -1 if first else 0).tolist()
        for index in (call.inputs[0], call.outputs[0])
    )
    inputs, outputs = before[-1], after[-1]
    taps, pixels = math.prod(layer.kernel_size), math.prod(after[:-1])
    if isinstance(layer, _TRANSPOSED):
        return (Product(inputs, outputs, 1, taps, math.prod(before[:-1])),)
    if isinstance(layer, _CONVOLUTIONS):
        return (Product(inputs, outputs, layer.groups, taps, pixels),)
    middle = inputs * layer.depth_multiplier
    depthwise = Product(inputs, middle, inputs, taps, pixels)
    if isinstance(layer, _SEPARABLE):
        return (depthwise, Product(middle, outputs, 1, 1, pixels))
    return (depthwise,)


def multiplies_otherwise(call: Call) -> bool:
    """Whether the call multiplies matrices in a way `products` cannot count.

    True for other layers with a kernel (recurrent, attention, einsum, wrappers,
    layers of one's own) and for operators such as `a @ b`.
    """
    layer = call.operation
    if isinstance(layer, keras.Layer):
        kernels = any("kernel" in weight.name for weight in layer.weights)
        return kernels and not isinstance(
            layer,
            (
                keras.layers.Dense,
                *_CONVOLUTIONS,
                *_TRANSPOSED,
                *_DEPTHWISE,
                *_SEPARABLE,
            ),
        )
    return type(layer).__name__ in _OPERATORS


def kept_weights(
    parts: Sequence[Product],
    before: np.ndarray | None,
    after: np.ndarray | None,
) -> list[int]:
    """Kernel weights of each product with only the kept channels.

    Args:
      parts: from `products`.
      before: kept channels of the call's input, `(C,)` bool; None: all.
      after: kept channels of its output, `(C,)` bool; None: all.
    """
    if len(parts) < 2:
        return [part.weights(before, after) for part in parts]
    depthwise, pointwise = parts
    middle = before
    if before is not None:
        middle = np.repeat(before, depthwise.outputs // depthwise.inputs)
    return [depthwise.weights(before, middle), pointwise.weights(middle, after)]


def weights_of_calls(graph: Graph) -> list[tuple[Weight, ...]]:
    """The weights of each call; a weight that is shared stands once."""
    seen: set[int] = set()
    found = []
    for call in graph.calls:
        layer = call.operation
        new = [x for x in getattr(layer, "weights", ()) if id(x) not in seen]
        seen.update(map(id, new))
        fixed = isinstance(layer, keras.layers.Normalization)
        found.append(
            tuple(
                Weight(tuple(x.shape), not fixed and x.name not in _STATISTICS)
                for x in new
            )
        )
    return found


def kept_parameters(
    call: Call,
    weights: Sequence[Weight],
    parts: Sequence[Product],
    before: np.ndarray | None,
    after: np.ndarray | None,
    axis: int,
) -> tuple[int, int]:
    """Parameters of a call with only the kept channels: all, and learnable.

    Args:
      call: what has the weights.
      weights: of the call, from `weights_of_calls`.
      parts: of the call, from `products`.
      before: kept channels of its input, `(C,)` bool; None: all.
      after: kept channels of its output, `(C,)` bool; None: all.
      axis: of the channels `after`, counted from the end.
    """
    if parts and weights:
        removed = sum(kept_weights(parts, None, None))
        removed -= sum(kept_weights(parts, before, after))
        if call.operation.use_bias and after is not None:
            removed += int((~after).sum())
    else:
        removed = 0
    totals = [0, 0]
    for weight in weights:
        size = math.prod(weight.shape)
        if not parts and after is not None:
            size = _kept_size(weight.shape, after, axis)
        totals[0] += size
        totals[1] += size * weight.learnable
    return totals[0] - removed, totals[1] - removed


def _kept_size(shape: tuple[int, ...], kept: np.ndarray, axis: int) -> int:
    """Size of a weight that goes with the channels: scales, slopes, ..."""
    size = math.prod(shape)
    if len(shape) == 1:
        axis = -1
    if len(shape) < -axis or shape[axis] != len(kept):
        return size
    return size // len(kept) * int(kept.sum())


def _shape(graph: Graph, index: int, call: Call) -> list[int]:
    shape = list(graph.tensors[index].shape[1:])
    if None in shape:
        raise ValueError(
            f"Layer '{call.name}': got a tensor of shape {(None, *shape)}, "
            "expected only the batch axis to be unknown, or the multiply-"
            "accumulates of an image are open; rebuild the model with a fixed "
            "image size, keras.Input((height, width, channels))."
        )
    return shape
