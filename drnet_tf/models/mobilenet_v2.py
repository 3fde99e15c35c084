"""MobileNetV2 for small images."""

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

# Expansion t, filters c, blocks n, stride s of the first: table 2 of the paper,
# with two strides of 2 made 1 (the stem's, too): 32x32 pixels end as 4x4.
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 1),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def mobilenet_v2(
    num_classes: int = 10,
    input_shape: tuple[int, int, int] = (32, 32, 3),
    name: str = "mobilenet_v2",
) -> keras.Model:
    """MobileNetV2 with the strides for small images (Sandler et al.).

    A 3x3 stem, 17 inverted residual blocks (1x1 expansion, 3x3 depthwise, 1x1
    linear projection, each with batch norm), a 1x1 convolution to 1280
    channels. At 32x32x3 and 10 classes: **2,296,922 parameters** (2.30 M;
    2,332,010 with the moving statistics, which `model.count_params()` counts as
    well), **91,154,944 MACs** an image.

    Reference: M. Sandler, A. Howard, M. Zhu, A. Zhmoginov, L.-C. Chen,
    "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018,
    arXiv:1801.04381, table 2.

    Departures, all usual for CIFAR: stride 1 in the stem and in the second
    stage; every block of stride 1 has a shortcut, projected by a 1x1
    convolution with batch norm where the width changes; the first block has an
    expansion layer, too; no dropout. Strided convolutions pad below and right
    only (Keras' "same"); rescaling is inside.

    Args:
      num_classes: K.
      input_shape: `(height, width, channels)`, sides of 8 pixels or more.
      name: of the model.

    Returns:
      An untrained model: raw pixels 0..255 in, `(batch, K)` logits out.

    Raises:
      ValueError: the images are too small, or K is below 2.

    Example:
      >>> mobilenet_v2().output_shape
      (None, 10)
    """
    check_sizes(name, num_classes, input_shape, smallest=8)
    image, x = raw_pixels(input_shape)
    x = _conv_bn_relu6(x, 32, 3, "stem")
    block = 0
    for expansion, filters, blocks, first in _STAGES:
        for strides in (first, *(1,) * (blocks - 1)):
            block += 1
            x = _block(x, expansion, filters, strides, f"block{block}")
    x = _conv_bn_relu6(x, 1280, 1, "head")
    return classified(image, x, num_classes, name)


def _block(
    x: keras.KerasTensor, expansion: int, filters: int, strides: int, name: str
) -> keras.KerasTensor:
    shortcut = x
    x = _conv_bn_relu6(x, expansion * x.shape[-1], 1, f"{name}_expand")
    x = layers.DepthwiseConv2D(
        3,
        strides=strides,
        padding="same",
        depthwise_initializer="he_normal",
        use_bias=False,
        name=f"{name}_depthwise_conv",
    )(x)
    x = norm(f"{name}_depthwise_bn")(x)
    x = layers.ReLU(6.0, name=f"{name}_depthwise_relu")(x)
    x = _conv_bn(x, filters, 1, f"{name}_project")
    if strides > 1:
        return x
    if shortcut.shape != x.shape:
        shortcut = _conv_bn(shortcut, filters, 1, f"{name}_shortcut")
    return layers.Add(name=f"{name}_add")([shortcut, x])


def _conv_bn(
    x: keras.KerasTensor, filters: int, size: int, name: str
) -> keras.KerasTensor:
    x = convolution(filters, size, f"{name}_conv", use_bias=False)(x)
    return norm(f"{name}_bn")(x)


def _conv_bn_relu6(
    x: keras.KerasTensor, filters: int, size: int, name: str
) -> keras.KerasTensor:
    return layers.ReLU(6.0, name=f"{name}_relu")(
        _conv_bn(x, filters, size, name)
    )
