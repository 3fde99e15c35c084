"""Every family as x W + b, at some places and at all, against Keras."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from drnet_tf.repair.linear_layers import is_linear, linear_layer
from drnet_tf.repair.patches import draw_places, gather

IMAGE, ROW, BLOCK, SMALL = (9, 8, 6), (11, 6), (4, 5, 6, 4), (5, 4, 6)
CASES = {
    "conv_same": (lambda: layers.Conv2D(4, 3, padding="same"), IMAGE),
    "conv_strided": (
        lambda: layers.Conv2D(4, 3, strides=2, padding="same"),
        IMAGE,
    ),
    "conv_valid": (lambda: layers.Conv2D(4, (3, 2), strides=2), IMAGE),
    "conv_grouped_dilated": (
        lambda: layers.Conv2D(4, 3, dilation_rate=2, padding="same", groups=2),
        IMAGE,
    ),
    "conv_relu": (lambda: layers.Conv2D(4, 3, use_bias=False), IMAGE),
    "conv1d_causal": (
        lambda: layers.Conv1D(5, 3, padding="causal", dilation_rate=2),
        ROW,
    ),
    "conv1d_causal_strided": (
        lambda: layers.Conv1D(5, 3, padding="causal", strides=2),
        ROW,
    ),
    "conv3d": (lambda: layers.Conv3D(2, 2, padding="same"), BLOCK),
    "transposed_same": (
        lambda: layers.Conv2DTranspose(4, 3, strides=2, padding="same"),
        SMALL,
    ),
    "transposed_even": (
        lambda: layers.Conv2DTranspose(4, 4, strides=2, padding="same"),
        SMALL,
    ),
    "transposed_valid": (
        lambda: layers.Conv2DTranspose(4, 2, strides=3),
        SMALL,
    ),
    "transposed_output_padding": (
        lambda: layers.Conv2DTranspose(
            4, 3, strides=2, padding="same", output_padding=1
        ),
        SMALL,
    ),
    "transposed_dilated": (
        lambda: layers.Conv2DTranspose(4, 3, dilation_rate=2, padding="same"),
        SMALL,
    ),
    "transposed1d": (
        lambda: layers.Conv1DTranspose(4, 5, strides=3, padding="same"),
        ROW,
    ),
    "transposed3d": (
        lambda: layers.Conv3DTranspose(2, 3, strides=2, padding="same"),
        BLOCK,
    ),
    "depthwise": (
        lambda: layers.DepthwiseConv2D(
            3, depth_multiplier=2, strides=2, padding="same"
        ),
        IMAGE,
    ),
    "depthwise1d": (lambda: layers.DepthwiseConv1D(3), ROW),
    "separable": (
        lambda: layers.SeparableConv2D(
            5, 3, depth_multiplier=2, padding="same"
        ),
        IMAGE,
    ),
    "separable1d": (lambda: layers.SeparableConv1D(5, 3, strides=2), ROW),
    "dense": (lambda: layers.Dense(4), (7,)),
    "dense_on_map": (lambda: layers.Dense(4), (5, 3, 7)),
}


@pytest.mark.parametrize("per_image", [3, 1000])
@pytest.mark.parametrize("name", CASES)
def test_outputs_are_samples_times_kernel(name: str, per_image: int) -> None:
    make, shape = CASES[name]
    layer, generator = make(), np.random.default_rng(0)
    images = generator.normal(size=(3, *shape)).astype("float32")
    layer(images)
    layer.set_weights(
        [generator.normal(size=x.shape) for x in layer.get_weights()]
    )
    outputs = keras.ops.convert_to_numpy(layer(images))
    linear = linear_layer(layer)
    sizes = linear.spatial(outputs.shape)
    places = draw_places(3, sizes, per_image, generator)
    samples = linear.samples(images, places, sizes)
    found = samples @ linear.kernel()
    bias = linear.bias()
    if bias is not None:
        found = found + bias[:, None]
    found = found.swapaxes(0, 1).reshape(*places.shape, -1)
    np.testing.assert_allclose(found, gather(outputs, places), atol=2e-5)


@pytest.mark.parametrize("name", CASES)
def test_kernel_and_arrays_are_each_others_inverse(name: str) -> None:
    make, shape = CASES[name]
    layer, generator = make(), np.random.default_rng(0)
    layer(np.zeros((1, *shape), "float32"))
    before = [generator.normal(size=x.shape) for x in layer.get_weights()]
    layer.set_weights(before)
    before = layer.get_weights()
    linear = linear_layer(layer)
    linear.set_weights(linear.kernel(), linear.bias())
    for old, new in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_subclasses_and_other_layers_are_no_linear_layers() -> None:
    class Odd(layers.Conv2D):
        pass

    assert not is_linear(Odd(3, 3))
    assert not is_linear(layers.BatchNormalization())
    with pytest.raises(TypeError, match="Odd: not linear"):
        linear_layer(Odd(3, 3))


def test_places_are_spread_and_each_is_taken_once() -> None:
    places = draw_places(50, (4, 5), 6, np.random.default_rng(0))
    assert places.shape == (50, 6)
    assert all(len(set(row)) == 6 for row in places.tolist())
    assert set(places.ravel()) == set(range(20))
    assert not np.array_equal(places[0], places[1])
