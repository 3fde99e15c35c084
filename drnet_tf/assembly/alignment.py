"""Alignment padding: parts of one architecture as one wider chain."""

from __future__ import annotations

from typing import Any, NoReturn

import keras

from drnet_tf.assembly.component import Part
from drnet_tf.assembly.copying import copied_config, plain_name
from drnet_tf.assembly.fusion import FUSIONS, Fused, NotAlignable
from drnet_tf.assembly.lanes import Lanes
from drnet_tf.graph import Call, replay

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
        new = type(step.operation).from_config(config)
        outputs = new(*args, **kwargs)
        if fused.weights:
            new.set_weights(fused.weights)
        return outputs

    (logits,) = replay(first, [image], call)
    return logits


def _fuse(parts: list[Part], steps: list[Call], lanes: list[Lanes]) -> Fused:
    kind = type(steps[0].operation)
    fusion = next((x for x in FUSIONS if x.covers(steps[0])), None)
    if fusion is None:
        raise NotAlignable(f"{kind.__name__} is not among what can be aligned")
    if getattr(steps[0].operation, "data_format", "") == "channels_first":
        raise NotAlignable("its channels come first")
    return fusion.fuse(parts, steps, lanes)


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
    if repr((a.args, a.kwargs)) != repr((b.args, b.kwargs)):
        return f"has '{b.name}' there, called with other arguments"
    first, second = copied_config(ours, a), copied_config(theirs, b)
    for key in first:
        if key not in _MAY_DIFFER and first[key] != second.get(key):
            return f"has '{b.name}' there, with {key} {second.get(key)}"
    return None


def _refuse(step: Call, reason: str) -> NoReturn:
    raise ValueError(
        f"assemble: '{step.name}' ({type(step.operation).__name__}) cannot be "
        f"aligned, as {reason}; expected components of one architecture; pass "
        "align=False to run them side by side."
    )
