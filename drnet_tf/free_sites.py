"""Free sites: one at the activation after every convolution (DRNet 3.1)."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from drnet_tf.graph import Call, Graph
from drnet_tf.operations import is_a

CONVOLUTIONS = (
    "Conv1D",
    "Conv2D",
    "Conv3D",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "SeparableConv1D",
    "SeparableConv2D",
    "Conv1DTranspose",
    "Conv2DTranspose",
    "Conv3DTranspose",
)
NORMS = (
    "BatchNormalization",
    "GroupNormalization",
    "LayerNormalization",
    "RMSNormalization",
    "UnitNormalization",
)
# Layers, and the operators behind `keras.ops.relu(x)` and its like.
ACTIVATIONS = (
    "Activation",
    "CELU",
    "Celu",
    "ELU",
    "Elu",
    "Gelu",
    "Glu",
    "HardSigmoid",
    "HardSilu",
    "HardTanh",
    "LeakyReLU",
    "LeakyRelu",
    "LogSigmoid",
    "PReLU",
    "ReLU",
    "Relu",
    "Relu6",
    "SELU",
    "Selu",
    "Sigmoid",
    "Silu",
    "SoftShrink",
    "Softplus",
    "Softsign",
    "SparsePlus",
    "Tanh",
    "TanhShrink",
    "Threshold",
)
MERGES = ("Add", "Average", "Maximum", "Minimum", "Subtract")
# Every channel of the output depends on the same channel of the input alone.
_CHANNEL_WISE = (
    "AlphaDropout",
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
    "Rescaling",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "UpSampling1D",
    "UpSampling2D",
    "UpSampling3D",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
)
# What may stand between the class scores and the model's output.
_SHAPES_AND_POOLS = (
    "Flatten",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "Reshape",
    "Softmax",
    "Squeeze",
)


@dataclasses.dataclass(frozen=True)
class GatePlace:
    """A tensor that the gates of a site multiply.

    Attributes:
      tensor: its number in `read_graph(model)`.
      axis: where its channels are, counted from the end.
      entries: for each of its channels the number of its gate.
    """

    tensor: int
    axis: int
    entries: tuple[int, ...]

    @functools.cached_property
    def index(self) -> np.ndarray:
        """`entries` as an array, to index with."""
        index = np.array(self.entries, int)
        index.setflags(write=False)
        return index


@dataclasses.dataclass(frozen=True)
class GateSite:
    """A vector of gates, and the tensor, or tensors, whose channels it gates.

    Attributes:
      name: name of the call that makes the tensor; unique in the model.
      channels: number of gates; of a free site the width C_l of its tensor.
      axis: where the channels are, counted from the end: -1 for channels last.
      tensor: number of the (first) tensor in `read_graph(model)`.
      kind: what makes the tensor: "activation", or "norm" or "conv" where no
        activation follows (linear bottlenecks).
      convs: names of the convolutions whose channels the site gates.
      places: all tensors that the gates multiply; one for a free site.
    """

    name: str
    channels: int
    axis: int
    tensor: int
    kind: str
    convs: tuple[str, ...]
    places: tuple[GatePlace, ...] = ()

    def __post_init__(self) -> None:
        if not self.places:
            entries = tuple(range(self.channels))
            own = GatePlace(self.tensor, self.axis, entries)
            object.__setattr__(self, "places", (own,))


def find_free_sites(graph: Graph) -> tuple[GateSite, ...]:
    """The free sites of a graph, in graph order; see `sites.gate_sites`."""
    consumers = graph.consumers()
    heads = _head_convolutions(graph)
    fed_by: dict[int, list[str]] = {}
    kinds: dict[int, str] = {}
    axes: dict[int, int] = {}
    for call in graph.calls:
        if not is_convolution(call, graph) or call.name in heads:
            continue
        for tensor, kind in _sites_after(call, graph, consumers):
            fed_by.setdefault(tensor, []).append(call.name)
            kinds[tensor] = kind
            axes[tensor] = channel_axis(call, len(graph.tensors[tensor].shape))
    return tuple(
        GateSite(
            call.name,
            graph.tensors[tensor].shape[axes[tensor]],
            axes[tensor],
            tensor,
            kinds[tensor],
            tuple(fed_by[tensor]),
        )
        for call in graph.calls
        for tensor in call.outputs
        if tensor in fed_by
    )


def is_convolution(call: Call, graph: Graph) -> bool:
    """Whether a call is one of a convolution layer.

    A Dense layer on a map is one, too: a 1x1 convolution (ConvNeXt's MLP).
    """
    if is_a(call, ("Dense",)):
        return len(graph.tensors[call.outputs[0]].shape) > 2
    return is_a(call, CONVOLUTIONS)


def is_activation(call: Call) -> bool:
    """Whether the call is a channel-wise non-linearity, layer or operator."""
    if is_a(call, ("Activation",)):
        name = getattr(call.operation.activation, "__name__", "")
        return name not in ("linear", "softmax", "log_softmax")
    return is_a(call, ACTIVATIONS)


def channel_axis(call: Call, rank: int) -> int:
    """The channel axis of a convolution's tensors, counted from the end."""
    first = getattr(call.operation, "data_format", None) == "channels_first"
    return 1 - rank if first else -1


def _is_linear(call: Call) -> bool:
    return is_a(call, ("Activation",)) and not is_activation(call)


def _has_inline_activation(call: Call) -> bool:
    name = getattr(
        getattr(call.operation, "activation", None), "__name__", "linear"
    )
    return name != "linear"


def _sites_after(
    conv: Call, graph: Graph, consumers: dict[int, tuple[Call, ...]]
) -> list[tuple[int, str]]:
    """(tensor, kind) of the activations that a convolution's output reaches."""
    output = conv.outputs[0]
    if _has_inline_activation(conv):
        return [(output, "activation")]
    activations: list[tuple[int, str]] = []
    linear = (output, "conv")
    stack, seen = [output], {output}
    while stack:
        for call in consumers[stack.pop()]:
            result = call.outputs[0]
            if result in seen or len(call.outputs) > 1:
                continue
            seen.add(result)
            if is_activation(call):
                activations.append((result, "activation"))
            elif is_a(call, NORMS):
                if linear[1] == "conv" and call.inputs == (output,):
                    linear = (result, "norm")
                stack.append(result)
            elif _is_linear(call) or is_a(call, _CHANNEL_WISE):
                stack.append(result)
            elif is_a(call, MERGES) and _keeps_shape(call, graph):
                stack.append(result)
    return activations or [linear]


def _keeps_shape(call: Call, graph: Graph) -> bool:
    shapes = {graph.tensors[i].shape for i in (*call.inputs, *call.outputs)}
    return len(shapes) == 1


def _head_convolutions(graph: Graph) -> set[str]:
    """Names of the convolutions whose channels are the class scores."""
    producers = graph.producers()
    heads: set[str] = set()
    stack = list(graph.outputs)
    while stack:
        call = producers.get(stack.pop())
        if call is None:
            continue
        if is_convolution(call, graph):
            heads.add(call.name)
        elif (
            is_activation(call)
            or _is_linear(call)
            or is_a(call, ("Activation", *_SHAPES_AND_POOLS))
            or is_a(call, (*NORMS, *_CHANNEL_WISE))
        ):
            stack.extend(call.inputs)
    return heads
