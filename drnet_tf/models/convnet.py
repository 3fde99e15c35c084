"""A ConvNet of five layers for handwritten digits."""

from __future__ import annotations

import keras
from keras import layers

from drnet_tf.models.blocks import (
    check_sizes,
    classified,
    convolution,
    norm,
    raw_pixels,
)

_FILTERS = (32, 32, 64, 64)
_POOLED = (1, 3)  # after these convolutions: 28x28, 14x14, 7x7 pixels


def convnet(
    num_classes: int = 10,
    input_shape: tuple[int, int, int] = (28, 28, 1),
    name: str = "convnet",
) -> keras.Model:
    """A ConvNet of five layers with weights for MNIST: four conv, one Dense.

    Four 3x3 convolutions without bias (32, 32, 64 and 64 filters), each with
    batch norm and ReLU, max pooling after the first and third, global average
    pooling, one Dense layer. At 28x28x1 and 10 classes: **65,834 parameters**
    (66,218 with the moving statistics, which `model.count_params()` counts as
    well; 0.27 MB as float32), **7,451,776 MACs** an image, 192 channels that
    can be gated.

    The paper trains a ConvNet of five layers on MNIST without giving its
    shape. Four of the five are convolutions here, because channels are what is
    gated, and the head pools, so that a removed channel is one row of it.

    Args:
      num_classes: K.
      input_shape: `(height, width, channels)`, sides of 4 pixels or more.
      name: of the model.

    Returns:
      An untrained model: raw pixels 0..255 in, `(batch, K)` logits out.

    Raises:
      ValueError: the images are too small, or K is below 2.

    Example:
      >>> convnet().count_params()
      66218
    """
    check_sizes(name, num_classes, input_shape, smallest=4)
    image, x = raw_pixels(input_shape)
    for number, filters in enumerate(_FILTERS, start=1):
        x = convolution(filters, 3, f"conv{number}", use_bias=False)(x)
        x = layers.ReLU(name=f"relu{number}")(norm(f"bn{number}")(x))
        if number in _POOLED:
            x = layers.MaxPooling2D(2, name=f"pool{number}")(x)
    return classified(image, x, num_classes, name)
