"""The same network with zeros by tensorflow-model-optimization (`tfmot`).

tfmot refuses models of Keras 3, so the network is built again in tf_keras,
layer by layer; chains of layers only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np

_KEPT_OPTIONS = {
    "Conv2D": (
        "filters", "kernel_size", "strides", "padding", "activation",
        "use_bias",
    ),
    "DepthwiseConv2D": (
        "kernel_size", "strides", "padding", "activation", "use_bias",
    ),
    "BatchNormalization": ("epsilon",),
    "ReLU": ("max_value",),
    "Activation": ("activation",),
    "ZeroPadding2D": ("padding",),
    "MaxPooling2D": ("pool_size", "strides", "padding"),
    "GlobalAveragePooling2D": ("keepdims",),
    "Dense": ("units", "activation", "use_bias"),
    "Reshape": ("target_shape",),
    "Flatten": (),
    "Dropout": ("rate",),
}  # fmt: skip


def sparse_file(model: keras.Model, share: float, path: Path) -> Path:
    """Writes the `.tflite` file of a network of which weights are 0.

    Args:
      model: a chain of layers.
      share: of the weights of every convolution and dense layer that are set
        to 0, the smallest ones, by `prune_low_magnitude`.
      path: the file to write.

    Returns:
      `path`.

    Raises:
      ValueError: a layer that is not in the table above.
    """
    import tensorflow as tf
    import tensorflow_model_optimization as tfmot

    sparsity = tfmot.sparsity.keras
    schedule = sparsity.ConstantSparsity(share, begin_step=0, frequency=1)
    twin = sparsity.prune_low_magnitude(_twin(model), pruning_schedule=schedule)
    twin.compile("sgd", "mse")
    shape = (1, *model.input_shape[1:])
    # A step of no length: masks are made in training steps only.
    twin.optimizer.learning_rate.assign(0.0)
    twin.fit(
        np.zeros(shape, np.float32),
        np.zeros((1, *twin.output_shape[1:]), np.float32),
        callbacks=[sparsity.UpdatePruningStep()],
        verbose=0,
    )
    converter = tf.lite.TFLiteConverter.from_keras_model(
        sparsity.strip_pruning(twin)
    )
    path.write_bytes(converter.convert())
    return path


def _twin(model: keras.Model) -> Any:
    import tf_keras

    layers = [tf_keras.layers.Input(model.input_shape[1:], batch_size=1)]
    originals = [
        x for x in model.layers if x.__class__ != keras.layers.InputLayer
    ]
    for layer in originals:
        name = type(layer).__name__
        if name not in _KEPT_OPTIONS:
            raise ValueError(
                f"sparse_file: layer '{layer.name}' is a {name}, expected one "
                f"of {', '.join(_KEPT_OPTIONS)}; leave --tfmot out."
            )
        config = layer.get_config()
        options = {key: config[key] for key in _KEPT_OPTIONS[name]}
        layers.append(getattr(tf_keras.layers, name)(**options))
    twin = tf_keras.Sequential(layers)
    for mine, layer in zip(twin.layers, originals, strict=True):
        mine.set_weights(layer.get_weights())
    return twin
