"""VGG16 with batch norm for small images."""

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

# Convolutions and filters of each of the five blocks: configuration D.
_BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))


def vgg16(
    num_classes: int = 10,
    input_shape: tuple[int, int, int] = (32, 32, 3),
    name: str = "vgg16",
) -> keras.Model:
    """VGG16 with batch norm and a single Dense layer (Simonyan and Zisserman).

    13 convolutions 3x3 with bias, each with batch norm and ReLU, five max
    poolings, global average pooling, one Dense layer. At 32x32x3 and 10
    classes: **14,728,266 parameters** (14.73 M; 14,736,714 with the moving
    statistics, which `model.count_params()` counts as well), **313,201,664
    MACs** an image, 4,224 channels that can be gated.

    Reference: K. Simonyan, A. Zisserman, "Very Deep Convolutional Networks for
    Large-Scale Image Recognition", 2014, arXiv:1409.1556, configuration D.

    Departures: batch norm, and one Dense layer in place of three, as is usual
    for CIFAR; rescaling is inside.

    Args:
      num_classes: K.
      input_shape: `(height, width, channels)`, sides of 32 pixels or more.
      name: of the model.

    Returns:
      An untrained model: raw pixels 0..255 in, `(batch, K)` logits out.

    Raises:
      ValueError: the images are too small, or K is below 2.

    Example:
      >>> vgg16().output_shape
      (None, 10)
    """
    check_sizes(name, num_classes, input_shape, smallest=32)
    image, x = raw_pixels(input_shape)
    for block, (convolutions, filters) in enumerate(_BLOCKS, start=1):
        for number in range(1, convolutions + 1):
            x = convolution(filters, 3, f"block{block}_conv{number}")(x)
            x = norm(f"block{block}_bn{number}")(x)
            x = layers.ReLU(name=f"block{block}_relu{number}")(x)
        x = layers.MaxPooling2D(2, name=f"block{block}_pool")(x)
    return classified(image, x, num_classes, name)
