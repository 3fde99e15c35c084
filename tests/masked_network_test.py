import keras
import numpy as np
import pytest

from drnet_tf.gates import apply_mask
from drnet_tf.masked_network import MaskedNetwork
from drnet_tf.masks import ChannelMask


def small_net():
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            keras.layers.Conv2D(5, 3, activation="relu", name="conv1"),
            keras.layers.Conv2D(4, 3, activation="relu", name="conv2"),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )


def test_masks_one_after_another_give_what_apply_mask_gives():
    model = small_net()
    random = np.random.default_rng(0)
    images = random.normal(size=(7, 6, 6, 2)).astype("float32")
    network = MaskedNetwork(model, batch_size=3)
    for _ in range(3):
        mask = ChannelMask(
            {"conv1": random.random(5) < 0.5, "conv2": random.random(4) < 0.5}
        )
        expected = apply_mask(model, mask).predict(images, verbose=0)
        np.testing.assert_allclose(
            network(images, mask), expected, rtol=1e-5, atol=1e-6
        )
    np.testing.assert_allclose(
        network(images), model.predict(images, verbose=0), rtol=1e-5, atol=1e-6
    )


def test_mask_of_another_model_is_refused():
    with pytest.raises(ValueError, match="other"):
        MaskedNetwork(small_net())(
            np.zeros((1, 6, 6, 2), "float32"),
            ChannelMask({"other": np.ones(5, bool)}),
        )
