from __future__ import annotations

import numpy as np

from drnet_tf.dissection.class_mask_epochs import run_epochs


class _Network:
    """Its loss is the mean of what it is shown."""

    def draw(self, labels, generator):
        return np.zeros((len(labels), 1, 2), "float32")

    def step(self, images, labels, draws):
        return float(images.mean())

    def masks(self):
        return {"relu": np.ones((2, 3), "float32")}


def test_an_epochs_loss_is_the_mean_over_its_images():
    images = np.arange(5.0).reshape(5, 1)  # batches of 2, 2 and 1
    losses = run_epochs(
        _Network(),
        images,
        np.zeros(5, int),
        epochs=3,
        batch_size=2,
        seed=0,
        progress=False,
    )
    np.testing.assert_allclose(losses, [2.0, 2.0, 2.0])
