"""Runs the masked and the small network and compares them layer by layer.

Both run in float64, so that what differs is the networks and not the rounding:
in float32 two orders of one sum can differ by more than the tolerance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from drnet_tf.channels.channel_flow import ChannelFlow, MaskedSite
from drnet_tf.graph import Call, Graph, read_graph, replay
from drnet_tf.graph_building import functional_model

TOLERANCE = 1e-5  # of the tensor's largest absolute value
# A number that is hardly a width: Keras' add takes an operand of shape
# (batch, 1, 1, 1) for a bias, and adds it along the channels if they are as
# many as the images.
_IMAGES = 13
_FEW_IMAGES = 2  # of large networks: every tensor is held
_MANY_VALUES = 1 << 27
# TensorFlow computes these on the CPU in float32 only.
_SINGLE = (keras.layers.AveragePooling3D, keras.layers.MaxPooling3D)
_OPEN_SIZE = 32  # stands for an axis of any length


def check_equal(
    flow: ChannelFlow,
    small: keras.Model,
    tensors: Mapping[int, keras.KerasTensor],
    seed: int = 0,
) -> None:
    """Compares every value that the outputs depend on.

    Args:
      flow: the complete analysis.
      small: the small network.
      tensors: its tensors, by the number of the full network's.
      seed: of the random inputs.

    Raises:
      ValueError: names the first layer that differs.
    """
    inputs = _random_inputs(flow.graph, seed)
    expected = _run_precisely(flow.graph, inputs, flow.masks)
    graph = read_graph(small)
    found = _run_precisely(graph, inputs, {})
    numbers = {id(tensor): i for i, tensor in enumerate(graph.tensors)}
    least = _least_scales(flow.graph)
    for call in flow.graph.calls:
        for tensor in call.outputs:
            number = numbers.get(id(tensors.get(tensor)))
            if number is None:
                continue
            difference = _difference(
                flow,
                call,
                tensor,
                expected[tensor],
                found[number],
                least[tensor],
            )
            if not difference <= TOLERANCE:
                raise ValueError(
                    f"prune, layer '{call.name}': its values differ from the "
                    f"masked network's by {difference:.2g} of their scale, "
                    f"expected {TOLERANCE:.2g} at most; please report this "
                    "with the model."
                )


def _least_scales(graph: Graph) -> dict[int, float]:
    """Below which scale the rounding of weights alone can exceed the tolerance.

    A constant that is folded into a bias is rounded to the bias' type; where
    values cancel nearly, that is a large share of what is left.
    """
    least = dict.fromkeys(graph.inputs, 1e-30)
    for call in graph.calls:
        weights = [
            keras.ops.convert_to_numpy(x)
            for x in getattr(call.operation, "weights", ())
        ]
        rounding = [
            float(np.finfo(x.dtype).eps * np.abs(x).max(initial=0))
            for x in weights
            if x.dtype.kind == "f"
        ]
        own = max(rounding, default=0.0) / TOLERANCE
        scale = max(own, *(least[x] for x in call.inputs), 1e-30)
        least.update(dict.fromkeys(call.outputs, scale))
    return least


def _random_inputs(graph: Graph, seed: int) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    shapes = [
        [size or _OPEN_SIZE for size in x.shape[1:]] for x in graph.tensors
    ]
    values = _IMAGES * sum(map(math.prod, shapes))
    count = _FEW_IMAGES if values > _MANY_VALUES else _IMAGES
    return [
        generator.normal(size=[graph.tensors[x].shape[0] or count, *shapes[x]])
        for x in graph.inputs
    ]


def _run_precisely(
    graph: Graph, inputs: list[np.ndarray], masks: Mapping[int, MaskedSite]
) -> dict[int, np.ndarray]:
    """Every tensor of a masked network, computed in float64."""
    tensors: dict[int, keras.KerasTensor] = {}
    twins: dict[int, keras.Operation] = {}

    def call(step: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        key = id(step.operation)
        new = key not in twins
        if new:
            twins[key] = _in_float64(step.operation, f"twin_{len(twins)}")
        outputs = keras.tree.flatten(twins[key](*args, **kwargs))
        if new and isinstance(step.operation, keras.layers.Layer):
            twins[key].set_weights(_twin_weights(step.operation))
            if isinstance(twins[key], keras.layers.Normalization):
                twins[key].finalize_state()  # reads its weights only here
        for place, tensor in enumerate(step.outputs):
            if tensor in masks:
                outputs[place] = _masked(outputs[place], masks[tensor])
            tensors[tensor] = outputs[place]
        return outputs

    symbols = [
        keras.Input(
            batch_shape=graph.tensors[x].shape,
            dtype=_precise(graph.tensors[x].dtype),
        )
        for x in graph.inputs
    ]
    replay(graph, symbols, call)
    probe = functional_model(symbols, list(tensors.values()))
    values = [
        keras.ops.convert_to_tensor(x, dtype=symbol.dtype)
        for x, symbol in zip(inputs, symbols, strict=True)
    ]
    results = keras.tree.flatten(probe(values, training=False))
    arrays = [keras.ops.convert_to_numpy(x) for x in results]
    return {
        # A Concatenate that lost its other parts may stand for an input.
        **dict(zip(graph.inputs, inputs, strict=True)),
        **dict(zip(tensors, arrays, strict=True)),
    }


def _in_float64(operation: keras.Operation, name: str) -> keras.Operation:
    config = {**operation.get_config(), "name": name}
    if "dtype" in config:
        single = isinstance(operation, _SINGLE)
        config["dtype"] = "float32" if single else "float64"
    if not _is_depthwise(operation):
        return type(operation).from_config(config)
    shared = (
        "activation",
        "data_format",
        "dilation_rate",
        "dtype",
        "kernel_size",
        "name",
        "padding",
        "strides",
        "use_bias",
    )
    return keras.layers.DepthwiseConv2D.from_config(
        {key: config[key] for key in shared}
    )


def _is_depthwise(operation: keras.Operation) -> bool:
    """Whether a convolution has a group for each channel.

    TensorFlow's CPU leaves groups to XLA, which takes minutes in float64; for
    the layer of this name it has an operation of its own.
    """
    return (
        type(operation) is keras.layers.Conv2D
        and operation.groups == operation.filters > 1
        and operation.kernel.shape[-2] == 1
        and len(set(operation.strides)) == 1
    )


def _twin_weights(layer: keras.Layer) -> list[np.ndarray]:
    weights = layer.get_weights()
    if _is_depthwise(layer):
        # (height, width, 1, channels) is (height, width, channels, 1) there.
        weights[0] = np.swapaxes(weights[0], -1, -2)
    return weights


def _masked(tensor: keras.KerasTensor, site: MaskedSite) -> keras.KerasTensor:
    keep = site.keep.reshape(-1, *[1] * (-site.axis - 1)).astype(float)
    return keras.layers.Rescaling(keep.tolist(), dtype="float64")(tensor)


def _precise(dtype: str) -> str:
    is_float = keras.backend.is_float_dtype(dtype)
    return "float64" if is_float else dtype


def _difference(
    flow: ChannelFlow,
    call: Call,
    tensor: int,
    expected: np.ndarray,
    found: np.ndarray,
    least: float,
) -> float:
    """Largest difference where a reader relies on it, relative to the scale."""
    channels = flow[tensor]
    kept = flow.kept(channels)
    places = np.flatnonzero(channels.needed[kept])
    found = np.take(found, places, channels.axis)
    expected = np.take(expected, kept[places], channels.axis)
    if call.name in flow.head and _is_probability(flow, call):
        expected = expected / expected.sum(channels.axis, keepdims=True)
    finite = np.isfinite(expected)  # -inf pads in front of a maximum
    if not np.array_equal(found[~finite], expected[~finite]):
        return np.inf
    found, expected = found[finite], expected[finite]
    scale = max(float(np.abs(expected).max(initial=0)), least)
    return float(np.abs(found - expected).max(initial=0)) / scale


def _is_probability(flow: ChannelFlow, call: Call | None) -> bool:
    """Whether a softmax stands between the classifier and the call's end."""
    producers = flow.graph.producers()
    while call is not None and call.name in flow.head:
        activation = getattr(call.operation, "activation", None)
        if (
            isinstance(call.operation, keras.layers.Softmax)
            or activation is keras.activations.softmax
        ):
            return True
        call = producers.get(call.inputs[0])
    return False
