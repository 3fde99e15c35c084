"""Receptive fields: the pixels that one place of a tensor can depend on.

Read off the graph, call by call from the tensor back to the image: a
convolution or pooling of size k, stride s, dilation d and padding p turns the
places a..b of its output into a s - p .. b s - p + (k - 1) d of its input.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from drnet_tf.free_sites import MERGES, is_activation
from drnet_tf.graph import Call, Graph
from drnet_tf.operations import is_a

_CONVOLUTIONS = ("Conv2D", "DepthwiseConv2D", "SeparableConv2D")
_POOLINGS = ("MaxPooling2D", "AveragePooling2D")
_PLACE_WISE = (
    "Activation",
    "AlphaDropout",
    "BatchNormalization",
    "Concatenate",
    "Dense",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "Multiply",
    "Rescaling",
    "SpatialDropout2D",
    "TrueDivide",
    *MERGES,
)
_ROWS, _COLUMNS = 0, 1


@dataclasses.dataclass(frozen=True)
class Box:
    """A rectangle of places; `bottom` and `right` are the first outside it."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left

    def joined(self, other: Box) -> Box:
        """The smallest box around both."""
        return Box(
            min(self.top, other.top),
            min(self.left, other.left),
            max(self.bottom, other.bottom),
            max(self.right, other.right),
        )


def receptive_field(graph: Graph, tensor: int, row: int, column: int) -> Box:
    """The pixels that a place of a tensor depends on, as a rectangle.

    It is exact for convolutions, poolings, paddings, crops and what works place
    by place, and their sums; any other operation is taken to read its whole
    input, so that the box is never too small.

    Args:
      graph: of a network of one image, channels last.
      tensor: number of a tensor `(batch, rows, columns, channels)`.
      row, column: the place.

    Returns:
      The box within the image, in pixels.

    Raises:
      ValueError: a network of several inputs, a tensor or image that is no map
        of known size, or a place outside the tensor.

    Example:
      >>> import keras
      >>> from drnet_tf.graph import read_graph
      >>> model = keras.Sequential([
      ...     keras.Input((8, 8, 1)),
      ...     keras.layers.Conv2D(1, 3, padding="same"),
      ...     keras.layers.MaxPooling2D(2),
      ... ])
      >>> graph = read_graph(model)
      >>> receptive_field(graph, graph.outputs[0], 0, 1)
      Box(top=0, left=1, bottom=3, right=5)
    """
    image = _checked(graph, tensor, row, column)
    boxes = {tensor: Box(row, column, row + 1, column + 1)}
    for call in reversed(graph.calls):
        needed = [boxes[x] for x in call.outputs if x in boxes]
        if not needed:
            continue
        box = needed[0]
        for other in needed[1:]:
            box = box.joined(other)
        for source in call.inputs:
            found = _before(graph, call, source, box)
            if source in boxes:
                found = found.joined(boxes[source])
            boxes[source] = found
    return boxes.get(image, _whole(graph, image))


def _checked(graph: Graph, tensor: int, row: int, column: int) -> int:
    """The number of the image."""
    if len(graph.inputs) != 1:
        raise ValueError(
            f"Receptive field: the network has {len(graph.inputs)} inputs, "
            "expected one, the images."
        )
    for index in (graph.inputs[0], tensor):
        shape = graph.tensors[index].shape
        if len(shape) != 4 or None in shape[1:]:
            raise ValueError(
                f"Receptive field: tensor {index} has shape {shape}, expected "
                "(batch, rows, columns, channels) of known size; build the "
                "network with a fixed image size, channels last."
            )
    rows, columns = graph.tensors[tensor].shape[1:3]
    if not (0 <= row < rows and 0 <= column < columns):
        raise ValueError(
            f"Receptive field: got the place ({row}, {column}), expected one "
            f"within {rows} rows and {columns} columns."
        )
    return graph.inputs[0]


def _before(graph: Graph, call: Call, source: int, box: Box) -> Box:
    """What a call reads of one of its inputs for a box of its output."""
    size = graph.tensors[source].shape
    made = graph.tensors[call.outputs[0]].shape
    if len(size) != 4 or len(made) != 4:
        return _whole(graph, source)  # a vector is made of all places
    rows, columns = (
        _span(call, axis, first, end, size[1 + axis], made[1 + axis])
        for axis, (first, end) in (
            (_ROWS, (box.top, box.bottom)),
            (_COLUMNS, (box.left, box.right)),
        )
    )
    if rows is None or columns is None:
        return _whole(graph, source)
    top, bottom = _within(rows, size[1])
    left, right = _within(columns, size[2])
    return Box(top, left, bottom, right)


def _within(span: tuple[int, int], size: int) -> tuple[int, int]:
    """Cuts off what is padding; one place stays at least."""
    first = min(max(span[0], 0), size - 1)
    return first, max(min(span[1], size), first + 1)


def _span(
    call: Call, axis: int, first: int, end: int, size: int, made: int
) -> tuple[int, int] | None:
    """The places first..end - 1 of an axis of the output, seen in the input.

    None: all of them.
    """
    layer: Any = call.operation
    if getattr(layer, "data_format", "channels_last") == "channels_first":
        return None
    if is_a(call, _CONVOLUTIONS):
        reach = (_at(layer.kernel_size, axis) - 1) * _at(
            layer.dilation_rate, axis
        )
        return _windows(layer, axis, first, end, size, made, reach)
    if is_a(call, _POOLINGS):
        reach = _at(layer.pool_size, axis) - 1
        return _windows(layer, axis, first, end, size, made, reach)
    if is_a(call, ("ZeroPadding2D",)):
        shift = layer.padding[axis][0]
        return first - shift, end - shift
    if is_a(call, ("Cropping2D",)):
        shift = layer.cropping[axis][0]
        return first + shift, end + shift
    place_wise = is_a(call, _PLACE_WISE) or is_activation(call)
    # Of another size, it is broadcast: one value for all places.
    return (first, end) if place_wise and size == made else None


def _windows(
    layer: Any,
    axis: int,
    first: int,
    end: int,
    size: int,
    made: int,
    reach: int,
) -> tuple[int, int]:
    """Windows of `reach` + 1 places, `stride` apart, with their padding."""
    stride = _at(layer.strides, axis)
    before = 0
    if layer.padding == "same":
        before = max((made - 1) * stride + reach + 1 - size, 0) // 2
    return first * stride - before, (end - 1) * stride - before + reach + 1


def _at(value: Any, axis: int) -> int:
    """An entry of what Keras keeps as one number or as a tuple."""
    return int(value if isinstance(value, int) else value[axis])


def _whole(graph: Graph, tensor: int) -> Box:
    shape = graph.tensors[tensor].shape
    if len(shape) != 4:
        return Box(0, 0, 1, 1)
    return Box(0, 0, shape[1], shape[2])
