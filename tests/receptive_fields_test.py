"""Receptive fields against what really changes a place: every pixel, tried."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from drnet_tf.graph import read_graph
from drnet_tf.receptive_fields import Box, receptive_field

SIZE = 13


def plain(x):
    x = layers.Conv2D(2, 3, padding="same")(x)
    x = layers.MaxPooling2D(2)(x)
    return layers.Conv2D(2, (1, 3), activation="relu")(x)


def strided(x):
    x = layers.ZeroPadding2D(((1, 2), (0, 1)))(x)
    x = layers.Conv2D(2, 3, strides=2, padding="same")(x)
    x = layers.DepthwiseConv2D(3, padding="same", dilation_rate=2)(x)
    return layers.AveragePooling2D(2, padding="same")(x)


def residual(x):
    x = layers.Conv2D(2, 2)(x)
    y = layers.SeparableConv2D(2, 3, padding="same")(x)
    y = layers.BatchNormalization()(y)
    x = layers.ReLU()(layers.Add()([x, y]))
    y = layers.Cropping2D(((1, 0), (0, 2)))(x)
    z = layers.Conv2D(2, (2, 3))(x)
    return layers.Concatenate()([y, z])


def excited(x):
    """Squeeze and excite: every place depends on the whole image."""
    x = layers.Conv2D(2, 3, padding="same")(x)
    y = layers.GlobalAveragePooling2D(keepdims=True)(x)
    return layers.Multiply()([x, layers.Conv2D(2, 1)(y)])


def changing_pixels(model, row, column):
    """The box of the pixels that change the place when they are raised."""
    images = np.ones((1 + SIZE * SIZE, SIZE, SIZE, 1), np.float32)
    for pixel in range(SIZE * SIZE):
        images[1 + pixel, pixel // SIZE, pixel % SIZE] = 50.0
    found = np.asarray(model(images))[:, row, column].sum(-1)
    moved = (np.abs(found[1:] - found[0]) > 1e-4).reshape(SIZE, SIZE)
    rows = np.flatnonzero(moved.any(1))
    columns = np.flatnonzero(moved.any(0))
    return Box(
        int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1
    )


@pytest.mark.parametrize("build", [plain, strided, residual, excited])
def test_the_box_holds_the_pixels_that_matter_and_no_more(build):
    image = keras.Input((SIZE, SIZE, 1))
    model = keras.Model(image, build(image))
    # Above 0 everywhere, so that no pixel is lost on the way.
    model.set_weights([np.full_like(x, 0.3) for x in model.get_weights()])
    graph = read_graph(model)
    rows, columns = model.output_shape[1:3]
    for row in {0, 1, rows // 2, rows - 1}:
        for column in {0, columns // 2, columns - 1}:
            found = receptive_field(graph, graph.outputs[0], row, column)
            assert found == changing_pixels(model, row, column)


def test_an_unknown_operation_is_taken_to_read_everything():
    image = keras.Input((SIZE, SIZE, 1))
    model = keras.Model(image, layers.UpSampling2D(2)(image))
    graph = read_graph(model)
    found = receptive_field(graph, graph.outputs[0], 0, 0)
    assert (found.height, found.width) == (SIZE, SIZE)


def test_bad_questions_are_refused():
    image = keras.Input((SIZE, SIZE, 1))
    pooled = layers.GlobalAveragePooling2D()(image)
    model = keras.Model(image, [layers.Conv2D(1, 3)(image), pooled])
    graph = read_graph(model)
    with pytest.raises(ValueError, match=r"place \(11, 0\), expected one with"):
        receptive_field(graph, graph.outputs[0], 11, 0)
    with pytest.raises(ValueError, match="expected .batch, rows, columns, ch"):
        receptive_field(graph, graph.outputs[1], 0, 0)
    open_size = keras.Input((None, None, 1))
    model = keras.Model(open_size, layers.Conv2D(1, 3)(open_size))
    graph = read_graph(model)
    with pytest.raises(ValueError, match="fixed image size"):
        receptive_field(graph, graph.outputs[0], 0, 0)
    two = keras.Input((SIZE, SIZE, 1)), keras.Input((SIZE, SIZE, 1))
    graph = read_graph(keras.Model(two, layers.Add()(two)))
    with pytest.raises(ValueError, match="has 2 inputs, expected one"):
        receptive_field(graph, graph.outputs[0], 0, 0)
