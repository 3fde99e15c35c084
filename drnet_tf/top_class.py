"""How often a network's highest output is the right one."""

from __future__ import annotations

import keras
import numpy as np

from drnet_tf.graph_building import as_inputs


def top_class_accuracy(
    model: keras.Model,
    images: np.ndarray,
    labels: np.ndarray,
    batch_size: int = 256,
) -> float:
    """Share of the images whose highest output is their label's.

    Plain Keras, on any backend; `evaluation.evaluate` says more, and judges
    sub-tasks.

    Args:
      model: gives scores, `(batch, K)`; norms and dropout are at inference.
      images: `(N, ...)` as it expects them, N of 1 or more.
      labels: `(N,)` int, positions in its outputs.
      batch_size: images run at a time.

    Returns:
      A fraction in [0, 1].

    Example:
      >>> model = keras.Sequential(
      ...     [keras.Input((2,)), keras.layers.Dense(2, use_bias=False)]
      ... )
      >>> model.set_weights([np.eye(2)])
      >>> images = np.array([[3.0, 0.0], [0.0, 3.0], [3.0, 0.0]], "float32")
      >>> round(top_class_accuracy(model, images, np.array([0, 1, 1])), 4)
      0.6667
    """
    right = 0
    for start in range(0, len(images), batch_size):
        part = slice(start, start + batch_size)
        outputs = model.predict_on_batch(as_inputs(model, images[part]))
        right += int((outputs.argmax(-1) == labels[part]).sum())
    return right / len(images)
