"""Tests of drnet_tf/sites.py: the sites of small nets, worked out by hand."""

from __future__ import annotations

import keras
import pytest
from keras import layers, ops

from drnet_tf.free_sites import GateSite
from drnet_tf.graph import read_graph
from drnet_tf.sites import gate_sites


def found(model):
    """(name, channels, kind, convs) of every site."""
    return [(s.name, s.channels, s.kind, s.convs) for s in gate_sites(model)]


def classified(image, x, **options):
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(3)(x), **options)


def conv(filters, name, size=3, **options):
    return layers.Conv2D(filters, size, padding="same", name=name, **options)


def norm(name):
    return layers.BatchNormalization(name=name)


def relu(name):
    return layers.ReLU(name=name)


IMAGE = (8, 8, 3)


def test_conv_norm_relu_is_gated_behind_the_relu():
    image = keras.Input(IMAGE)
    x = relu("relu")(norm("norm")(conv(4, "conv")(image)))
    model = classified(image, x)
    (site,) = gate_sites(model)
    tensor = read_graph(model).calls[2].outputs[0]
    assert site == GateSite("relu", 4, -1, tensor, "activation", ("conv",))


@pytest.mark.parametrize(
    "activation",
    [
        lambda: layers.Activation("relu", name="act"),
        lambda: layers.Activation("hard_swish", name="act"),
        lambda: layers.LeakyReLU(name="act"),
        lambda: layers.PReLU(name="act"),
        lambda: layers.ELU(name="act"),
        lambda: layers.ReLU(6.0, name="act"),
    ],
)
def test_activation_layers_of_all_kinds_are_seen(activation):
    image = keras.Input(IMAGE)
    model = classified(image, activation()(conv(4, "conv")(image)))
    assert found(model) == [("act", 4, "activation", ("conv",))]


@pytest.mark.parametrize(
    "operator", [ops.relu, ops.relu6, ops.gelu, ops.silu, ops.sigmoid, ops.tanh]
)
def test_activations_that_are_operators_are_seen(operator):
    image = keras.Input(IMAGE)
    model = classified(image, operator(conv(4, "conv")(image)))
    (site,) = gate_sites(model)
    assert site.kind == "activation" and site.convs == ("conv",)


def test_inline_activation_is_the_conv_itself():
    image = keras.Input(IMAGE)
    x = conv(4, "a", activation="relu")(image)
    x = conv(5, "b", activation="linear")(x)
    assert found(classified(image, x)) == [
        ("a", 4, "activation", ("a",)),
        ("b", 5, "conv", ("b",)),
    ]


def test_norm_after_an_inline_activation_is_no_site():
    image = keras.Input(IMAGE)
    x = norm("norm")(conv(4, "a", activation="relu")(image))
    assert found(classified(image, x)) == [("a", 4, "activation", ("a",))]


def test_linear_activation_and_channel_wise_layers_are_passed():
    image = keras.Input(IMAGE)
    x = layers.Activation("linear", name="same")(conv(4, "conv")(image))
    x = layers.SpatialDropout2D(0.5)(layers.MaxPooling2D()(norm("norm")(x)))
    x = relu("relu")(layers.ZeroPadding2D()(x))
    assert found(classified(image, x)) == [("relu", 4, "activation", ("conv",))]


def test_residual_block_has_one_site_behind_the_add():
    """BasicBlock with a projection: both convs that are added feed one relu."""
    image = keras.Input(IMAGE)
    x = stem = relu("stem_relu")(norm("stem_norm")(conv(4, "stem")(image)))
    x = relu("relu1")(norm("norm1")(conv(6, "conv1")(x)))
    x = norm("norm2")(conv(8, "conv2")(x))
    short = norm("short_norm")(conv(8, "short", size=1)(stem))
    x = relu("out")(layers.Add(name="add")([short, x]))
    assert found(classified(image, x)) == [
        ("stem_relu", 4, "activation", ("stem",)),
        ("relu1", 6, "activation", ("conv1",)),
        ("out", 8, "activation", ("short", "conv2")),
    ]


def test_residual_block_with_an_operator_add_is_the_same():
    image = keras.Input(IMAGE)
    stem = relu("stem_relu")(conv(4, "stem")(image))
    x = norm("norm")(conv(4, "conv")(stem)) + stem
    assert found(classified(image, relu("out")(x))) == [
        ("stem_relu", 4, "activation", ("stem",)),
        ("out", 4, "activation", ("conv",)),
    ]


def test_linear_bottlenecks_are_gated_behind_their_norm():
    """Two MobileNetV2 blocks of one stream."""
    image = keras.Input(IMAGE)
    x = norm("project0_norm")(conv(4, "project0", size=1)(image))
    y = relu("expand_relu")(norm("expand_norm")(conv(12, "expand", size=1)(x)))
    y = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(y)
    y = layers.ReLU(6.0, name="depthwise_relu")(norm("depthwise_norm")(y))
    y = norm("project_norm")(conv(4, "project", size=1)(y))
    x = layers.Add(name="add")([x, y])
    x = relu("last_relu")(norm("last_norm")(conv(20, "last", size=1)(x)))
    assert found(classified(image, x)) == [
        ("project0_norm", 4, "norm", ("project0",)),
        ("expand_relu", 12, "activation", ("expand",)),
        ("depthwise_relu", 12, "activation", ("depthwise",)),
        ("project_norm", 4, "norm", ("project",)),
        ("last_relu", 20, "activation", ("last",)),
    ]


def test_pre_activation_stream_is_gated_behind_every_relu_it_reaches():
    """ResNetV2: the stem and every block's last conv write into one stream."""
    image = keras.Input(IMAGE)
    stream = conv(8, "stem")(image)
    for n in (1, 2):
        x = relu(f"pre{n}")(norm(f"pre_norm{n}")(stream))
        x = relu(f"mid{n}")(norm(f"norm{n}")(conv(4, f"in{n}")(x)))
        stream = layers.Add(name=f"add{n}")([stream, conv(8, f"out{n}")(x)])
    x = relu("post")(norm("post_norm")(stream))
    assert found(classified(image, x)) == [
        ("pre1", 8, "activation", ("stem",)),
        ("mid1", 4, "activation", ("in1",)),
        ("pre2", 8, "activation", ("stem", "out1")),
        ("mid2", 4, "activation", ("in2",)),
        ("post", 8, "activation", ("stem", "out1", "out2")),
    ]


def test_broadcast_add_is_no_merge():
    """(8, 8, 4) + (1, 1, 4): another tensor's shape, so the path ends."""
    image = keras.Input(IMAGE)
    x = conv(4, "wide", activation="relu")(image)
    pooled = layers.GlobalAveragePooling2D(keepdims=True)(x)
    y = layers.Add()([x, conv(4, "narrow", size=1)(pooled)])
    assert found(classified(image, relu("out")(y))) == [
        ("wide", 4, "activation", ("wide",)),
        ("narrow", 4, "conv", ("narrow",)),
    ]


@pytest.mark.parametrize(
    ("layer", "channels"),
    [
        (lambda: layers.DepthwiseConv2D(3, depth_multiplier=2, name="c"), 6),
        (lambda: layers.SeparableConv2D(5, 3, name="c"), 5),
        (lambda: layers.Conv2DTranspose(5, 3, strides=2, name="c"), 5),
        (lambda: layers.Conv2D(6, 3, groups=3, name="c"), 6),
    ],
)
def test_convolutions_of_other_kinds(layer, channels):
    image = keras.Input(IMAGE)
    model = classified(image, relu("relu")(layer()(image)))
    assert found(model) == [("relu", channels, "activation", ("c",))]


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.Conv1D, (9, 2)),
        (layers.SeparableConv1D, (9, 2)),
        (layers.DepthwiseConv1D, (9, 2)),
        (layers.Conv1DTranspose, (9, 2)),
        (layers.Conv3D, (5, 5, 5, 2)),
        (layers.Conv3DTranspose, (5, 5, 5, 2)),
    ],
)
def test_convolutions_of_other_ranks(layer, shape):
    image = keras.Input(shape)
    made = layer(3, name="c") if "Depth" in layer.__name__ else None
    x = (made or layer(4, 3, name="c"))(image)
    x = layers.Flatten()(norm("norm")(x))
    (site,) = gate_sites(keras.Model(image, layers.Dense(3)(x)))
    assert (site.name, site.axis, site.kind) == ("norm", -1, "norm")
    assert site.channels == (2 if made else 4)


def test_class_derived_from_a_convolution_is_one():
    class Standardised(layers.Conv2D):
        pass

    image = keras.Input(IMAGE)
    model = classified(image, Standardised(4, 3, name="c")(image))
    assert found(model) == [("c", 4, "conv", ("c",))]


def test_class_that_only_bears_the_name_of_a_convolution_is_none():
    class Conv2D(layers.Layer):
        def call(self, inputs):
            return inputs

    image = keras.Input(IMAGE)
    x = conv(4, "real", activation="relu")(Conv2D(name="fake")(image))
    assert [s.name for s in gate_sites(classified(image, x))] == ["real"]


def test_squeeze_and_excitation_branch():
    image = keras.Input(IMAGE)
    x = relu("relu")(norm("norm")(conv(8, "conv")(image)))
    se = layers.GlobalAveragePooling2D(keepdims=True)(x)
    se = conv(2, "reduce", size=1, activation="relu")(se)
    se = conv(8, "expand", size=1, activation="sigmoid")(se)
    x = layers.Multiply(name="scaled")([x, se])
    assert found(classified(image, x)) == [
        ("relu", 8, "activation", ("conv",)),
        ("reduce", 2, "activation", ("reduce",)),
        ("expand", 8, "activation", ("expand",)),
    ]


def test_hard_swish_made_of_operators_is_gated_at_its_relu6():
    """x relu6(x + 3) / 6 is 0 where relu6 is gated: one site, not two."""
    image = keras.Input(IMAGE)
    x = norm("norm")(conv(4, "conv")(image))
    x = x * layers.ReLU(6.0, name="relu6")(x + 3.0) * (1 / 6)
    assert found(classified(image, x)) == [
        ("relu6", 4, "activation", ("conv",))
    ]


def test_class_scores_made_by_a_conv_are_no_site_mobilenet_v1():
    image = keras.Input(IMAGE)
    x = relu("relu")(conv(4, "conv")(image))
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Dropout(0.1)(x)
    x = conv(10, "preds", size=1)(x)
    x = layers.Reshape((10,))(x)
    model = keras.Model(image, layers.Activation("softmax")(x))
    assert [s.name for s in gate_sites(model)] == ["relu"]


def test_class_scores_made_by_a_conv_are_no_site_squeezenet():
    image = keras.Input(IMAGE)
    x = relu("relu")(conv(4, "conv")(image))
    x = relu("relu10")(conv(10, "conv10", size=1)(x))
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, layers.Softmax()(x))
    assert [s.name for s in gate_sites(model)] == ["relu"]


def test_conv_with_softmax_inline_that_makes_the_scores_is_no_site():
    image = keras.Input((1, 1, 3))
    x = conv(4, "conv", size=1, activation="relu")(image)
    x = conv(10, "preds", size=1, activation="softmax")(x)
    model = keras.Model(image, layers.Flatten()(x))
    assert [s.name for s in gate_sites(model)] == ["conv"]


def test_channels_first_comes_from_the_layers_own_setting():
    image = keras.Input((3, 8, 8))
    x = layers.Conv2D(4, 3, data_format="channels_first", name="a")(image)
    x = layers.BatchNormalization(axis=1)(x)
    x = relu("relu")(x)
    x = layers.Conv2D(5, 3, data_format="channels_first", name="b")(x)
    x = layers.GlobalAveragePooling2D(data_format="channels_first")(x)
    sites = gate_sites(keras.Model(image, layers.Dense(3)(x)))
    assert [(s.name, s.channels, s.axis) for s in sites] == [
        ("relu", 4, -3),
        ("b", 5, -3),
    ]


def test_channels_first_in_one_dimension():
    image = keras.Input((3, 8))
    x = layers.Conv1D(4, 3, data_format="channels_first", name="a")(image)
    x = layers.Flatten()(x)
    (site,) = gate_sites(keras.Model(image, layers.Dense(3)(x)))
    assert (site.channels, site.axis) == (4, -2)


def test_shared_conv_has_a_site_for_each_of_its_calls():
    image = keras.Input((8, 8, 4))
    shared, act = conv(4, "shared"), relu("relu")
    x = act(shared(act(shared(image))))
    assert found(classified(image, x)) == [
        ("relu", 4, "activation", ("shared",)),
        ("relu:1", 4, "activation", ("shared:1",)),
    ]


def test_sites_of_nested_models_bear_their_path():
    inner_image = keras.Input(IMAGE)
    inner = keras.Model(
        inner_image, relu("relu")(conv(4, "conv")(inner_image)), name="inner"
    )
    image = keras.Input(IMAGE)
    x = conv(5, "conv", activation="relu")(inner(image))
    assert found(classified(image, x)) == [
        ("inner/relu", 4, "activation", ("inner/conv",)),
        ("conv", 5, "activation", ("conv",)),
    ]


def test_conv_with_two_activations_has_two_sites():
    image = keras.Input(IMAGE)
    x = conv(4, "conv")(image)
    x = layers.Concatenate()([relu("plus")(x), relu("minus")(ops.negative(x))])
    y = conv(4, "two")(x)
    y = layers.Multiply()([relu("left")(y), relu("right")(y)])
    assert found(classified(image, y)) == [
        ("plus", 4, "activation", ("conv",)),
        ("left", 4, "activation", ("two",)),
        ("right", 4, "activation", ("two",)),
    ]


def test_concatenation_ends_the_way_of_a_conv():
    """DenseNet: the norm after it spans the channels of several convs."""
    image = keras.Input(IMAGE)
    x = layers.Concatenate()([conv(4, "a")(image), conv(5, "b")(image)])
    x = relu("relu")(norm("norm")(x))
    assert found(classified(image, x)) == [
        ("a", 4, "conv", ("a",)),
        ("b", 5, "conv", ("b",)),
    ]


def dense_only():
    return keras.Sequential(
        [keras.Input((4,)), layers.Dense(5, "relu"), layers.Dense(3)],
        name="net",
    )


def head_only():
    image = keras.Input(IMAGE)
    x = conv(3, "scores")(image)
    return keras.Model(image, layers.GlobalMaxPooling2D()(x), name="net")


@pytest.mark.parametrize("make", [dense_only, head_only])
def test_models_without_a_conv_to_gate_are_refused(make):
    with pytest.raises(ValueError) as error:
        gate_sites(make())
    assert str(error.value) == (
        "Model 'net': found no convolution whose channels can be gated, "
        "expected at least one before the class scores; channel pruning by "
        "sites needs a ConvNet."
    )


def test_models_without_a_graph_are_refused():
    class Subclassed(keras.Model):
        pass

    with pytest.raises(TypeError, match="'own': expected a Functional"):
        gate_sites(Subclassed(name="own"))


def test_a_dense_layer_on_a_map_is_a_convolution():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="conv")(inputs)
    x = keras.layers.LayerNormalization(name="norm")(x)
    x = keras.layers.Dense(16, name="wide")(x)
    x = keras.layers.Activation("gelu", name="gelu")(x)
    x = keras.layers.Dense(4, name="narrow")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(2, name="head")(x))
    assert [(s.name, s.channels, s.kind) for s in gate_sites(model)] == [
        ("norm", 4, "norm"),
        ("gelu", 16, "activation"),
        ("narrow", 4, "conv"),
    ]
