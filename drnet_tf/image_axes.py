"""Where the axes of a network's images are."""

from __future__ import annotations

import keras
import numpy as np

from drnet_tf.graph import read_graph
from drnet_tf.operations import is_a


def channel_axis(model: keras.Model) -> int:
    """Where a network's images have their channels: what its layers say.

    The first call with a `data_format` counts, as it sees the images through
    what turns their axes before it.

    Args:
      model: with one input.

    Returns:
      An axis of the images; -1 where no call says.

    Example:
      >>> image = keras.Input((3, 8, 8))
      >>> turned = keras.layers.Permute((2, 3, 1))(image)
      >>> pooled = keras.layers.MaxPooling2D()(turned)
      >>> channel_axis(keras.Model(image, pooled))
      1
    """
    graph = read_graph(model)
    rank = len(graph.tensors[graph.inputs[0]].shape)
    axes = np.arange(rank)  # of the images, as they stand where we are
    for call in graph.calls:
        layout = getattr(call.operation, "data_format", None)
        if layout is not None:
            return int(axes[1 if layout == "channels_first" else -1])
        if is_a(call, ("Permute",)):
            axes = axes[[0, *call.operation.dims]]
        elif is_a(call, ("Transpose",)) and call.operation.axes:
            axes = axes[list(call.operation.axes)]
        elif len(graph.tensors[call.outputs[0]].shape) != rank:
            break
    return -1
