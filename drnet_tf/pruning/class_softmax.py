"""The softmaxes of a network of which class rows are cut: what they read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from drnet_tf.channels.channel_flow import ChannelFlow
from drnet_tf.graph import Call
from drnet_tf.operations import is_a


def rows_of_softmaxes(flow: ChannelFlow) -> dict[str, np.ndarray]:
    """Which class rows the softmaxes of the small network are over.

    Args:
      flow: the complete analysis.

    Returns:
      `(C, 1, ...)` bool by the name of the call: which channels it reads; only
      of softmaxes over the classes, and none where no rows are cut.
    """
    rows = {}
    for call in flow.graph.calls:
        channels = flow[call.outputs[0]]
        axis = getattr(call.operation, "axis", -1)
        rank = len(flow.shape(call.outputs[0]))
        if (
            call.name in flow.head
            and _is_softmax(call)
            and axis in (channels.axis, channels.axis + rank)
        ):
            places = [1] * (-channels.axis - 1)
            rows[call.name] = flow.is_kept(channels).reshape(-1, *places)
    return rows


def over_rows(
    rows: np.ndarray, function: Callable[[Any], Any]
) -> Callable[[Any], Any]:
    """A softmax over some rows; what it gives for the others means nothing."""
    return lambda scores: function(keras.ops.where(rows, scores, -np.inf))


def _is_softmax(call: Call) -> bool:
    """By name, as `find_classifier` tells them."""
    activation = getattr(call.operation, "activation", None)
    name = getattr(activation, "__name__", "")
    return name in ("softmax", "log_softmax") or is_a(
        call, ("Softmax", "LogSoftmax")
    )
