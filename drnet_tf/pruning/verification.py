"""Runs the masked and the small network and compares them layer by layer."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from drnet_tf.graph import Call, replay
from drnet_tf.pruning.channel_flow import ChannelFlow

TOLERANCE = 1e-5  # of the tensor's largest absolute value, in float32
_IMAGES = 2
_OPEN_SIZE = 32  # stands for an axis of any length


def check_equal(
    model: keras.Model,
    flow: ChannelFlow,
    small: keras.Model,
    tensors: dict[int, keras.KerasTensor],
    seed: int = 0,
) -> None:
    """Compares every value that the outputs depend on.

    Args:
      model: the full network.
      flow: the complete analysis.
      small: the small network.
      tensors: its tensors, by the number of the full network's.
      seed: of the random inputs.

    Raises:
      ValueError: names the first layer that differs.
    """
    inputs = _random_inputs(model, seed)
    masked = _masked_values(flow, inputs)
    numbers = [x for x in sorted(tensors) if x in masked]
    probe = keras.Model(small.inputs, [tensors[x] for x in numbers])
    values = keras.tree.flatten(probe(inputs, training=False))
    producers = flow.graph.producers()
    for number, value in zip(numbers, values, strict=True):
        call = producers[number]
        expected, places = _expected(flow, call, number, masked[number])
        found = np.take(_numpy(value), places, flow[number].axis)
        scale = max(float(np.abs(expected).max(initial=0)), 1e-30)
        difference = float(np.abs(found - expected).max(initial=0)) / scale
        if not difference <= _tolerance(value):
            raise ValueError(
                f"prune, layer '{call.name}': its values differ from the "
                f"masked network's by {difference:.2g} of their scale, "
                f"expected {_tolerance(value):.2g} at most; please report "
                "this with the model."
            )


def _random_inputs(model: keras.Model, seed: int) -> list[Any]:
    generator = np.random.default_rng(seed)
    return [
        keras.ops.convert_to_tensor(
            generator.normal(
                size=[x.shape[0] or _IMAGES]
                + [size or _OPEN_SIZE for size in x.shape[1:]]
            ).astype("float32"),
            dtype=x.dtype,
        )
        for x in model.inputs
    ]


def _masked_values(flow: ChannelFlow, inputs: list[Any]) -> dict[int, Any]:
    """Every tensor of the masked network."""
    values: dict[int, Any] = {}

    def run(call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        outputs = keras.tree.flatten(call.operation(*args, **kwargs))
        for place, tensor in enumerate(call.outputs):
            if tensor in flow.masks:
                site = flow.masks[tensor]
                keep = site.keep.reshape(-1, *[1] * (-site.axis - 1))
                outputs[place] = outputs[place] * keras.ops.cast(
                    keep, outputs[place].dtype
                )
            values[tensor] = _numpy(outputs[place])
        return outputs

    replay(flow.graph, inputs, run)
    return values


def _expected(
    flow: ChannelFlow, call: Call, number: int, masked: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Values to find, and at which of the small tensor's channels."""
    channels = flow[number]
    kept = flow.kept(channels)
    places = np.flatnonzero(channels.needed[kept])
    expected = np.take(masked, kept[places], channels.axis)
    if call.name in flow.head and _is_probability(flow, call):
        expected = expected / expected.sum(channels.axis, keepdims=True)
    return expected, places


def _is_probability(flow: ChannelFlow, call: Call) -> bool:
    """Whether a softmax stands between the classifier and the call's end."""
    producers = flow.graph.producers()
    while call is not None and call.name in flow.head:
        operation = call.operation
        activation = getattr(operation, "activation", None)
        if isinstance(operation, keras.layers.Softmax) or (
            activation is keras.activations.softmax
        ):
            return True
        call = producers.get(call.inputs[0])
    return False


def _numpy(tensor: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32"))


def _tolerance(tensor: Any) -> float:
    dtype = keras.backend.standardize_dtype(tensor.dtype)
    return {"float32": TOLERANCE, "float64": TOLERANCE}.get(dtype, 0.05)
