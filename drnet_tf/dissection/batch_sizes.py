"""How many images are optimised at a time."""

from __future__ import annotations

import keras
import numpy as np

from drnet_tf.graph import read_graph

# Activations of a batch, which the backward pass needs, stay below about this.
_BATCH_BYTES = 1 << 30
_BATCH_SIZES = (128, 64, 32, 16, 8, 4, 2, 1)


def batch_size_for(model: keras.Model, asked: int | None) -> int:
    """The number asked for, or the default one.

    Raises:
      ValueError: less than one was asked for.
    """
    if asked is None:
        return default_batch_size(model)
    if asked < 1:
        raise ValueError(f"batch_size: got {asked}, expected 1 or more.")
    return asked


def default_batch_size(model: keras.Model) -> int:
    """The largest of 128, 64, ..., 1 whose activations take at most 1 GiB."""
    elements = sum(
        int(np.prod([d or 1 for d in x.shape[1:]]))
        for x in read_graph(model).tensors
    )
    # Float32, and about as much again for the gradients on their way back.
    per_image = 2 * 4 * elements
    fitting = (s for s in _BATCH_SIZES if s * per_image <= _BATCH_BYTES)
    return next(fitting, 1)
