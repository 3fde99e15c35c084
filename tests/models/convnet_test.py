"""Tests of drnet_tf/models/convnet.py."""

from __future__ import annotations

import keras
import numpy as np

from drnet_tf.costs import count_costs
from drnet_tf.models.convnet import convnet
from drnet_tf.sites import gate_sites


def bars(count, seed):
    """Images of a bright bar: horizontal (class 0), vertical (1), none (2)."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 60, (count, 28, 28, 1)).astype(np.uint8)
    labels = np.arange(count) % 3
    for image, label, place in zip(
        images, labels, rng.integers(4, 20, count), strict=True
    ):
        if label == 0:
            image[place : place + 3] = 255
        if label == 1:
            image[:, place : place + 3] = 255
    return images, labels


def test_counts_by_hand():
    costs = count_costs(convnet())
    kernels = 9 * (1 * 32 + 32 * 32 + 32 * 64 + 64 * 64)
    assert costs.learnable_parameters == kernels + 2 * 192 + 650 == 65_834
    assert costs.parameters == 66_218
    assert costs.macs == 640 + 9 * (
        32 * 784 + 32 * 32 * 196 + 32 * 64 * 196 + 64 * 64 * 49
    )


def test_five_layers_have_weights_of_their_own():
    names = [
        layer.name
        for layer in convnet().layers
        if layer.weights and not layer.name.startswith("bn")
    ]
    assert names == ["conv1", "conv2", "conv3", "conv4", "logits"]


def test_sites():
    assert [(x.name, x.channels) for x in gate_sites(convnet())] == [
        ("relu1", 32),
        ("relu2", 32),
        ("relu3", 64),
        ("relu4", 64),
    ]


def test_saved_it_is_small(tmp_path):
    model = convnet()
    model.save(tmp_path / "model.keras")
    assert (tmp_path / "model.keras").stat().st_size < 400_000
    loaded = keras.models.load_model(tmp_path / "model.keras")
    images, _ = bars(4, seed=0)
    np.testing.assert_array_equal(loaded(images), model(images))


def test_learns_from_raw_pixels():
    keras.utils.set_random_seed(0)
    model = convnet(num_classes=3)
    model.compile(
        keras.optimizers.Adam(3e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    images, labels = bars(96, seed=0)
    model.fit(images, labels, batch_size=16, epochs=6, verbose=0)
    images, labels = bars(60, seed=1)
    found = np.argmax(model(images), axis=-1)
    assert np.mean(found == labels) > 0.9
