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
from drnet_tf.channels.rules.merging import rescaled
from drnet_tf.graph import Call, Graph, read_graph, replay
from drnet_tf.graph_building import (
    config_of,
    functional_model,
    give_weights,
    remade,
)
from drnet_tf.pruning.class_softmax import over_rows, rows_of_softmaxes

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
      ValueError: names the first layer that differs; or the networks cannot be
        run here.
    """
    inputs = _random_inputs(flow.graph, seed)
    twins = _Twins(flow.masks, rows_of_softmaxes(flow))
    expected = _run_precisely(flow.graph, inputs, twins)
    graph = read_graph(small)
    found = _run_precisely(graph, inputs, _Twins())
    numbers = {id(tensor): i for i, tensor in enumerate(graph.tensors)}
    least = _least_scales(flow.graph)
    for call in flow.graph.calls:
        for tensor in call.outputs:
            number = numbers.get(id(tensors.get(tensor)))
            if number is None:
                continue
            difference = _difference(
                flow, tensor, expected[tensor], found[number], least[tensor]
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

    def draw(tensor: keras.KerasTensor, shape: list[int]) -> np.ndarray:
        if keras.backend.is_float_dtype(tensor.dtype):
            return generator.normal(size=shape)
        return generator.integers(2, size=shape)  # in every vocabulary

    shapes = [
        [size or _OPEN_SIZE for size in x.shape[1:]] for x in graph.tensors
    ]
    values = _IMAGES * sum(map(math.prod, shapes))
    count = _FEW_IMAGES if values > _MANY_VALUES else _IMAGES
    return [
        draw(graph.tensors[x], [graph.tensors[x].shape[0] or count, *shapes[x]])
        for x in graph.inputs
    ]


class _Twins:
    """Calls a network's operations in float64; its tensors as they come.

    Args:
      masks: the masked sites by the number of their tensor.
      rows: what softmaxes are to read, by name.
    """

    def __init__(
        self,
        masks: Mapping[int, MaskedSite] | None = None,
        rows: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        self._masks = masks or {}
        self._rows = rows or {}
        self._twins: dict[tuple[int, bool], keras.Operation] = {}
        self.tensors: dict[int, keras.KerasTensor] = {}

    def call(
        self, step: Call, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        rows = self._rows.get(step.name)
        key = (id(step.operation), rows is not None)
        new = key not in self._twins
        if new:
            name = f"twin_{len(self._twins)}"
            self._twins[key] = _in_float64(step.operation, name)
        twin = self._twins[key]
        if rows is not None and hasattr(twin, "activation"):
            twin.activation = over_rows(rows, step.operation.activation)
        elif rows is not None:
            # The twin of a softmax is called on the scores; -inf has no part.
            only = over_rows(rows, keras.activations.linear)
            args = (only(args[0]), *args[1:])
        outputs = keras.tree.flatten(twin(*args, **kwargs))
        if new and isinstance(step.operation, keras.layers.Layer):
            give_weights(twin, _twin_weights(step.operation))
        for place, tensor in enumerate(step.outputs):
            if tensor in self._masks:
                site = self._masks[tensor]
                outputs[place] = rescaled(
                    outputs[place],
                    site.keep.astype(float),
                    np.zeros(len(site.keep)),
                    site.axis,
                    f"mask_{tensor}",
                )
            self.tensors[tensor] = outputs[place]
        return outputs


def _run_precisely(
    graph: Graph, inputs: list[np.ndarray], twins: _Twins
) -> dict[int, np.ndarray]:
    """Every tensor of a network, computed in float64."""
    symbols = [
        keras.Input(
            batch_shape=graph.tensors[x].shape,
            dtype=_precise(graph.tensors[x].dtype),
        )
        for x in graph.inputs
    ]
    values = [
        keras.ops.convert_to_tensor(x, dtype=symbol.dtype)
        for x, symbol in zip(inputs, symbols, strict=True)
    ]
    try:
        replay(graph, symbols, twins.call)
        probe = functional_model(symbols, list(twins.tensors.values()))
        results = keras.tree.flatten(probe(values, training=False))
    except Exception as error:
        first = str(error).strip().split("\n")[0].rstrip(".")
        raise ValueError(
            f"prune, verify: the network cannot be run in float64 here "
            f"({type(error).__name__}: {first}); prune without verify, or "
            "where it can, e.g. channels_first on a GPU."
        ) from error
    arrays = [keras.ops.convert_to_numpy(x) for x in results]
    return {
        # A Concatenate that lost its other parts may stand for an input.
        **dict(zip(graph.inputs, inputs, strict=True)),
        **dict(zip(twins.tensors, arrays, strict=True)),
    }


def _in_float64(operation: keras.Operation, name: str) -> keras.Operation:
    config = {**config_of(operation), "name": name}
    if "dtype" in config:
        single = isinstance(operation, _SINGLE)
        config["dtype"] = "float32" if single else "float64"
    if not _is_depthwise(operation):
        return remade(operation, config)
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


def _precise(dtype: str) -> str:
    is_float = keras.backend.is_float_dtype(dtype)
    return "float64" if is_float else dtype


def _difference(
    flow: ChannelFlow,
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
    if found.dtype.kind in "biu":
        return 0.0 if np.array_equal(found, expected) else np.inf
    finite = np.isfinite(expected)  # -inf pads in front of a maximum
    if not np.array_equal(found[~finite], expected[~finite]):
        return np.inf
    found, expected = found[finite], expected[finite]
    scale = max(float(np.abs(expected).max(initial=0)), least)
    return float(np.abs(found - expected).max(initial=0)) / scale
