"""Which tensor of the full network each tensor of the small one stems from."""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Mapping

import keras
import numpy as np

from drnet_tf.channels.channel_flow import ChannelFlow
from drnet_tf.graph import read_graph
from drnet_tf.pruning.surgery.rebuild import Built


@dataclasses.dataclass(frozen=True, eq=False)
class Origin:
    """A tensor of the full network and the channels of it that are kept.

    Attributes:
      tensor: its number in the full network's `Graph`.
      axis: where its channels are, counted from the end.
      channels: `(kept,)` int, numbers of the channels, in the small network's
        order.
    """

    tensor: int
    axis: int
    channels: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Lineage:
    """How a small network stems from a full one.

    Attributes:
      full_model: the full network; dead if nobody holds it any more.
      origins: of tensors of the small network, by the number in its `Graph`;
        of what calls make, before a layer of its own makes channels zero.
    """

    full_model: weakref.ref[keras.Model]
    origins: Mapping[int, Origin]


def trace_lineage(
    full_model: keras.Model, flow: ChannelFlow, built: Built
) -> Lineage:
    """Finds the lineage of a network that was just built.

    Args:
      full_model: the network that was pruned.
      flow: the complete analysis.
      built: the small network.
    """
    numbers = {
        id(tensor): number
        for number, tensor in enumerate(read_graph(built.model).tensors)
    }
    origins: dict[int, Origin] = {}
    for tensor, made in built.made.items():
        number = numbers.get(id(made))
        # A call that lost its other inputs hands on what an earlier one made.
        if number is not None and number not in origins:
            channels = flow[tensor]
            origins[number] = Origin(tensor, channels.axis, flow.kept(channels))
    return Lineage(weakref.ref(full_model), origins)


def output_rows(model: keras.Model, lineage: Lineage, caller: str) -> list[int]:
    """Which class scores of the full network a small one has, in its order.

    Args:
      model: the small network.
      lineage: of it.
      caller: whose name stands in the error.

    Raises:
      ValueError: its outputs are not the full network's, on the last axis.
    """
    origin = lineage.origins.get(read_graph(model).outputs[0])
    if origin is None or origin.axis != -1:
        raise ValueError(
            f"{caller}: the outputs of '{model.name}' cannot be matched with "
            "those of the full network; expected class scores on the last axis."
        )
    return origin.channels.tolist()
