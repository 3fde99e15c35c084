"""Tests of drnet_tf/call_costs.py: golden numbers by hand."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from drnet_tf.call_costs import (
    Product,
    kept_parameters,
    kept_weights,
    multiplies_otherwise,
    products,
    weights_of_calls,
)
from drnet_tf.graph import read_graph


def one_call(layer, shape):
    inputs = keras.Input(shape)
    graph = read_graph(keras.Model(inputs, layer(inputs)))
    return graph.calls[-1], graph


# Layer, input shape, (inputs, outputs, groups, taps, positions) a product.
GOLDEN = {
    "conv1d": (layers.Conv1D(5, 3), (8, 2), [(2, 5, 1, 3, 6)]),
    "conv2d_valid": (
        layers.Conv2D(5, (3, 2)),
        (8, 8, 3),
        [(3, 5, 1, 6, 42)],
    ),
    "conv2d_same_strided": (
        layers.Conv2D(5, 3, strides=2, padding="same"),
        (7, 8, 3),
        [(3, 5, 1, 9, 16)],
    ),
    "conv2d_dilated": (
        layers.Conv2D(5, 3, dilation_rate=2),
        (8, 8, 3),
        [(3, 5, 1, 9, 16)],
    ),
    "conv2d_grouped": (
        layers.Conv2D(6, 3, groups=2),
        (4, 4, 4),
        [(4, 6, 2, 9, 4)],
    ),
    "conv3d": (layers.Conv3D(2, 2), (3, 3, 3, 4), [(4, 2, 1, 8, 8)]),
    "depthwise": (
        layers.DepthwiseConv2D(3, depth_multiplier=2),
        (4, 4, 3),
        [(3, 6, 3, 9, 4)],
    ),
    "depthwise1d": (layers.DepthwiseConv1D(3), (4, 3), [(3, 3, 3, 3, 2)]),
    "separable": (
        layers.SeparableConv2D(5, 3, depth_multiplier=2),
        (4, 4, 3),
        [(3, 6, 3, 9, 4), (6, 5, 1, 1, 4)],
    ),
    "transposed": (
        layers.Conv2DTranspose(5, 3, strides=2),
        (4, 4, 3),
        [(3, 5, 1, 9, 16)],
    ),
    "dense": (layers.Dense(5), (7,), [(7, 5, 1, 1, 1)]),
    "dense_rank_4": (layers.Dense(5), (2, 3, 7), [(7, 5, 1, 1, 6)]),
    "channels_first": (
        layers.Conv2D(5, 3, data_format="channels_first"),
        (3, 8, 7),
        [(3, 5, 1, 9, 30)],
    ),
    "none": (layers.ReLU(), (4, 4, 3), []),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_products(name):
    layer, shape, expected = GOLDEN[name]
    call, graph = one_call(layer, shape)
    assert products(call, graph) == tuple(Product(*x) for x in expected)


@pytest.mark.parametrize("name", GOLDEN)
def test_products_and_bias_are_all_the_parameters(name):
    layer, shape, _ = GOLDEN[name]
    call, graph = one_call(layer, shape)
    parts = products(call, graph)
    bias = parts[-1].outputs if parts else 0
    assert sum(kept_weights(parts, None, None)) + bias == layer.count_params()


def test_pairs_of_groups():
    product = Product(4, 6, 2, taps=9, positions=1)
    inputs = np.array([True, False, True, True])  # 1 and 2
    outputs = np.array([True, True, True, False, False, True])  # 3 and 1
    assert product.weights(inputs, outputs) == 9 * (1 * 3 + 2 * 1)
    assert product.weights(None, outputs) == 9 * (2 * 3 + 2 * 1)
    assert product.weights(inputs, None) == 9 * (1 * 3 + 2 * 3)


def test_kept_weights_of_a_separable_convolution():
    call, graph = one_call(
        layers.SeparableConv2D(5, 3, depth_multiplier=2), (4, 4, 3)
    )
    before = np.array([True, False, True])
    after = np.array([True, True, True, False, False])
    assert kept_weights(products(call, graph), before, after) == [
        9 * 2 * 2,
        4 * 3,
    ]


def test_kept_parameters_of_a_norm_leave_moving_statistics_aside():
    call, graph = one_call(layers.BatchNormalization(), (4, 4, 5))
    (weights,) = weights_of_calls(graph)
    after = np.arange(5) < 2
    assert kept_parameters(call, weights, (), None, None, -1) == (20, 10)
    assert kept_parameters(call, weights, (), None, after, -1) == (8, 4)


def test_freezing_does_not_change_what_is_learnable():
    layer = layers.BatchNormalization()
    call, graph = one_call(layer, (4, 4, 5))
    layer.trainable = False
    (weights,) = weights_of_calls(graph)
    assert kept_parameters(call, weights, (), None, None, -1) == (20, 10)


def test_slopes_of_a_prelu_go_with_their_channels():
    call, graph = one_call(layers.PReLU(), (4, 3, 5))
    (weights,) = weights_of_calls(graph)
    after = np.arange(5) < 2
    assert kept_parameters(call, weights, (), None, after, -1) == (24, 24)


def test_a_shared_weight_stands_once():
    inputs = keras.Input((4,))
    dense = layers.Dense(4)
    graph = read_graph(keras.Model(inputs, dense(dense(inputs))))
    assert [len(x) for x in weights_of_calls(graph)] == [2, 0]


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (layers.LSTM(3), (5, 4), True),
        (layers.TimeDistributed(layers.Dense(3)), (5, 4), True),
        (layers.EinsumDense("bi,io->bo", output_shape=3), (4,), True),
        (lambda x: x @ x, (4, 4), True),
        (layers.Dense(3), (4,), False),
        (layers.Conv2D(3, 3), (4, 4, 3), False),
        (layers.BatchNormalization(), (4, 4, 3), False),
        (lambda x: x + x, (4, 4), False),
    ],
)
def test_multiplies_otherwise(layer, shape, expected):
    call, _ = one_call(layer, shape)
    assert multiplies_otherwise(call) is expected


def test_refuses_an_open_image_size():
    call, graph = one_call(layers.Conv2D(4, 3, name="conv"), (None, 8, 3))
    with pytest.raises(ValueError) as error:
        products(call, graph)
    assert str(error.value) == (
        "Layer 'conv': got a tensor of shape (None, None, 8, 3), expected only "
        "the batch axis to be unknown, or the multiply-accumulates of an image "
        "are open; rebuild the model with a fixed image size, "
        "keras.Input((height, width, channels))."
    )
