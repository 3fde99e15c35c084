"""Tests of drnet_tf/costs.py: golden numbers by hand, and invariants."""

from __future__ import annotations

import time

import keras
import numpy as np
import pytest
from keras import layers

from drnet_tf.costs import CostModel, count_costs, count_masked_costs
from drnet_tf.masks import ChannelMask
from drnet_tf.sites import gate_sites


def chain(widths=(4, 6), classes=5, shape=(8, 8, 3)):
    """Conv-BN-ReLU twice, pooling, Flatten over 2x2 pixels, Dense."""
    inputs = keras.Input(shape)
    x = inputs
    for number, width in enumerate(widths, start=1):
        x = layers.Conv2D(width, 3, padding="same", name=f"conv{number}")(x)
        x = layers.BatchNormalization(name=f"bn{number}")(x)
        x = layers.ReLU(name=f"relu{number}")(x)
        x = layers.MaxPooling2D(name=f"pool{number}")(x)
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(inputs, layers.Dense(classes, name="logits")(x))


def residual():
    """Stem, a block with an identity shortcut, a 1x1 projection block."""
    inputs = keras.Input((4, 4, 3))
    x = layers.Conv2D(4, 3, padding="same", use_bias=False, name="stem")(inputs)
    x = stem = layers.ReLU(name="stem_relu")(x)
    x = layers.Conv2D(5, 3, padding="same", use_bias=False, name="conv1")(x)
    x = layers.ReLU(name="relu1")(x)
    x = layers.Conv2D(4, 3, padding="same", use_bias=False, name="conv2")(x)
    x = layers.BatchNormalization(name="bn2")(x)
    x = layers.Add(name="add")([stem, x])
    x = layers.ReLU(name="out")(x)
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    return keras.Model(inputs, layers.Dense(10, name="logits")(x))


def bits(text):
    return np.array([x == "1" for x in text])


def full_mask(model):
    return ChannelMask(
        {x.name: np.ones(x.channels, bool) for x in gate_sites(model)}
    )


def random_mask(model, seed=0):
    rng = np.random.default_rng(seed)
    return ChannelMask(
        {x.name: rng.random(x.channels) < 0.5 for x in gate_sites(model)}
    )


def by_name(costs):
    return {layer.name: layer for layer in costs.layers}


def test_golden_costs_of_a_chain():
    costs = count_costs(chain())
    # conv1 27x4+4, bn1 4x4, conv2 36x6+6, bn2 4x6, logits 24x5+5
    assert costs.parameters == 112 + 16 + 222 + 24 + 125
    assert costs.learnable_parameters == 112 + 8 + 222 + 12 + 125
    assert costs.macs == 27 * 4 * 64 + 36 * 6 * 16 + 24 * 5
    assert costs.bytes == 4 * costs.parameters
    assert costs.uncounted == ()
    layer = by_name(costs)["conv2"]
    assert (layer.kind, layer.parameters, layer.macs) == ("Conv2D", 222, 3456)
    assert layer.output_shape == (4, 4, 6)
    assert by_name(costs)["bn1"].learnable_parameters == 8


def test_golden_running_costs_of_a_chain():
    mask = ChannelMask({"relu1": bits("1010"), "relu2": bits("100000")})
    costs = count_masked_costs(chain(), mask, num_classes=2)
    layers_ = by_name(costs)
    assert layers_["conv1"].learnable_parameters == 27 * 2 + 2
    assert layers_["bn1"].learnable_parameters == 2 * 2
    assert layers_["bn1"].parameters == 4 * 2
    assert layers_["conv2"].learnable_parameters == 9 * 2 * 1 + 1
    # Each kept channel has four rows behind the Flatten.
    assert layers_["logits"].learnable_parameters == 4 * 2 + 2
    assert costs.parameters == 56 + 4 + 19 + 2 + 10
    assert costs.parameters_full == 479
    assert costs.macs == 27 * 2 * 64 + 18 * 16 + 4 * 2
    assert costs.macs_full == 27 * 4 * 64 + 36 * 6 * 16 + 24 * 5
    assert (costs.channels, costs.channels_full) == (3, 10)
    assert costs.channels_fraction == pytest.approx(0.3)
    assert costs.parameters_fraction == pytest.approx(91 / 479)
    assert costs.macs_fraction == pytest.approx(3752 / 10488)


def test_golden_running_costs_of_a_residual_block():
    mask = ChannelMask(
        {"stem_relu": bits("1100"), "relu1": bits("10000"), "out": bits("0110")}
    )
    costs = by_name(count_masked_costs(residual(), mask))
    assert costs["stem"].learnable_parameters == 27 * 2
    assert costs["conv1"].learnable_parameters == 9 * 2 * 1
    # conv2 feeds the site behind the sum; the head reads that site.
    assert costs["conv2"].learnable_parameters == 9 * 1 * 2
    assert costs["conv2"].macs == 9 * 1 * 2 * 16
    assert costs["bn2"].learnable_parameters == 2 * 2
    assert costs["logits"].learnable_parameters == 2 * 10 + 10


def test_a_sum_that_is_not_gated_runs_what_any_operand_runs():
    inputs = keras.Input((4, 4, 3))
    first = layers.Conv2D(4, 1, activation="relu", name="a")(inputs)
    second = layers.Conv2D(4, 1, activation="relu", name="b")(inputs)
    x = layers.BatchNormalization(name="bn")(layers.Add()([first, second]))
    x = layers.Conv2D(2, 1, activation="relu", name="c")(x)
    model = keras.Model(inputs, layers.Dense(3)(layers.GlobalMaxPooling2D()(x)))
    mask = ChannelMask({"a": bits("1000"), "b": bits("1010"), "c": bits("11")})
    costs = by_name(count_masked_costs(model, mask))
    assert costs["bn"].learnable_parameters == 2 * 2
    assert costs["c"].learnable_parameters == 2 * 2 + 2


def test_depthwise_runs_where_its_input_and_its_output_run():
    inputs = keras.Input((4, 4, 3))
    x = layers.Conv2D(4, 1, use_bias=False, name="expand")(inputs)
    x = layers.ReLU(name="expand_relu")(x)
    x = layers.DepthwiseConv2D(3, padding="same", name="dw")(x)
    x = layers.ReLU(name="dw_relu")(x)
    x = layers.Conv2D(2, 1, use_bias=False, name="project")(x)
    x = layers.BatchNormalization(name="project_bn")(x)
    model = keras.Model(inputs, layers.Dense(3)(layers.GlobalMaxPooling2D()(x)))
    mask = ChannelMask(
        {
            "expand_relu": bits("1100"),
            "dw_relu": bits("0110"),
            "project_bn": bits("10"),
        }
    )
    costs = by_name(count_masked_costs(model, mask))
    assert costs["expand"].learnable_parameters == 3 * 2
    assert costs["dw"].learnable_parameters == 9 * 1 + 2  # and two biases
    assert costs["dw"].macs == 9 * 16
    assert costs["project"].learnable_parameters == 2 * 1
    assert costs["project_bn"].learnable_parameters == 2


@pytest.mark.parametrize("make", [chain, residual])
def test_the_full_mask_runs_everything(make):
    model = make()
    costs, full = (
        count_masked_costs(model, full_mask(model)),
        count_costs(model),
    )
    assert costs.layers == full.layers
    assert costs.parameters == costs.parameters_full
    assert costs.parameters == full.learnable_parameters
    assert costs.macs == costs.macs_full == full.macs


@pytest.mark.parametrize("make", [chain, residual])
def test_the_empty_mask_runs_biases_of_the_head_only(make):
    model = make()
    mask = ChannelMask(
        {x.name: np.zeros(x.channels, bool) for x in gate_sites(model)}
    )
    costs = count_masked_costs(model, mask)
    assert costs.macs == 0
    assert costs.parameters == by_name(costs)["logits"].parameters
    assert costs.parameters == model.output_shape[-1]


@pytest.mark.parametrize("seed", range(5))
def test_running_costs_of_a_chain_are_those_of_the_narrow_chain(seed):
    mask = random_mask(chain((8, 12)), seed)
    widths = [int(mask[site].sum()) for site in mask.sites]
    running = count_masked_costs(chain((8, 12)), mask, num_classes=3)
    narrow = count_costs(chain(widths, classes=3))
    assert running.parameters == narrow.learnable_parameters
    assert running.macs == narrow.macs
    assert [x.parameters for x in running.layers] == [
        x.parameters for x in narrow.layers
    ]


@pytest.mark.parametrize("make", [chain, residual])
def test_more_channels_never_cost_less(make):
    model = make()
    less = random_mask(model)
    more = ChannelMask(
        {x: less[x] | random_mask(model, 1)[x] for x in less.sites}
    )
    costs = CostModel(model)
    assert costs.masked(less).parameters <= costs.masked(more).parameters
    assert costs.masked(less).macs <= costs.masked(more).macs


def test_a_shared_layer_has_its_parameters_once_and_macs_twice():
    inputs = keras.Input((4, 4, 3))
    conv = layers.Conv2D(3, 1, use_bias=False, name="conv")
    x = layers.ReLU(name="relu1")(conv(inputs))
    x = layers.ReLU(name="relu2")(conv(x))
    x = layers.Dense(2, name="logits")(layers.GlobalMaxPooling2D()(x))
    model = keras.Model(inputs, x)
    costs = count_costs(model)
    assert costs.parameters == model.count_params() == 9 + 8
    assert costs.macs == 2 * 9 * 16 + 6
    mask = ChannelMask({"relu1": bits("100"), "relu2": bits("010")})
    running = by_name(count_masked_costs(model, mask))
    # The images run whole, and relu1's or relu2's channels come out.
    assert running["conv"].parameters == 3 * 2
    assert running["conv"].macs == 3 * 1 * 16
    assert running["conv:1"].parameters == 0
    assert running["conv:1"].macs == 1 * 1 * 16


def test_nested_models_are_opened():
    inner = chain()
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, layers.Softmax()(inner(inputs)))
    assert count_costs(model).macs == count_costs(inner).macs
    assert count_costs(model).parameters == inner.count_params()


def test_channels_first_costs_the_same():
    model = keras.Sequential(
        [
            keras.Input((3, 8, 8)),
            layers.Conv2D(4, 3, data_format="channels_first", name="conv"),
            layers.BatchNormalization(axis=1, name="bn"),
            layers.ReLU(name="relu"),
            layers.GlobalAveragePooling2D(data_format="channels_first"),
            layers.Dense(5, name="logits"),
        ]
    )
    mask = ChannelMask({"relu": bits("1100")})
    costs = by_name(count_masked_costs(model, mask))
    assert costs["conv"].macs == 27 * 2 * 36
    assert costs["bn"].learnable_parameters == 4
    assert costs["logits"].learnable_parameters == 2 * 5 + 5


def test_names_what_it_cannot_count():
    inputs = keras.Input((4, 4))
    x = layers.LSTM(3, name="lstm")(inputs)
    costs = count_costs(keras.Model(inputs, layers.Dense(2)(x)))
    assert costs.uncounted == ("lstm",)


def test_the_model_is_not_changed():
    model = chain()
    before = [w.numpy().copy() for w in model.weights]
    count_masked_costs(model, random_mask(model), num_classes=2)
    assert count_costs(model) == count_costs(model)
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)


@pytest.mark.parametrize("num_classes", [0, 6, -1])
def test_refuses_a_wrong_number_of_classes(num_classes):
    model = chain()
    with pytest.raises(
        ValueError,
        match=rf"got num_classes={num_classes}, expected 1 to 5, the outputs "
        "of its last layer 'logits'",
    ):
        count_masked_costs(model, full_mask(model), num_classes)


def test_refuses_a_foreign_mask():
    with pytest.raises(ValueError, match="relu"):
        count_masked_costs(chain((4, 7)), full_mask(chain()))


def test_refuses_an_open_image_size():
    with pytest.raises(ValueError, match="Layer 'conv1': got a tensor of"):
        count_costs(
            keras.Sequential(
                [
                    keras.Input((None, None, 3)),
                    layers.Conv2D(4, 3, name="conv1"),
                ]
            )
        )


def twice():
    """A convolution that is called on two tensors."""
    inputs = keras.Input((8, 8, 3))
    stem = layers.Conv2D(4, 3, padding="same", name="stem")(inputs)
    shared = layers.Conv2D(4, 3, padding="same", name="shared")
    x = layers.ReLU(name="first")(shared(layers.ReLU(name="stem_relu")(stem)))
    x = layers.ReLU(name="second")(shared(x))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(5, name="logits")(x))


@pytest.mark.parametrize("make", [chain, residual, twice])
def test_one_asked_often_counts_as_one_asked_once(make):
    model = make()
    often = CostModel(model)
    for seed in range(6):
        mask = random_mask(model, seed)
        for num_classes in (None, 2):
            once = CostModel(model).masked(mask, num_classes)
            assert often.masked(mask, num_classes) == once
        one = {**mask.keep, mask.sites[0]: ~mask[mask.sites[0]]}
        for keep in (one, mask.keep):
            near = ChannelMask(keep)
            assert often.masked(near) == CostModel(model).masked(near)
    assert often.full() == CostModel(model).full()


def test_masked_costs_are_quick():
    inputs = x = keras.Input((8, 8, 3))
    for number in range(40):
        x = layers.Conv2D(32, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        x = layers.ReLU(name=f"relu{number}")(x)
    x = layers.Dense(5)(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, x)
    costs, mask = CostModel(model), random_mask(model)
    start = time.perf_counter()
    for _ in range(5):
        costs.masked(mask, 2)
    assert (time.perf_counter() - start) / 5 < 0.1  # 8 ms on one core
