"""Tests of drnet_tf/running.py: which channels run, call by call."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from drnet_tf.graph import read_graph
from drnet_tf.running import Running, Use, flow, head_of

FLAGS = np.array([True, False, True])
OTHER = np.array([True, False, False])


def run(operation, *shapes, states, axis=-1):
    """What `operation` makes of inputs whose running channels are `states`."""
    inputs = [keras.Input(shape) for shape in shapes]
    outputs = operation(inputs[0] if len(inputs) == 1 else inputs)
    graph = read_graph(keras.Model(inputs, outputs))
    return flow(
        graph.calls[-1],
        [None if x is None else Running(x, axis) for x in states],
        graph,
    )


KEEPING = {
    "relu": layers.ReLU(),
    "relu_operator": keras.ops.relu,
    "activation": layers.Activation("tanh"),
    "linear": layers.Activation("linear"),
    "norm": layers.BatchNormalization(),
    "group_norm": layers.GroupNormalization(3),
    "max_pool": layers.MaxPooling2D(),
    "average_pool": layers.AveragePooling2D(2),
    "pad": layers.ZeroPadding2D(),
    "crop": layers.Cropping2D(),
    "up": layers.UpSampling2D(),
    "dropout": layers.Dropout(0.5),
    "spatial_dropout": layers.SpatialDropout2D(0.5),
    "noise": layers.GaussianNoise(0.5),
    "rescaling": layers.Rescaling(2.0),
    "identity": layers.Identity(),
    "pool_keepdims": layers.GlobalAveragePooling2D(keepdims=True),
    "global_pool": layers.GlobalAveragePooling2D(),
    "global_max": layers.GlobalMaxPooling2D(),
    "mean_operator": lambda x: keras.ops.mean(x, axis=(1, 2)),
    "reshape": layers.Reshape((16, 3)),
    "plus_one": lambda x: x + 1.0,
}


@pytest.mark.parametrize("name", KEEPING)
def test_channel_wise_operations_keep_the_flags(name):
    state = run(KEEPING[name], (4, 4, 3), states=[FLAGS])
    assert state.axis == -1
    np.testing.assert_array_equal(state.flags, FLAGS)


@pytest.mark.parametrize(
    "operation",
    [
        layers.Softmax(),
        layers.Activation("softmax"),
        lambda x: keras.ops.mean(x, axis=-1),
        lambda x: keras.ops.cumsum(x, axis=-1),
        lambda x: layers.MultiHeadAttention(1, 2)(x, x),
        lambda x: keras.ops.split(x, 3, axis=-1)[0],
    ],
)
def test_after_other_operations_everything_runs(operation):
    assert run(operation, (4, 3), states=[FLAGS]) is None


def test_flatten_repeats_the_channels_of_each_pixel():
    state = run(layers.Flatten(), (2, 1, 3), states=[FLAGS])
    np.testing.assert_array_equal(state.flags, [1, 0, 1, 1, 0, 1])


def test_flatten_of_channels_first():
    state = run(
        layers.Flatten(data_format="channels_first"),
        (3, 2, 1),
        states=[FLAGS],
        axis=-3,
    )
    np.testing.assert_array_equal(state.flags, [1, 0, 1, 1, 0, 1])


def test_reshape_of_channels_first_keeps_the_order():
    state = run(layers.Reshape((6,)), (3, 2, 1), states=[FLAGS], axis=-3)
    np.testing.assert_array_equal(state.flags, [1, 1, 0, 0, 1, 1])


def test_permute_moves_the_axis():
    state = run(layers.Permute((3, 1, 2)), (2, 2, 3), states=[FLAGS])
    assert state.axis == -3
    np.testing.assert_array_equal(state.flags, FLAGS)


def test_global_pooling_of_channels_first():
    pool = layers.GlobalAveragePooling2D(data_format="channels_first")
    state = run(pool, (3, 2, 2), states=[FLAGS], axis=-3)
    assert state.axis == -1
    np.testing.assert_array_equal(state.flags, FLAGS)


def test_a_reshape_that_mixes_channels_lets_everything_run():
    flags = np.array([True, False, True, True])
    assert run(layers.Reshape((2, 2)), (4,), states=[flags]) is None


BOTH = [(2, 2, 3), (2, 2, 3)]


@pytest.mark.parametrize(
    ("operation", "states", "expected"),
    [
        (layers.Add(), [FLAGS, OTHER], [1, 0, 1]),
        (lambda x: x[0] + x[1], [FLAGS, OTHER], [1, 0, 1]),
        (layers.Maximum(), [FLAGS, OTHER], [1, 0, 1]),
        (layers.Add(), [FLAGS, None], None),
        (layers.Multiply(), [FLAGS, OTHER], [1, 0, 0]),
        (layers.Multiply(), [None, OTHER], [1, 0, 0]),
        (layers.Concatenate(), [FLAGS, None], [1, 0, 1, 1, 1, 1]),
        (layers.Concatenate(), [None, OTHER], [1, 1, 1, 1, 0, 0]),
        (layers.Concatenate(axis=3), [FLAGS, OTHER], [1, 0, 1, 1, 0, 0]),
        (layers.Concatenate(axis=1), [FLAGS, OTHER], [1, 0, 1]),
        (layers.Add(), [None, None], None),
    ],
)
def test_merges(operation, states, expected):
    state = run(operation, *BOTH, states=states)
    if expected is None:
        assert state is None
    else:
        np.testing.assert_array_equal(state.flags, expected)


def test_a_scale_per_channel_broadcasts():
    state = run(layers.Multiply(), (2, 2, 3), (1, 1, 3), states=[FLAGS, OTHER])
    np.testing.assert_array_equal(state.flags, OTHER)


def test_shared_uses_unite():
    both = Use(None, FLAGS) | Use(OTHER, np.array([False, True, True]))
    assert both.before is None
    assert both.after.all()


def test_head_of_a_graph_without_products():
    inputs = keras.Input((4,))
    graph = read_graph(keras.Model(inputs, layers.ReLU()(inputs)))
    assert head_of(graph, [()]) is None
