"""Tests of what alignment padding joins, and of what it refuses."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers, ops

from drnet_tf.assembly import Component, assemble
from drnet_tf.labeled_images import LabeledImages

SIDE = 6
CHANNEL_NUMBERS = np.arange(1.0, 5.0, dtype="float32")


def _network(middle, width, head=None):
    """A convolution, what is asked for, a convolution and the logits.

    Args:
      middle: `(map, width) -> map`.
      width: of the first convolution.
      head: activation of the logits.
    """
    keras.utils.set_random_seed(width)
    image = keras.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(width, 3, padding="same")(image)
    x = layers.Conv2D(width + 1, 1)(middle(x, width))
    x = layers.GlobalMaxPooling2D()(x)
    return keras.Model(image, layers.Dense(2, activation=head)(x))


def _two(middle, widths=(3, 4), **kwargs):
    return [_network(middle, width, **kwargs) for width in widths]


def _joined(models, align=True):
    names = [("cat", "dog"), ("ferry", "raft")]
    return assemble(
        [Component(x, own) for x, own in zip(models, names, strict=True)],
        align=align,
    )


def _check_same_logits(models, align=True):
    images = np.random.default_rng(0).normal(size=(5, SIDE, SIDE, 3))
    images = images.astype("float32")
    outputs = np.asarray(_joined(models, align).model(images))
    expected = np.concatenate([np.asarray(x(images)) for x in models], 1)
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-5)


def _check_refused(models, reason):
    """In one sentence; side by side, they are joined."""
    expected = rf"^assemble: '.*' \(\w+\) cannot be aligned, as {reason}.*;"
    with pytest.raises(ValueError, match=expected) as error:
        _joined(models)
    assert "\n" not in str(error.value)
    _check_same_logits(models, align=False)


@pytest.mark.parametrize(
    "make",
    [
        lambda width, f: layers.Conv2D(width, 3, activation=f),
        lambda width, f: layers.Dense(6, activation=f),
        lambda width, f: layers.DepthwiseConv2D(3, activation=f),
        lambda width, f: layers.Activation(f),
    ],
    ids=["conv", "dense", "depthwise", "activation"],
)
@pytest.mark.parametrize("activation", ["softmax", "sparsemax"])
def test_an_activation_that_reads_all_channels_is_refused(make, activation):
    models = _two(lambda x, width: make(width, activation)(x))
    _check_refused(models, f"its activation '{activation}' may read all")


@pytest.mark.parametrize(
    "activation",
    ["linear", "relu", "gelu", layers.ReLU(1.0, name="up_to_one")],
    ids=str,
)
def test_parts_with_a_pointwise_activation_are_joined(activation):
    def middle(x, width):
        x = layers.Conv2D(width, 3, activation=activation)(x)
        return layers.DepthwiseConv2D(2, activation=activation)(x)

    _check_same_logits(_two(middle))


def test_a_softmax_at_the_end_is_no_reason():
    models = _two(lambda x, width: x, head="softmax")
    linear = _two(lambda x, width: x)
    for own, other in zip(models, linear, strict=True):
        other.set_weights(own.get_weights())
    images = np.ones((2, SIDE, SIDE, 3), "float32")
    np.testing.assert_allclose(
        np.asarray(_joined(models).model(images)),
        np.concatenate([np.asarray(x(images)) for x in linear], 1),
        atol=1e-5,
    )


class _Centred(layers.ReLU):
    """By its name and its base an activation, yet it mixes channels."""

    def call(self, inputs):
        return inputs - ops.mean(inputs, -1, keepdims=True)


@pytest.mark.parametrize(
    ("middle", "kind"),
    [
        (lambda x, width: ops.glu(x), "Glu"),
        (lambda x, width: x * ops.average(x), "Average"),
        (lambda x, width: _Centred()(x), "_Centred"),
    ],
    ids=["glu", "average", "subclass"],
)
def test_operations_that_mix_channels_are_refused(middle, kind):
    models = _two(middle, widths=(4, 6))
    _check_refused(models, f"{kind} is not among what can be aligned")


@pytest.mark.parametrize(
    "middle",
    [
        lambda x, width: x * 2.0 - 1,
        lambda x, width: x * np.arange(36.0).reshape(SIDE, SIDE, 1),
        lambda x, width: x / (1 + ops.abs(x)),
        lambda x, width: layers.Add()([x, layers.Dense(width)(x)]),
    ],
    ids=["numbers", "map", "operators", "layer"],
)
def test_merges_of_parts_are_joined(middle):
    _check_same_logits(_two(middle))


def test_a_number_for_each_channel_is_refused():
    models = _two(lambda x, width: x * CHANNEL_NUMBERS, widths=(4, 4))
    _check_refused(models, "its constant has a number for each channel")


def test_a_number_for_each_channel_of_the_image_is_joined():
    models = []
    for width in (3, 4):
        image = keras.Input((SIDE, SIDE, 3))
        x = (image - np.array([0.1, 0.2, 0.3], "float32")) / 0.5
        x = layers.GlobalMaxPooling2D()(layers.Conv2D(width, 3)(x))
        models.append(keras.Model(image, layers.Dense(2)(x)))
    _check_same_logits(models)


def test_an_image_that_gets_more_channels_is_refused():
    models = []
    for width in (3, 4):
        image = keras.Input((SIDE, SIDE, 1))
        x = layers.Conv2D(width, 3)(image * CHANNEL_NUMBERS)
        x = layers.GlobalMaxPooling2D()(x)
        models.append(keras.Model(image, layers.Dense(2)(x)))
    with pytest.raises(ValueError, match="as it makes more or fewer channels"):
        _joined(models)


def test_a_variable_is_refused():
    twice = keras.Variable(2.0)
    with pytest.raises(ValueError, match="aligned, as it reads a variable"):
        _joined(_two(lambda x, width: x * twice))


@pytest.mark.parametrize("of", [np.asarray, ops.convert_to_tensor])
def test_large_constants_are_compared_by_their_values(of):
    def network(other, width):
        image = keras.Input((40, 40, 3))
        constant = np.ones((40, 40, 1), "float32")  # NumPy prints "..."
        constant[20, 20] = other
        x = layers.Conv2D(width, 3)(image * of(constant))
        x = layers.GlobalMaxPooling2D()(x)
        return keras.Model(image, layers.Dense(2)(x))

    with pytest.raises(ValueError, match="called with other arguments"):
        _joined([network(1.0, 3), network(50.0, 4)])
    models = [network(50.0, 3), network(50.0, 4)]
    images = np.random.default_rng(0).random((2, 40, 40, 3), "float32")
    np.testing.assert_allclose(
        np.asarray(_joined(models).model(images)),
        np.concatenate([np.asarray(x(images)) for x in models], 1),
        rtol=1e-5,
        atol=1e-5,
    )


@pytest.mark.parametrize(
    "scale",
    [
        CHANNEL_NUMBERS,
        CHANNEL_NUMBERS.tolist(),
        np.arange(36.0).reshape(SIDE, SIDE, 1).tolist(),
        np.arange(144.0).reshape(SIDE, SIDE, 4).tolist(),
    ],
    ids=["array", "list", "places", "places and channels"],
)
def test_rescalings_by_arrays_are_joined(scale):
    models = _two(lambda x, width: layers.Rescaling(scale)(x), widths=(4, 4))
    _check_same_logits(models)


def _with_lora(model):
    model.layers[2].enable_lora(1)


def _quantized(model):
    model.layers[-1].quantize("int8")


@pytest.mark.parametrize("change", [_with_lora, _quantized])
def test_weights_that_are_not_plain_are_refused(change):
    models = _two(lambda x, width: x)
    for model in models:
        change(model)
    _check_refused(models, "its weights are quantized")
    with pytest.raises(ValueError, match="cannot be aligned"):
        _joined([_network(lambda x, width: x, 5), models[1]])


def test_a_head_without_plain_weights_cannot_be_scaled():
    models = _two(lambda x, width: x)
    _quantized(models[0])
    images = np.ones((4, SIDE, SIDE, 3), "float32")
    data = LabeledImages(images, [0, 1, 2, 3], ("cat", "dog", "ferry", "raft"))
    parts = [Component(models[0], ("cat", "dog"))]
    parts.append(Component(models[1], ("ferry", "raft")))
    with pytest.raises(ValueError, match="expected plain ones.*scale=None"):
        assemble(parts, align=False, scale=data)


def test_adapted_statistics_are_copied():
    models = []
    for seed in range(2):
        image = keras.Input((SIDE, SIDE, 3))
        norm = layers.Normalization()
        images = np.random.default_rng(seed).random((20, SIDE, SIDE, 3))
        norm.adapt(7 * images)
        x = layers.GlobalMaxPooling2D()(layers.Conv2D(4, 3)(norm(image)))
        models.append(keras.Model(image, layers.Dense(2)(x)))
    _check_same_logits(models, align=False)
