"""Networks on which `random_graphs` found `prune` wrong, made small."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import pytest
from keras import layers

from drnet_tf.masks import ChannelMask
from drnet_tf.pruning import prune
from drnet_tf.sites import gate_sites
from tests.pruning.random_graph_checks import TOLERANCE, difference


def _check(model: keras.Model, **keep: Sequence[int]) -> None:
    """Prunes with a mask that keeps all channels of the sites not named."""
    generator = np.random.default_rng(0)
    for variable in model.variables:
        value = generator.uniform(0.2, 1, variable.shape)
        variable.assign(value * generator.choice([-1, 1], variable.shape))
        if variable.name == "moving_variance":
            variable.assign(abs(value))
    mask = ChannelMask(
        {
            site.name: np.array(keep.get(site.name, [1] * site.channels), bool)
            for site in gate_sites(model)
        }
    )
    assert difference(model, mask, seed=0) <= TOLERANCE


@pytest.mark.parametrize("height", (4, 3))
def test_norm_along_the_height(height: int) -> None:
    """The site's axis was the convolution's, the tensor's that of the norm:
    its mask was laid on the wrong axis."""
    inputs = keras.Input((height, 5, 2))
    x = layers.Conv2D(3, 1, name="conv")(inputs)
    x = layers.BatchNormalization(axis=1, name="norm")(x)
    x = layers.Conv2D(2, 1)(x)
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(x))
    _check(model, norm=[1, 0, 1])


def test_merge_of_tensors_whose_channels_lie_on_two_axes() -> None:
    """As above: the sum's channels lie on the second axis, as those of its
    wider operand do, the site's on the last."""
    inputs = keras.Input((5, 4, 2))
    pool = layers.AveragePooling2D(1, data_format="channels_first")
    x = pool(layers.Conv2D(2, 1, name="first")(inputs))
    y = layers.Conv2D(2, 1, name="second")(x)
    x = layers.ReLU(name="relu")(layers.Add()([x, y]))
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(x))
    _check(model, relu=[1, 0])


def test_factors_of_the_last_axis_where_channels_lie_on_another() -> None:
    """`Rescaling.rebuild` asked a vector of factors for its third-last axis."""
    inputs = keras.Input((3, 4, 2))
    x = layers.Conv2D(3, 1, activation="relu", name="conv")(inputs)
    x = layers.Permute((3, 1, 2))(x)
    x = layers.Rescaling([0.5, 1.5, 2.0, -1.0])(x)
    model = keras.Model(inputs, layers.Flatten()(x))
    _check(model, conv=[1, 0, 1])


def test_shared_add_that_loses_a_constant_twice() -> None:
    """Both calls put a Rescaling in its place, of one name."""
    inputs = keras.Input((3, 3, 2))
    add = layers.Add(name="add")
    x = layers.Conv2D(2, 1, name="conv")(inputs)
    for name in ("first", "second"):
        y = layers.Conv2D(2, 1, name=f"{name}_zero", activation="relu")(x)
        x = add([x, layers.Conv2D(2, 1, name=name)(y)])
        x = layers.ReLU(name=f"{name}_relu")(x)
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(x))
    _check(model, first_zero=[0, 0], second_zero=[0, 0])


@pytest.mark.parametrize(
    "pooling", (layers.MaxPooling3D, layers.AveragePooling3D)
)
def test_verifies_pooling_of_volumes(pooling: type[layers.Layer]) -> None:
    """TensorFlow pools volumes in float32 only, `verify` ran it in float64."""
    inputs = keras.Input((4, 4, 4, 1))
    x = layers.Conv3D(3, 1, activation="relu", name="conv")(inputs)
    x = layers.GlobalMaxPooling3D()(pooling(pool_size=2)(x))
    model = keras.Model(inputs, layers.Dense(2)(x))
    mask = ChannelMask({"conv": np.array([True, False, True])})
    prune(model, mask, verify=True)


def test_verifies_a_width_that_is_that_of_the_batch() -> None:
    """Keras adds `(2, 1, 1, 1)` to `(2, H, W, 2)` as if it was a bias of the
    channels; `verify` ran two images."""
    inputs = keras.Input((3, 3, 1))
    x = layers.Conv2D(3, 1, name="conv")(inputs)
    y = layers.GlobalAveragePooling2D(keepdims=True)(inputs)
    x = layers.Add()([x, y])
    x = layers.DepthwiseConv2D(2, activation="relu", name="depth")(x)
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
    keep = np.array([True, False, True])
    mask = ChannelMask({"conv": keep, "depth": keep})
    prune(model, mask, verify=True)


def test_a_nested_path_is_the_name_of_another_layer():
    """Both `m/a` and a layer named `m_a` became `m_a`."""
    inner_input = keras.Input((4, 4, 2))
    inner = keras.Model(
        inner_input, keras.layers.ReLU(name="a")(inner_input), name="m"
    )
    inputs = keras.Input((6, 6, 2))
    x = keras.layers.Conv2D(2, 3, activation="relu", name="conv")(inputs)
    x = keras.layers.ReLU(name="m_a")(inner(keras.layers.ReLU(name="a")(x)))
    outputs = keras.layers.Dense(2)(keras.layers.Flatten()(x))
    model = keras.Model(inputs, outputs)
    pruned = prune(model, ChannelMask({"conv": np.array([True, False])}))
    assert pruned.model.get_layer("conv").filters == 1


def test_verifies_a_padding_of_infinity():
    """`verify=True` took -inf beside -inf for a difference."""
    inputs = keras.Input((6, 6, 2))
    x = keras.layers.Conv2D(3, 3, activation="relu", name="conv")(inputs)
    width = ((0, 0), (1, 1), (1, 1), (0, 0))
    x = keras.ops.pad(x, width, constant_values=float("-inf"))
    x = keras.layers.MaxPooling2D(3)(x)
    outputs = keras.layers.Dense(2)(keras.layers.Flatten()(x))
    keep = ChannelMask({"conv": np.array([True, False, True])})
    prune(keras.Model(inputs, outputs), keep, verify=True)
