"""ResNet18 for small images."""

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

_STAGES = (64, 128, 256, 512)  # filters; two blocks each


def resnet18(
    num_classes: int = 10,
    input_shape: tuple[int, int, int] = (32, 32, 3),
    name: str = "resnet18",
) -> keras.Model:
    """ResNet18 with the stem for small images (He et al.).

    A 3x3 stem without pooling and eight blocks of two 3x3 convolutions without
    bias; where width or resolution changes, the shortcut is a 1x1 convolution
    with batch norm. At 32x32x3 and 10 classes: **11,173,962 parameters**
    (11.17 M; 11,183,562 with the moving statistics, which
    `model.count_params()` counts as well), **555,422,720 MACs** an image.

    Reference: K. He, X. Zhang, S. Ren, J. Sun, "Deep Residual Learning for
    Image Recognition", 2015, arXiv:1512.03385, table 1 and shortcut B.

    Departures: a 3x3 stem of stride 1 in place of 7x7 of stride 2 and pooling,
    as is usual for CIFAR; strided convolutions pad below and right only
    (Keras' "same"); rescaling is inside.

    Args:
      num_classes: K.
      input_shape: `(height, width, channels)`, sides of 8 pixels or more.
      name: of the model.

    Returns:
      An untrained model: raw pixels 0..255 in, `(batch, K)` logits out.

    Raises:
      ValueError: the images are too small, or K is below 2.

    Example:
      >>> resnet18(num_classes=100).output_shape
      (None, 100)
    """
    check_sizes(name, num_classes, input_shape, smallest=8)
    image, x = raw_pixels(input_shape)
    x = convolution(_STAGES[0], 3, "stem_conv", use_bias=False)(x)
    x = layers.ReLU(name="stem_relu")(norm("stem_bn")(x))
    for stage, filters in enumerate(_STAGES, start=1):
        first = 1 if stage == 1 else 2  # stride of the stage's first block
        x = _block(x, filters, first, f"stage{stage}_block1")
        x = _block(x, filters, 1, f"stage{stage}_block2")
    return classified(image, x, num_classes, name)


def _block(
    x: keras.KerasTensor, filters: int, strides: int, name: str
) -> keras.KerasTensor:
    """relu(x + F(x)), with the shortcut projected where the shapes differ."""
    shortcut = x
    x = convolution(
        filters, 3, f"{name}_conv1", strides=strides, use_bias=False
    )(x)
    x = layers.ReLU(name=f"{name}_relu1")(norm(f"{name}_bn1")(x))
    x = convolution(filters, 3, f"{name}_conv2", use_bias=False)(x)
    x = norm(f"{name}_bn2")(x)
    if shortcut.shape != x.shape:
        shortcut = convolution(
            filters,
            1,
            f"{name}_shortcut_conv",
            strides=strides,
            use_bias=False,
        )(shortcut)
        shortcut = norm(f"{name}_shortcut_bn")(shortcut)
    x = layers.Add(name=f"{name}_add")([shortcut, x])
    return layers.ReLU(name=f"{name}_relu2")(x)
