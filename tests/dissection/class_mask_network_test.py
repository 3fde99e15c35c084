"""Tests of drnet_tf/dissection/class_mask_network.py, against NumPy."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from drnet_tf.dissection.class_mask_network import ClassMaskNetwork

LABELS = np.array([0, 1, 2, 1])
SETTINGS = {
    "learning_rate": 0.5,
    "momentum": 0.9,
    "sparsity": 0.02,
    "weight_decay": 0.03,
}


def _model(softmax=False, dropout=0.0):
    """Positive weights on positive images: the ReLU changes nothing."""
    generator = np.random.default_rng(0)
    image = keras.Input((1, 1, 2))
    x = keras.layers.Conv2D(4, 1, activation="relu", name="conv")(image)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(dropout)(x)
    scores = keras.layers.Dense(
        3, activation="softmax" if softmax else None, name="scores"
    )
    model = keras.Model(image, scores(x))
    model.set_weights(
        [
            generator.random((1, 1, 2, 4)),
            generator.random(4),
            generator.normal(size=(4, 3)),
            generator.normal(size=3),
        ]
    )
    return model


def _network(model, train_weights=False, **settings):
    return ClassMaskNetwork(
        model,
        masked=["conv"],
        coupling="free",
        train_weights=train_weights,
        seed=0,
        **(SETTINGS | settings),
    )


def _images():
    return np.random.default_rng(1).random((4, 1, 1, 2)).astype("float32")


class _ByHand:
    """The network, its loss and SGD with momentum, in NumPy, float64."""

    def __init__(self, model, scale, trained):
        kernel, *others = [x.astype(float) for x in model.get_weights()]
        names = ("kernel", "bias", "weights", "offset")
        values = (kernel[0, 0], *others)
        self.values = dict(zip(names, values, strict=True))
        self.values["masks"] = np.ones((3, 4))
        self.scale, self.trained = scale, trained
        self.speed = {name: 0 for name in self.values}

    def step(self, images, labels, draws):
        v, d = self.values, self.scale * draws[:, 0].astype(float)
        pixels = images.reshape(4, 2)
        maps = pixels @ v["kernel"] + v["bias"]
        gates = d @ v["masks"]
        logits = (gates * maps) @ v["weights"] + v["offset"]
        p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        cross_entropy = -np.log(p[np.arange(4), labels]).mean()
        slope = (p - np.eye(3)[labels]) / 4
        back = slope @ v["weights"].T
        sums = v["masks"].sum(0)
        gradients = {
            "masks": d.T @ (back * maps)
            + SETTINGS["sparsity"] * sums / np.linalg.norm(sums),
            "weights": (gates * maps).T @ slope,
            "offset": slope.sum(0),
            "kernel": pixels.T @ (back * gates),
            "bias": (back * gates).sum(0),
        }
        decay = SETTINGS["weight_decay"]
        loss = cross_entropy + SETTINGS["sparsity"] * np.linalg.norm(sums)
        loss += decay / 2 * sum((v[x] ** 2).sum() for x in self.trained)
        for name in self.trained:
            slope = gradients[name] + decay * v[name]
            self.speed[name] = 0.9 * self.speed[name] - 0.5 * slope
            v[name] = v[name] + self.speed[name]
        return loss


@pytest.mark.parametrize("softmax", [False, True])
def test_two_updates_of_the_masks_alone(softmax):
    model = _model(softmax, dropout=0.5)  # of which nothing must be felt
    network, hand = _network(model), _ByHand(model, 2 / (1 + 3), ["masks"])
    generator = np.random.default_rng(2)
    for _ in range(2):
        draws = network.draw(LABELS, generator)
        loss = network.step(_images(), LABELS, draws)
        assert loss == pytest.approx(hand.step(_images(), LABELS, draws))
    np.testing.assert_allclose(
        network.masks()["conv"], hand.values["masks"], rtol=1e-5
    )
    for mine, own in zip(
        network.model.get_weights(), model.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(mine, own)


def test_two_updates_of_masks_and_weights():
    model = _model()
    before = model.get_weights()
    network = _network(model, train_weights=True)
    hand = _ByHand(model, 1, ["masks", "kernel", "bias", "weights", "offset"])
    generator = np.random.default_rng(2)
    for _ in range(2):
        draws = network.draw(LABELS, generator)
        network.step(_images(), LABELS, draws)
        hand.step(_images(), LABELS, draws)
    v = hand.values
    np.testing.assert_allclose(network.masks()["conv"], v["masks"], rtol=1e-4)
    kernel, bias, weights, offset = network.model.get_weights()
    for found, expected in (
        (kernel[0, 0], v["kernel"]),
        (bias, v["bias"]),
        (weights, v["weights"]),
        (offset, v["offset"]),
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
    for own, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(own, old)


def test_draws_are_one_for_the_label_and_uniform_else():
    draws = _network(_model()).draw(
        np.repeat(LABELS, 500), np.random.default_rng(0)
    )
    assert draws.shape == (2000, 1, 3) and draws.dtype == np.float32
    own = np.eye(3, dtype=bool)[np.repeat(LABELS, 500)]
    assert (draws[:, 0][own] == 1).all()
    others = draws[:, 0][~own]
    assert others.min() >= 0 and others.max() < 1
    assert others.mean() == pytest.approx(1 / 2, abs=0.02)
    assert others.var() == pytest.approx(1 / 12, abs=0.01)


def test_flags_of_the_callers_layers_stay():
    model = _model()
    _network(model)
    assert all(layer.trainable for layer in model.layers)


@pytest.mark.parametrize("masked", [[], ["conv", "other"]])
def test_unknown_sites_are_refused(masked):
    with pytest.raises(ValueError, match=r"expected some of \['conv'\]"):
        ClassMaskNetwork(
            _model(),
            masked=masked,
            coupling="free",
            train_weights=False,
            seed=0,
            **SETTINGS,
        )
