"""Constants that a mask makes, folded onward; figures by hand."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers, ops

from drnet_tf.gates import apply_mask
from drnet_tf.masks import ChannelMask
from drnet_tf.pruning import PrunedModel, prune
from drnet_tf.sites import gate_sites


def _pruned(*after: layers.Layer, **settings: object) -> PrunedModel:
    """conv (2 channels) and `after`, channel 1 silenced, settings assigned."""
    model = keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            layers.Conv2D(2, 1, activation="relu", name="conv"),
            *after,
            layers.Flatten(),
            layers.Dense(2, name="head"),
        ]
    )
    for path, value in settings.items():
        layer, weight = path.split("__")
        variable = getattr(model.get_layer(layer), weight)
        variable.assign(np.broadcast_to(value, variable.shape))
    keep = {"conv": np.array([True, False])}
    if any(isinstance(layer, layers.Conv2D) for layer in after):
        keep["next"] = np.array([True])
    return prune(model, ChannelMask(keep), verify=True)


def test_a_norm_turns_the_zero_into_a_bias_of_the_next_convolution() -> None:
    # Channel 1 becomes beta - gamma mean / sqrt(variance + epsilon)
    # = 5 - 3 * 4 / 2 = -1; the kernel's 2 x 2 places times 0.5 add -2.
    pruned = _pruned(
        layers.BatchNormalization(epsilon=0.0, name="norm"),
        layers.Conv2D(1, 2, use_bias=False, name="next"),
        norm__gamma=[1, 3],
        norm__beta=[0, 5],
        norm__moving_mean=[0, 4],
        norm__moving_variance=[1, 4],
        next__kernel=0.5,
    )
    layer = pruned.model.get_layer("next")
    assert layer.kernel.shape == (2, 2, 1, 1)
    np.testing.assert_allclose(layer.bias.numpy(), [-2], rtol=1e-6)
    assert pruned.report.masked_removed == 1


def test_zero_padding_keeps_the_channel_and_the_norm_makes_its_constant() -> (
    None
):
    pruned = _pruned(
        layers.BatchNormalization(epsilon=0.0, name="norm"),
        layers.Conv2D(1, 3, padding="same", name="next"),
        norm__gamma=[1, 3],
        norm__beta=[0, 5],
        norm__moving_mean=[0, 4],
        norm__moving_variance=[1, 4],
    )
    norm = pruned.model.get_layer("norm")
    assert norm.gamma.numpy().tolist() == [1, 0]
    assert norm.beta.numpy().tolist() == [0, -1]
    (entry,) = pruned.report.kept_against_mask
    assert entry.reason == "what 'norm' makes of them is needed"


def test_padding_that_pads_nothing_lets_the_constant_go() -> None:
    # 4 places, stride 2, kernel 2: "same" needs no zeros.
    pruned = _pruned(
        layers.BatchNormalization(name="norm"),
        layers.Conv2D(1, 2, 2, padding="same", name="next"),
        norm__beta=[0, 5],
    )
    assert pruned.report.masked_removed == 1


@pytest.mark.parametrize(
    ("activation", "constant"), [("sigmoid", 0.5), ("relu", 0.0)]
)
def test_an_activation_maps_the_constant(
    activation: str, constant: float
) -> None:
    pruned = _pruned(
        layers.Activation(activation),
        layers.Dense(1, name="next"),
        next__kernel=[[1], [3]],
        next__bias=0.25,
    )
    layer = pruned.model.get_layer("next")
    assert layer.kernel.numpy().tolist() == [[1]]
    assert layer.bias.numpy().tolist() == [0.25 + 3 * constant]


def test_a_network_that_is_all_constant_keeps_a_channel_a_layer() -> None:
    model = keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            layers.Conv2D(5, 3, activation="relu", name="conv"),
            layers.Flatten(),
            layers.Dense(2, name="head"),
        ]
    )
    model.get_layer("head").bias.assign([1.0, 2.0])
    pruned = prune(model, ChannelMask({"conv": np.zeros(5, bool)}))
    assert pruned.model.get_layer("conv").filters == 1
    images = np.full((1, 4, 4, 1), 7.0, "float32")
    assert pruned.model(images).numpy().tolist() == [[1.0, 2.0]]
    (entry,) = pruned.report.kept_against_mask
    assert (entry.channels, entry.reason) == (1, "a layer cannot do with fewer")


def test_a_concatenation_that_loses_its_parts_gives_way_to_the_input() -> None:
    inputs = keras.Input((4, 4, 2))
    x = layers.Conv2D(3, 1, activation="relu", name="conv")(inputs)
    x = layers.Concatenate(name="concat")([inputs, x])
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    model = keras.Model(inputs, layers.Dense(2, name="head")(x))
    mask = ChannelMask({"conv": np.zeros(3, bool)})
    pruned = prune(model, mask, verify=True)
    assert [x.name for x in pruned.model.layers[1:]] == ["gap", "head"]


@pytest.mark.parametrize(
    ("shape", "axis"), [((2, 1, 8, 6), 1), ((2, 8, 8, 2), -1)]
)
def test_a_concatenation_with_a_constant_keeps_all_channels(
    shape: tuple[int, ...], axis: int
) -> None:
    inputs = keras.Input(batch_shape=(2, 8, 8, 3))
    x = layers.Conv2D(6, 3, padding="same", activation="relu", name="conv")(
        inputs
    )
    y = ops.concatenate([x, ops.ones(shape)], axis=axis)
    y = layers.GlobalMaxPooling2D()(layers.Conv2D(4, 3, name="next")(y))
    z = layers.GlobalMaxPooling2D()(layers.LayerNormalization()(x))
    model = keras.Model(inputs, layers.Concatenate()([y, z]))
    keep = {x.name: np.ones(x.channels, bool) for x in gate_sites(model)}
    keep["conv"][0] = False
    pruned = prune(model, ChannelMask(keep), verify=True)
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3))
    np.testing.assert_allclose(
        pruned.model(images),
        apply_mask(model, ChannelMask(keep))(images),
        atol=1e-5,
    )
