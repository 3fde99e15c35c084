"""How the layers of several parts become one layer, family by family.

A layer that mixes channels reads, for a part's outputs, that part's lanes only.
"""

from __future__ import annotations

import abc
import dataclasses
import math
from typing import Any

import keras
import numpy as np

from drnet_tf.assembly.component import Part
from drnet_tf.assembly.copying import copied_config, copied_weights
from drnet_tf.assembly.lanes import Lanes
from drnet_tf.channels.rules import find_rule
from drnet_tf.channels.rules.merging import Merging
from drnet_tf.channels.rules.operands import operands
from drnet_tf.channels.rules.pointwise import Pointwise
from drnet_tf.channels.rules.spatial import ChannelWise
from drnet_tf.graph import Call
from drnet_tf.operations import is_a


class NotAlignable(Exception):
    """Says why a call cannot be aligned, as the end of a sentence."""


@dataclasses.dataclass(frozen=True, eq=False)
class Fused:
    """A wide operation: its config, its weights, the lanes of its output."""

    config: dict[str, Any]
    weights: list[np.ndarray]
    lanes: Lanes


class Fusion(abc.ABC):
    """One family of operations."""

    @abc.abstractmethod
    def covers(self, step: Call) -> bool:
        """Whether a call is one of the family."""

    @abc.abstractmethod
    def fuse(
        self, parts: list[Part], steps: list[Call], lanes: list[Lanes]
    ) -> Fused:
        """The wide operation.

        Args:
          parts: that are joined.
          steps: the call of each part.
          lanes: of the tensors that the wide call reads.
        """


class _Linear(Fusion):
    """Dense layers and plain convolutions: zeros between the parts."""

    def covers(self, step: Call) -> bool:
        layers = keras.layers
        kinds = (layers.Dense, layers.Conv1D, layers.Conv2D, layers.Conv3D)
        plain = getattr(step.operation, "groups", 1) == 1
        return type(step.operation) in kinds and plain

    def fuse(
        self, parts: list[Part], steps: list[Call], lanes: list[Lanes]
    ) -> Fused:
        (read,) = lanes
        arrays = [copied_weights(*x) for x in zip(parts, steps, strict=True)]
        widths = [x[0].shape[-1] for x in arrays]
        taps = arrays[0][0].shape[:-2]
        kernel = np.zeros((*taps, len(read.owners), sum(widths)), "float32")
        start = 0
        for part, (own, *_) in enumerate(arrays):
            mine = read.of(part)
            stop = start + widths[part]
            kernel[..., mine, start:stop] = own[..., read.places[mine], :]
            start = stop
        outputs = Lanes.joined(widths)
        bias = _bias(arrays, widths, outputs)
        config = copied_config(parts[0], steps[0])
        config["units" if "units" in config else "filters"] = sum(widths)
        config["use_bias"] = bool(bias)
        return Fused(config, [kernel, *bias], outputs)


class _Depthwise(Fusion):
    """Every channel by itself."""

    def covers(self, step: Call) -> bool:
        layers = keras.layers
        kinds = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)
        return type(step.operation) in kinds

    def fuse(
        self, parts: list[Part], steps: list[Call], lanes: list[Lanes]
    ) -> Fused:
        (read,) = lanes
        if read.are_shared:
            raise NotAlignable("the parts read the same channels with it")
        arrays = [copied_weights(*x) for x in zip(parts, steps, strict=True)]
        times = arrays[0][0].shape[-1]
        kernel = read.gather([x[0].swapaxes(-1, -2) for x in arrays])
        outputs = Lanes(
            np.repeat(read.owners, times),
            (read.places[:, None] * times + np.arange(times)).ravel(),
        )
        widths = [x[0].shape[-2] * times for x in arrays]
        bias = _bias(arrays, widths, outputs)
        config = copied_config(parts[0], steps[0]) | {"use_bias": bool(bias)}
        return Fused(config, [kernel.swapaxes(-1, -2), *bias], outputs)


class _Norm(Fusion):
    """Batch norms: their vectors, end to end."""

    def covers(self, step: Call) -> bool:
        return type(step.operation) is keras.layers.BatchNormalization

    def fuse(
        self, parts: list[Part], steps: list[Call], lanes: list[Lanes]
    ) -> Fused:
        (read,) = lanes
        arrays = [copied_weights(*x) for x in zip(parts, steps, strict=True)]
        if read.are_shared and any(
            not np.array_equal(x, y)
            for own in arrays
            for x, y in zip(arrays[0], own, strict=True)
        ):
            raise NotAlignable("the parts change the same channels with it")
        config = copied_config(parts[0], steps[0])
        axis = np.ravel(config["axis"]).tolist()
        if axis not in ([-1], [_last(parts, steps)]):
            raise NotAlignable("its channels do not come last")
        wide = [read.gather(list(x)) for x in zip(*arrays, strict=True)]
        return Fused(config, wide, read)


class _Unweighted(Fusion):
    """What treats every channel alike: activations, poolings, sums."""

    def covers(self, step: Call) -> bool:
        operation = step.operation
        if getattr(operation, "weights", None):
            return False
        # Its bounds may be one a channel, which nothing here would spread.
        if is_a(step, ("Clip",)):
            return False
        return isinstance(
            find_rule(operation), Pointwise | ChannelWise | Merging
        )

    def fuse(
        self, parts: list[Part], steps: list[Call], lanes: list[Lanes]
    ) -> Fused:
        if not all(lanes[0].equal(x) for x in lanes):
            raise NotAlignable("its operands have their channels elsewhere")
        if isinstance(find_rule(steps[0].operation), Merging):
            _check_constants(steps[0], lanes[0])
        return Fused(copied_config(parts[0], steps[0]), [], lanes[0])


class _Rescaling(Fusion):
    """By one number, or by one a channel, the same in all parts."""

    def covers(self, step: Call) -> bool:
        return type(step.operation) is keras.layers.Rescaling

    def fuse(
        self, parts: list[Part], steps: list[Call], lanes: list[Lanes]
    ) -> Fused:
        (read,) = lanes
        config = copied_config(parts[0], steps[0])
        for key in ("scale", "offset"):
            # Not of the config, where an array is written as a dictionary.
            own = np.asarray(getattr(steps[0].operation, key))
            if _is_along_channels(own):
                config[key] = read.gather([own] * len(parts)).tolist()
        return Fused(config, [], read)


class _Concatenation(Fusion):
    """Along the channels."""

    def covers(self, step: Call) -> bool:
        return type(step.operation) is keras.layers.Concatenate

    def fuse(
        self, parts: list[Part], steps: list[Call], lanes: list[Lanes]
    ) -> Fused:
        if steps[0].operation.axis not in (-1, _last(parts, steps)):
            raise NotAlignable("it does not join channels")
        before = np.zeros(len(parts), int)  # channels of each part so far
        places = []
        for read in lanes:
            if read.are_shared:
                raise NotAlignable("it joins the image with other channels")
            places.append(read.places + before[read.owners])
            before += np.bincount(read.owners, minlength=len(parts))
        owners = np.concatenate([x.owners for x in lanes])
        joined = Lanes(owners, np.concatenate(places))
        return Fused(copied_config(parts[0], steps[0]), [], joined)


class _Flattening(Fusion):
    """Places, then channels: lanes repeat at every place."""

    def covers(self, step: Call) -> bool:
        return type(step.operation) is keras.layers.Flatten

    def fuse(
        self, parts: list[Part], steps: list[Call], lanes: list[Lanes]
    ) -> Fused:
        (read,) = lanes
        if read.are_shared:
            raise NotAlignable("it flattens the image")
        places = math.prod(x or 1 for x in _shape(parts, steps)[1:-1])
        widths = np.bincount(read.owners, minlength=len(parts))
        steps_of = np.arange(places)[:, None] * widths[read.owners]
        flat = Lanes(
            np.tile(read.owners, places), (steps_of + read.places).ravel()
        )
        return Fused(copied_config(parts[0], steps[0]), [], flat)


def _bias(
    arrays: list[list[np.ndarray]], widths: list[int], outputs: Lanes
) -> list[np.ndarray]:
    """The wide bias, zeros for a part without; none if no part has one."""
    if all(len(x) == 1 for x in arrays):
        return []
    own = (
        x[1] if len(x) > 1 else np.zeros(width)
        for x, width in zip(arrays, widths, strict=True)
    )
    return [outputs.gather(list(own))]


def _check_constants(step: Call, read: Lanes) -> None:
    """Refuses a merge with constants that are not one for all channels."""
    for operand in operands(step):
        if operand.tensor is not None:
            continue
        if operand.constant is None:
            raise NotAlignable("it reads a variable, or what is no number")
        if _is_along_channels(operand.constant) and not read.are_shared:
            raise NotAlignable("its constant has a number for each channel")


def _is_along_channels(constant: np.ndarray) -> bool:
    return constant.shape[-1:] not in ((), (1,))


def _shape(parts: list[Part], steps: list[Call]) -> tuple[int | None, ...]:
    """The shape of what the first part's call reads."""
    return tuple(parts[0].graph.tensors[steps[0].inputs[0]].shape)


def _last(parts: list[Part], steps: list[Call]) -> int:
    return len(_shape(parts, steps)) - 1


FUSIONS: tuple[Fusion, ...] = (
    _Linear(),
    _Depthwise(),
    _Norm(),
    _Rescaling(),
    _Concatenation(),
    _Flattening(),
    _Unweighted(),
)
