"""Alignment padding: parts of one architecture as one wider chain."""

from __future__ import annotations

from typing import Any, NoReturn

import keras
import numpy as np

from drnet_tf.assembly.component import Part, has_plain_weights
from drnet_tf.assembly.copying import copied_config, plain_name
from drnet_tf.assembly.fusion import FUSIONS, Fused, NotAlignable
from drnet_tf.assembly.lanes import Lanes
from drnet_tf.channels.rules.activations import is_pointwise
from drnet_tf.graph import Call, replay
from drnet_tf.graph_building import give_weights, remade

# What widths, training and the start of weights decide, not the architecture.
_MAY_DIFFER = (
    "activity_regularizer",
    "bias_constraint",
    "bias_initializer",
    "bias_regularizer",
    "depthwise_constraint",
    "depthwise_initializer",
    "depthwise_regularizer",
    "filters",
    "kernel_constraint",
    "kernel_initializer",
    "kernel_regularizer",
    "name",
    "seed",
    "trainable",
    "units",
    "use_bias",
)


def align_parts(parts: list[Part], image: Any) -> Any:
    """The logits of all parts, by one chain that is as wide as all of them.

    Args:
      parts: of one architecture.
      image: the symbolic input.

    Raises:
      ValueError: the first call at which the parts differ, or that cannot be
        aligned.
    """
    first = parts[0].graph
    _check_same(parts)
    lanes = {first.inputs[0]: Lanes.shared(image.shape[-1])}
    numbers = {call.name: number for number, call in enumerate(first.calls)}
    seen: set[int] = set()

    def call(step: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if step.name in parts[0].softmaxes - {parts[0].head.name}:
            lanes[step.outputs[0]] = lanes[step.inputs[0]]
            return keras.tree.flatten((args, kwargs))[0]
        if id(step.operation) in seen:
            _refuse(step, "it is called more than once")
        seen.add(id(step.operation))
        steps = [part.graph.calls[numbers[step.name]] for part in parts]
        try:
            fused = _fuse(parts, steps, [lanes[x] for x in step.inputs])
        except NotAlignable as error:
            _refuse(step, str(error))
        lanes[step.outputs[0]] = fused.lanes
        config = {**fused.config, "name": plain_name(step)}
        new = remade(step.operation, config)
        outputs = new(*args, **kwargs)
        if fused.weights:
            give_weights(new, fused.weights)
        return outputs

    (logits,) = replay(first, [image], call)
    return logits


def _fuse(parts: list[Part], steps: list[Call], lanes: list[Lanes]) -> Fused:
    step, kind = steps[0], type(steps[0].operation)
    activation = getattr(step.operation, "activation", None)
    # The head's own softmax is left out.
    if activation is not None and step.name not in parts[0].softmaxes:
        _check_activation(activation)
    fusion = next((x for x in FUSIONS if x.covers(step)), None)
    if fusion is None:
        raise NotAlignable(f"{kind.__name__} is not among what can be aligned")
    if getattr(step.operation, "data_format", "") == "channels_first":
        raise NotAlignable("its channels come first")
    if not all(has_plain_weights(x.operation) for x in steps):
        raise NotAlignable("its weights are quantized, or have LoRA's beside")
    fused = fusion.fuse(parts, steps, lanes)
    for number, (part, own) in enumerate(zip(parts, steps, strict=True)):
        made = part.graph.tensors[own.outputs[0]].shape[-1:]
        if made != (len(fused.lanes.of(number)),):
            raise NotAlignable("it makes more or fewer channels than it reads")
    return fused


def _check_activation(activation: Any) -> None:
    """Refuses a function that may mix the channels of different parts."""
    if not is_pointwise(activation):
        name = getattr(activation, "__name__", type(activation).__name__)
        raise NotAlignable(f"its activation '{name}' may read all channels")


def _check_same(parts: list[Part]) -> None:
    """Refuses parts whose graphs differ in more than widths."""
    first = parts[0]
    for part in parts[1:]:
        calls = zip(first.graph.calls, part.graph.calls, strict=False)
        for ours, theirs in calls:
            if (reason := _difference(first, ours, part, theirs)) is not None:
                _refuse(ours, f"'{part.component.model.name}' {reason}")
        if len(first.graph.calls) != len(part.graph.calls):
            _refuse(
                first.head,
                f"'{part.component.model.name}' has "
                f"{len(part.graph.calls)} calls, not "
                f"{len(first.graph.calls)}",
            )


def _difference(ours: Part, a: Call, theirs: Part, b: Call) -> str | None:
    if type(a.operation) is not type(b.operation):
        return f"has a {type(b.operation).__name__} '{b.name}' there"
    if (a.inputs, a.outputs) != (b.inputs, b.outputs):
        return f"has '{b.name}' there, which reads other tensors"
    if (a.name == ours.head.name) != (b.name == theirs.head.name):
        return "makes its logits elsewhere"
    if not _are_same((a.args, a.kwargs), (b.args, b.kwargs)):
        return f"has '{b.name}' there, called with other arguments"
    first, second = copied_config(ours, a), copied_config(theirs, b)
    for key in {**first, **second}:
        if key not in _MAY_DIFFER and not _are_same(
            first.get(key), second.get(key)
        ):
            return f"has '{b.name}' there, with {key} {second.get(key)}"
    return None


def _are_same(first: Any, second: Any) -> bool:
    """Whether two structures hold the same, arrays compared by their values."""
    try:
        keras.tree.assert_same_structure(first, second)
    except (TypeError, ValueError):
        return False
    pairs = zip(
        keras.tree.flatten(first), keras.tree.flatten(second), strict=True
    )
    return all(
        type(x) is type(y) and np.array_equal(_plain(x), _plain(y))
        for x, y in pairs
    )


def _plain(value: Any) -> Any:
    """A tensor or variable as an array, all else as it is."""
    if isinstance(value, keras.Variable) or keras.ops.is_tensor(value):
        return keras.ops.convert_to_numpy(value)
    return value


def _refuse(step: Call, reason: str) -> NoReturn:
    raise ValueError(
        f"assemble: '{step.name}' ({type(step.operation).__name__}) cannot be "
        f"aligned, as {reason}; expected components of one architecture; pass "
        "align=False to run them side by side."
    )
