"""Tests of drnet_tf/scale_folding.py."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from drnet_tf.gates import gate_model, gate_names
from drnet_tf.scale_folding import fold_scales, foldable_sites
from drnet_tf.sites import gate_sites

layers = keras.layers


def _network():
    """All kinds of makers, and a residual sum."""
    keras.utils.set_random_seed(0)
    image = keras.Input((6, 6, 2))
    x = layers.Conv2D(4, 3, padding="same", use_bias=False, name="stem")(image)
    x = layers.BatchNormalization(name="stem_norm")(x)
    x = y = layers.ReLU(name="stem_relu")(x)
    y = layers.Conv2D(6, 1, groups=2, activation="relu", name="grouped")(y)
    y = layers.DepthwiseConv2D(3, depth_multiplier=2, name="deep")(y)
    y = layers.LeakyReLU(name="deep_relu")(y)
    y = layers.SeparableConv2D(5, 1, name="split")(y)
    y = layers.Conv2DTranspose(4, 3, bias_initializer="ones", name="up")(y)
    y = layers.BatchNormalization(center=False, name="up_norm")(y)
    x = layers.ReLU(name="sum_relu")(layers.Add(name="sum")([x, y]))
    x = layers.Conv2D(3, 1, name="last")(x)
    x = layers.ReLU(max_value=6, name="relu6")(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, layers.Dense(2)(x))
    generator = np.random.default_rng(0)
    model.set_weights(
        [0.2 + generator.random(x.shape) for x in model.get_weights()]
    )
    return model


def test_the_sites_with_weights_of_their_own():
    assert foldable_sites(_network()) == (
        "stem_relu", "grouped", "deep_relu", "split", "relu6",
    )  # fmt: skip


def test_folded_factors_are_gates():
    model = _network()
    before = model.get_weights()
    generator = np.random.default_rng(1)
    scales = {
        site.name: generator.random(site.channels)
        for site in gate_sites(model)
        if site.name in foldable_sites(model)
    }
    scales["relu6"] = np.ones(3)
    scales["split"] = -scales["split"]  # no activation: any factor passes
    gated = gate_model(model)
    sites = gate_sites(model)
    for site in sites:
        if site.name in scales:
            gate = gated.get_layer(gate_names(sites)[site.name])
            gate.gates.assign(scales[site.name])
    images = generator.normal(size=(3, 6, 6, 2)).astype("float32")
    found = fold_scales(model, scales)(images)
    np.testing.assert_allclose(found, gated(images), rtol=1e-4)
    assert np.abs(found - model(images)).max() > 1e-2
    for mine, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, old)


def test_a_norm_takes_the_factor_on_gamma_and_beta():
    model = _network()
    scale = np.array([0.5, -2, 0, 1])
    folded = fold_scales(model, {"stem_relu": scale}, strict=False)
    old = model.get_layer("stem_norm").get_weights()
    new = folded.get_layer("stem_norm").get_weights()
    np.testing.assert_allclose(new[0], old[0] * scale, rtol=1e-6)
    np.testing.assert_allclose(new[1], old[1] * scale, rtol=1e-6)
    np.testing.assert_array_equal(new[2:], old[2:])
    np.testing.assert_array_equal(
        folded.get_layer("stem").get_weights()[0],
        model.get_layer("stem").get_weights()[0],
    )


@pytest.mark.parametrize(
    ("site", "scale", "message"),
    [
        ("stem_relu", [1, -1, 1, 1], "factor -1 of channel 1 .* strict=False"),
        ("relu6", [1, 1, 0.5], "factor 0.5 of channel 2"),
        ("sum_relu", [1, 1, 1, 1], "leave the site out"),
        ("stem_relu", [1, 1], r"shape \(2,\)"),
        ("stem_relu", [1, np.inf, 1, 1], "finite"),
        ("other", [1], "site 'other'"),
    ],
)
def test_what_weights_cannot_give_is_refused(site, scale, message):
    with pytest.raises(ValueError, match=message):
        fold_scales(_network(), {site: np.array(scale, float)})
