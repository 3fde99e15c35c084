"""Networks on which `random_graphs` found `prune` wrong, made small."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import pytest
from keras import layers

from drnet_tf.channels.analysis import analyse
from drnet_tf.channels.channel_flow import MaskedSite
from drnet_tf.graph import read_graph
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


def _verify(model: keras.Model, **keep: Sequence[int]) -> None:
    mask = ChannelMask(
        {
            site.name: np.array(keep.get(site.name, [1] * site.channels), bool)
            for site in gate_sites(model)
        }
    )
    prune(model, mask, verify=True)


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


def test_masked_channels_that_a_norm_reads_along_another_axis() -> None:
    """The norm read all of them, so they stay; but as nobody needed them along
    the mask's own axis, nobody made them zero."""
    inputs = keras.Input((4, 5, 2))
    x = layers.Conv2D(3, 1, name="conv")(inputs)
    x = layers.BatchNormalization(axis=1)(x)
    x = layers.ReLU(name="relu")(x)
    x = layers.LayerNormalization()(x)
    x = layers.Conv2D(2, 1)(x)
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(x))
    _check(model, relu=[1, 0, 0])
    _verify(model, relu=[1, 0, 0])


@pytest.mark.parametrize(
    "layer", [layers.Cropping1D(1), layers.UpSampling1D(2)]
)
def test_layers_that_change_the_axis_of_the_channels(
    layer: keras.Layer,
) -> None:
    """Cropping1D and its like have no `data_format`: channels that lay on the
    axis that they cut were taken for as many as before."""
    inputs = keras.Input((1, 1, 2))
    x = layers.Conv2D(8, 1, activation="relu", name="conv")(inputs)
    x = layer(layers.Reshape((8, 1))(x))
    x = layers.Add()([x, x * 2.0])
    x = layers.Flatten()(x)
    model = keras.Model(inputs, layers.Dense(3)(x))
    _check(model, conv=[1, 0, 0, 1, 1, 1, 1, 1])


def test_a_shared_sum_of_which_one_call_is_lost() -> None:
    """What stands for the first call had the name of the second."""
    inner = y = keras.Input((5, 5, 3))
    z = layers.Conv2D(2, 1, activation="relu", name="a")(y)
    z = layers.Conv2D(3, 1, name="b")(z)
    block = keras.Model(inner, layers.Add(name="sum")([z, y]), name="block")
    inputs = keras.Input((5, 5, 3))
    x = layers.ReLU(name="relu")(block(inputs))
    x = layers.GlobalAveragePooling2D()(block(x))
    model = keras.Model(inputs, layers.Dense(2)(x))
    keep = {"block/a": [0, 0], "block/a:1": [1, 0]}
    _check(model, **keep)


def test_an_operator_is_named_as_a_layer() -> None:
    """Keras named the operator that stands for the layer `minimum_1`."""
    keras.backend.clear_session()
    inputs = keras.Input((5, 5, 2))
    x = layers.Conv2D(2, 1, activation="relu", name="x")(inputs)
    y = layers.Conv2D(2, 1, activation="relu", name="y")(inputs)
    z = layers.Conv2D(2, 1, activation="relu", name="z")(inputs)
    names = [f"minimum_{number}" for number in range(1, 5)]
    parts = [layers.Minimum(name=name)([x, y]) for name in names]
    parts.append(keras.ops.minimum(x, z))
    total = layers.Concatenate()(parts)
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(total))
    _check(model, z=[0, 0])


def test_an_axis_that_only_the_report_asks_for() -> None:
    """Channels along an axis that no rule had asked for had no place yet in
    what is known to be kept: all of them are there."""
    inputs = keras.Input((4, 5, 2))
    x = layers.Conv2D(3, 1, activation="relu", name="conv")(inputs)
    graph = read_graph(keras.Model(inputs, layers.Conv2D(2, 1)(x)))
    flow = analyse(graph, {1: MaskedSite("conv", -1, np.array([1, 0, 1]) > 0)})
    assert flow.is_kept(flow[1]).tolist() == [True, False, True]
    assert flow.is_kept(flow.on_axis(1, -2)).tolist() == [True] * 5


def test_values_that_cancel_but_for_the_rounding_of_a_bias() -> None:
    """A folded constant is rounded to the bias' float32; next to values that
    cancel to nearly nothing, `verify` took that for a fault."""
    inputs = keras.Input((3, 3, 1))
    x = layers.Conv2D(2, 1, activation="relu", name="conv")(inputs)
    x = layers.BatchNormalization(name="norm")(x)
    model = keras.Model(inputs, layers.Conv2D(1, 1, name="last")(x))
    model.get_layer("conv").set_weights(
        [np.array([[[[1.0, 1.0]]]]), np.array([0.0, 0.0])]
    )
    model.get_layer("norm").set_weights(
        list(np.array([[1e-5, 1], [0.5, 1.0], [0, 0], [1, 1]]))
    )
    model.get_layer("last").set_weights(
        [np.array([[[[1.0], [0.2]]]]), np.array([-0.7])]
    )
    _verify(model, conv=[1, 0])


def test_normalization_that_was_adapted() -> None:
    """It reads its weights only when it is told to: `verify` compared one that
    had not with one that has its statistics as settings."""
    inputs = keras.Input((4, 4, 2))
    adapted = layers.Normalization(name="adapted")
    x = layers.Conv2D(3, 1, activation="relu", name="conv")(adapted(inputs))
    model = keras.Model(inputs, layers.Conv2D(2, 1)(x))
    adapted.set_weights([np.array([0.5, 3]), np.array([2.0, 0.1]), np.array(0)])
    adapted.finalize_state()
    _verify(model, conv=[1, 0, 1])
