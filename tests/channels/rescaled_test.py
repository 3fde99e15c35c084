"""Factors of channels do not depend on Keras' `image_data_format`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from drnet_tf.channels.rules.merging import rescaled
from drnet_tf.gates import apply_mask
from drnet_tf.masks import ChannelMask
from drnet_tf.pruning import prune
from drnet_tf.sites import gate_sites

_LAST = {"data_format": "channels_last"}


@pytest.fixture(params=("channels_last", "channels_first"))
def data_format(request: pytest.FixtureRequest) -> Iterator[str]:
    before = keras.config.image_data_format()
    keras.config.set_image_data_format(request.param)
    yield request.param
    keras.config.set_image_data_format(before)


@pytest.mark.usefixtures("data_format")
@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((2, 3), -1),
        ((2, 3, 3), -1),
        ((2, 3, 3), -2),
        ((2, 3, 3, 3), -1),
        ((2, 3, 3, 3), -3),
        ((2, 3, 3, 3, 3), -1),
        ((2, 3, 3, 3, 3), -4),
    ],
)
def test_factors_lie_on_their_axis(shape: tuple[int, ...], axis: int) -> None:
    scale, offset = np.array([0.0, 1.0, -2.0]), np.array([0.5, 0.0, 1.0])
    inputs = keras.Input(shape[1:])
    outputs = rescaled(inputs, scale, offset, axis, "factors")
    assert outputs.shape == inputs.shape
    values = np.random.default_rng(0).normal(size=shape).astype("float32")
    found = keras.Model(inputs, outputs)(values)
    channels = np.moveaxis(values, axis, -1)
    expected = np.moveaxis(channels * scale + offset, -1, axis)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def _network(pooled: bool) -> keras.Model:
    """Two sites: a sum of their maps, or a product of their maps' means."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    settings = {"padding": "same", "activation": "sigmoid", **_LAST}
    x = layers.Conv2D(8, 3, name="c1", **settings)(inputs)
    y = layers.Conv2D(8, 3, name="c2", **settings)(x)
    if pooled:
        y = layers.BatchNormalization(beta_initializer="random_normal")(y)
        means = [layers.GlobalAveragePooling2D(**_LAST)(v) for v in (x, y)]
        x = layers.Multiply()(means)
    else:
        x = layers.Conv2D(4, 1, name="c3", **_LAST)(layers.Add()([x, y]))
        x = layers.GlobalAveragePooling2D(**_LAST)(x)
    return keras.Model(inputs, layers.Dense(3)(x))


@pytest.mark.parametrize(("pooled", "silent"), [(False, [2]), (True, range(8))])
def test_a_network_of_another_data_format(
    pooled: bool, silent: Sequence[int], data_format: str, tmp_path: Path
) -> None:
    """One site stays for the other's sake, and is silenced; or it is dropped,
    and its constants are factors."""
    model = _network(pooled)
    keep = {x.name: np.ones(x.channels, bool) for x in gate_sites(model)}
    keep["c2"][list(silent)] = False
    mask = ChannelMask(keep)
    small = prune(model, mask, verify=True).model
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3))
    expected = apply_mask(model, mask)(images)
    np.testing.assert_allclose(small(images), expected, atol=1e-5)
    small.save(tmp_path / "small.keras")
    other = {"channels_last", "channels_first"} - {data_format}
    keras.config.set_image_data_format(other.pop())
    loaded = keras.saving.load_model(tmp_path / "small.keras")
    np.testing.assert_allclose(loaded(images), expected, atol=1e-5)
    # What was cut once is cut again.
    keep = {x.name: np.ones(x.channels, bool) for x in gate_sites(loaded)}
    for kept in keep.values():
        kept[:2] = False
    again = prune(loaded, ChannelMask(keep), verify=True)
    assert again.model.get_layer("c1").get_weights()[0].shape[-1] == 6
