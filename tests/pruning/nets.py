"""Tiny networks that the pruning tests cut, each with its reference.

Every builder takes `gate(name, tensor)`, which it calls at each place that
should be a site. With a gate that multiplies by zeros the builder makes the
masked network by hand, without anything of the package.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers

Gate = Callable[[str, Any], Any]


def _conv_norm(x: Any, name: str, filters: int, **kwargs: Any) -> Any:
    kwargs = {"padding": "same", "use_bias": False, **kwargs}
    x = layers.Conv2D(filters, 3, name=name, **kwargs)(x)
    return layers.BatchNormalization(name=f"{name}_norm")(x)


def _conv_block(gate: Gate, x: Any, name: str, filters: int) -> Any:
    x = _conv_norm(x, name, filters)
    return gate(f"{name}_relu", layers.ReLU(name=f"{name}_relu")(x))


def chain(gate: Gate) -> keras.Model:
    """VGG: conv, norm, ReLU, pool; Flatten with 2 x 2 places; logits."""
    inputs = x = keras.Input((8, 8, 3), name="image")
    x = layers.Rescaling(1 / 2, 0.1, name="scale")(x)
    x = _conv_block(gate, x, "a", 5)
    x = layers.MaxPooling2D(name="pool_a")(x)
    x = _conv_block(gate, x, "b", 6)
    x = _conv_block(gate, x, "c", 4)
    x = layers.MaxPooling2D(name="pool_c")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dropout(0.5, name="dropout")(x)
    x = layers.Dense(7, activation="relu", name="fc")(x)
    return keras.Model(inputs, layers.Dense(4, name="logits")(x))


def inline(gate: Gate) -> keras.Model:
    """Inline activations, also f(0) != 0, valid convs, softmax apart."""
    inputs = x = keras.Input((9, 9, 3), name="image")
    x = layers.Normalization(mean=[1.0, 2.0, 0.5], variance=[4.0, 1.0, 2.0])(x)
    x = layers.Conv2D(5, 3, strides=2, activation="relu", name="a")(x)
    x = gate("a", x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Conv2D(6, 2, activation="sigmoid", name="b")(x)
    x = gate("b", x)
    x = layers.Conv2D(5, 1, activation="tanh", name="c")(x)
    x = gate("c", x)
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    x = layers.Dense(4, name="scores")(x)
    return keras.Model(inputs, layers.Softmax(name="softmax")(x))


def _residual_block(
    gate: Gate, x: Any, name: str, filters: int, strides: int = 1
) -> Any:
    shortcut = x
    x = layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
    x = _conv_norm(x, f"{name}_1", filters, strides=strides, padding="valid")
    x = gate(f"{name}_relu", layers.ReLU(name=f"{name}_relu")(x))
    x = _conv_norm(x, f"{name}_2", filters)
    if strides > 1:
        shortcut = layers.Conv2D(
            filters, 1, strides=strides, name=f"{name}_down"
        )(shortcut)
    x = layers.Add(name=f"{name}_add")([shortcut, x])
    return gate(f"{name}_out", layers.ReLU(name=f"{name}_out")(x))


def residual(gate: Gate) -> keras.Model:
    """ResNet: two stages of two blocks, a site on every block's output."""
    inputs = x = keras.Input((8, 8, 3), name="image")
    x = _conv_block(gate, x, "stem", 5)
    x = _residual_block(gate, x, "a", 5)
    x = _residual_block(gate, x, "b", 5)
    x = _residual_block(gate, x, "c", 6, strides=2)
    x = _residual_block(gate, x, "d", 6)
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    outputs = layers.Dense(4, activation="softmax", name="classes")(x)
    return keras.Model(inputs, outputs)


def _inverted_block(gate: Gate, x: Any, name: str, residual: bool) -> Any:
    shortcut = x
    x = layers.Conv2D(8, 1, use_bias=False, name=f"{name}_expand")(x)
    x = layers.BatchNormalization(name=f"{name}_expand_norm")(x)
    x = layers.Activation("relu6", name=f"{name}_expand_relu")(x)
    x = gate(f"{name}_expand_relu", x)
    x = layers.DepthwiseConv2D(3, padding="same", name=f"{name}_depth")(x)
    x = layers.BatchNormalization(name=f"{name}_depth_norm")(x)
    x = layers.ReLU(6.0, name=f"{name}_depth_relu")(x)
    x = gate(f"{name}_depth_relu", x)
    x = layers.Conv2D(4, 1, use_bias=False, name=f"{name}_project")(x)
    x = layers.BatchNormalization(name=f"{name}_project_norm")(x)
    x = gate(f"{name}_project_norm", x)
    if residual:
        x = layers.Add(name=f"{name}_add")([shortcut, x])
    return x


def inverted(gate: Gate) -> keras.Model:
    """MobileNetV2: linear bottlenecks, and a convolution as its head."""
    inputs = x = keras.Input((8, 8, 3), name="image")
    x = _inverted_block(gate, x, "a", residual=False)
    x = _inverted_block(gate, x, "b", residual=True)
    x = _inverted_block(gate, x, "c", residual=True)
    x = layers.GlobalAveragePooling2D(keepdims=True, name="gap")(x)
    x = layers.Conv2D(4, 1, name="scores")(x)
    x = layers.Activation("softmax", name="softmax")(x)
    return keras.Model(inputs, layers.Reshape((4,), name="reshape")(x))


def dense_blocks(gate: Gate) -> keras.Model:
    """DenseNet: norms after Concatenate turn zeros into other constants."""
    inputs = x = keras.Input((8, 8, 3), name="image")
    x = _conv_block(gate, x, "stem", 4)
    for name in "ab":
        y = layers.BatchNormalization(name=f"{name}_norm_in")(x)
        y = layers.ReLU(name=f"{name}_relu_in")(y)
        y = layers.Conv2D(5, 1, activation="relu", name=f"{name}_1")(y)
        y = gate(f"{name}_1", y)
        y = layers.Conv2D(3, 3, padding="same", name=f"{name}_2")(y)
        y = layers.LeakyReLU(name=f"{name}_leaky")(y)
        y = gate(f"{name}_leaky", y)
        x = layers.Concatenate(name=f"{name}_concat")([x, y])
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.AveragePooling2D(2, name="pool")(x)
    x = layers.Conv2D(5, 3, padding="same", activation="elu", name="last")(x)
    x = gate("last", x)
    x = layers.GlobalMaxPooling2D(name="max")(x)
    return keras.Model(inputs, layers.Dense(4, name="logits")(x))


def excited(gate: Gate) -> keras.Model:
    """Squeeze and excite with a typed-in Reshape; grouped convolutions."""
    inputs = x = keras.Input((8, 8, 3), name="image")
    x = _conv_block(gate, x, "a", 8)
    s = layers.GlobalAveragePooling2D(name="squeeze")(x)
    s = layers.Reshape((1, 1, 8), name="places")(s)
    s = layers.Conv2D(3, 1, activation="relu", name="reduce")(s)
    s = gate("reduce", s)
    s = layers.Conv2D(8, 1, activation="sigmoid", name="expand")(s)
    s = gate("expand", s)
    x = layers.Multiply(name="excite")([x, s])
    x = layers.Conv2D(12, 3, groups=4, activation="relu", name="groups")(x)
    x = gate("groups", x)
    x = layers.Conv2D(6, 1, groups=2, name="pairs")(x)
    x = gate("pairs_act", layers.ELU(name="pairs_act")(x))
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(inputs, layers.Dense(4, name="logits")(x))


def shuffled(gate: Gate) -> keras.Model:
    """ShuffleNet: grouped convolutions, channel shuffle, depth multiplier."""
    inputs = x = keras.Input((6, 6, 3), name="image")
    x = layers.Conv2D(8, 3, activation="relu", name="stem")(x)
    x = gate("stem", x)
    x = layers.Conv2D(8, 1, groups=2, name="groups")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = gate("relu", layers.ReLU(name="relu")(x))
    x = layers.Reshape((4, 4, 2, 4), name="split")(x)
    x = layers.Permute((1, 2, 4, 3), name="swap")(x)
    x = layers.Reshape((4, 4, 8), name="join")(x)
    x = layers.DepthwiseConv2D(
        3, depth_multiplier=2, activation="softplus", name="depth"
    )(x)
    x = gate("depth", x)
    x = layers.Conv2D(8, 1, groups=4, activation="relu", name="quarters")(x)
    x = gate("quarters", x)
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(inputs, layers.Dense(4, name="logits")(x))


def entangled(gate: Gate) -> keras.Model:
    """A nested model, a layer called twice, a norm over channels, PReLU."""
    inner_input = y = keras.Input((8, 8, 5))
    y = layers.Conv2D(6, 3, padding="same", name="conv")(y)
    y = layers.PReLU(shared_axes=(1, 2), name="prelu")(y)
    y = gate("inner/prelu", y)
    inner = keras.Model(inner_input, y, name="inner")
    inputs = x = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(5, 1, name="conv")(x)
    x = gate("relu", layers.ReLU(name="relu")(x))
    x = inner(x)
    shared = layers.Conv2D(6, 3, padding="same", name="shared")
    norm = layers.BatchNormalization(name="norm")
    x = gate("norm", norm(shared(x)))
    x = gate("norm:1", norm(shared(x)))
    x = layers.UpSampling2D(name="up")(x)
    x = layers.Conv2D(6, 2, strides=2, activation="swish", name="swish")(x)
    x = gate("swish", x)
    x = layers.LayerNormalization(name="layer_norm")(x)
    x = gate("wide", layers.Dense(5, activation="gelu", name="wide")(x))
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    return keras.Model(inputs, layers.Dense(4, name="logits")(x))


NETS = {
    net.__name__: net
    for net in (
        chain,
        inline,
        residual,
        inverted,
        dense_blocks,
        excited,
        shuffled,
        entangled,
    )
}


def make(name: str, seed: int = 0) -> keras.Model:
    """A net with random weights; norms have means and betas that matter."""
    model = NETS[name](lambda site, x: x)
    model.name = name
    generator = np.random.default_rng(seed)
    for variable in model.variables:
        shape = variable.shape
        if variable.name in ("gamma", "moving_variance"):
            variable.assign(generator.uniform(0.5, 1.5, shape))
        elif "kernel" in variable.name:
            size = np.prod(shape[:-1])
            variable.assign(generator.normal(0, size**-0.5, shape))
        elif variable.name in ("alpha", "beta", "bias", "moving_mean"):
            variable.assign(generator.normal(0, 0.5, shape))
    return model


class _Times(layers.Layer):
    def __init__(self, factors: np.ndarray) -> None:
        super().__init__()
        self.factors = factors

    def call(self, inputs: Any) -> Any:
        return inputs * keras.ops.cast(self.factors, inputs.dtype)


def masked_by_hand(
    name: str, model: keras.Model, keep: dict[str, np.ndarray]
) -> keras.Model:
    """The same network, every gate's channels times 0 or 1."""
    masked = NETS[name](lambda site, x: _Times(keep[site])(x))
    masked.set_weights(model.get_weights())
    return masked


def images(model: keras.Model, seed: int = 0) -> np.ndarray:
    """Three random images for a net."""
    generator = np.random.default_rng(seed)
    shape = (3, *model.input_shape[1:])
    return generator.normal(size=shape).astype("float32")


def random_keep(
    model_sites: dict[str, int], share: float, seed: int
) -> dict[str, np.ndarray]:
    """Keeps each channel with the probability `share`; layers may be empty."""
    generator = np.random.default_rng(seed)
    return {
        site: generator.random(channels) < share
        for site, channels in model_sites.items()
    }
