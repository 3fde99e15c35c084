"""Small networks of families that `keras.applications` has not.

Each is whole, classifier included, and small enough to be measured in seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

_IMAGE = (64, 64, 3)
_CLASSES = 10


def resnext() -> keras.Model:
    """ResNeXt: bottlenecks around a grouped convolution (Xie et al., 2017)."""
    inputs = keras.Input(_IMAGE)
    x = _conv(inputs, 32, 3, strides=2)
    for filters, strides in ((64, 1), (64, 1), (128, 2), (128, 1)):
        shortcut = x
        if strides > 1 or x.shape[-1] != filters:
            shortcut = _conv(x, filters, 1, strides=strides, relu=False)
        x = _conv(x, filters // 2, 1)
        x = _conv(x, filters // 2, 3, strides=strides, groups=8)
        x = _conv(x, filters, 1, relu=False)
        x = layers.ReLU()(layers.Add()([shortcut, x]))
    return _classified(inputs, x, "resnext")


def shufflenet() -> keras.Model:
    """ShuffleNet: grouped, shuffled, depthwise (Zhang et al., 2018)."""
    inputs = keras.Input(_IMAGE)
    x = _conv(inputs, 24, 3, strides=2)
    for filters, strides in ((48, 2), (48, 1), (96, 2), (96, 1)):
        shortcut = x
        if strides > 1:
            shortcut = layers.AveragePooling2D(3, 2, padding="same")(x)
            filters -= x.shape[-1]
        x = _conv(x, 24, 1, groups=4)
        x = _shuffled(x, groups=4)
        x = layers.DepthwiseConv2D(
            3, strides=strides, padding="same", use_bias=False
        )(x)
        x = layers.BatchNormalization()(x)
        x = _conv(x, filters, 1, groups=4, relu=False)
        join = layers.Concatenate() if strides > 1 else layers.Add()
        x = layers.ReLU()(join([shortcut, x]))
    return _classified(inputs, x, "shufflenet")


def unet() -> keras.Model:
    """U-Net: transposed convolutions, skips, a convolution as its head."""
    inputs = x = keras.Input(_IMAGE)
    skips = []
    for filters in (16, 32):
        x = _conv(_conv(x, filters, 3), filters, 3)
        skips.append(x)
        x = layers.MaxPooling2D()(x)
    x = _conv(_conv(x, 64, 3), 64, 3)
    for filters, skip in zip((32, 16), reversed(skips), strict=True):
        x = layers.Conv2DTranspose(
            filters, 2, strides=2, padding="same", activation="relu"
        )(x)
        x = layers.Concatenate()([skip, x])
        x = _conv(_conv(x, filters, 3), filters, 3)
    return keras.Model(inputs, layers.Conv2D(3, 1)(x), name="unet")


def se_resnet() -> keras.Model:
    """SE-ResNet: squeeze and excite by Dense layers (Hu et al., 2018)."""
    inputs = keras.Input(_IMAGE)
    x = _conv(inputs, 32, 3, strides=2)
    for filters, strides in ((32, 1), (32, 1), (64, 2), (64, 1)):
        shortcut = x
        if strides > 1:
            shortcut = _conv(x, filters, 1, strides=strides, relu=False)
        x = _conv(x, filters, 3, strides=strides)
        x = _conv(x, filters, 3, relu=False)
        factors = layers.GlobalAveragePooling2D()(x)
        factors = layers.Reshape((1, 1, filters))(factors)
        factors = layers.Dense(filters // 4, activation="relu")(factors)
        factors = layers.Dense(filters, activation="sigmoid")(factors)
        x = layers.Multiply()([x, factors])
        x = layers.ReLU()(layers.Add()([shortcut, x]))
    return _classified(inputs, x, "se_resnet")


def group_norm_net() -> keras.Model:
    """A ResNet whose norms mix channels: groups of 4 (Wu and He, 2018)."""
    inputs = keras.Input(_IMAGE)
    x = layers.Conv2D(16, 3, strides=2, padding="same")(inputs)
    x = layers.ReLU()(layers.GroupNormalization(4)(x))
    for _ in range(3):
        shortcut = x
        x = layers.Conv2D(32, 1, padding="same")(x)
        x = layers.ReLU()(layers.GroupNormalization(8)(x))
        x = layers.Conv2D(16, 3, padding="same")(x)
        x = layers.GroupNormalization(4)(x)
        x = layers.ReLU()(layers.Add()([shortcut, x]))
    x = _conv(x, 32, 3, strides=2)
    return _classified(inputs, x, "group_norm_net")


NETWORKS: dict[str, Callable[[], keras.Model]] = {
    "ResNeXt": resnext,
    "ShuffleNet": shufflenet,
    "U-Net": unet,
    "SE-ResNet": se_resnet,
    "GroupNorm ResNet": group_norm_net,
}


def _conv(
    x: Any,
    filters: int,
    size: int,
    *,
    strides: int = 1,
    groups: int = 1,
    relu: bool = True,
) -> Any:
    x = layers.Conv2D(
        filters,
        size,
        strides=strides,
        groups=groups,
        padding="same",
        use_bias=False,
    )(x)
    x = layers.BatchNormalization()(x)
    return layers.ReLU()(x) if relu else x


def _shuffled(x: Any, groups: int) -> Any:
    _, height, width, channels = x.shape
    x = layers.Reshape((height, width, groups, channels // groups))(x)
    x = layers.Permute((1, 2, 4, 3))(x)
    return layers.Reshape((height, width, channels))(x)


def _classified(inputs: Any, x: Any, name: str) -> keras.Model:
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(_CLASSES)(x), name=name)
