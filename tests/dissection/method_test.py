"""Tests of drnet_tf/dissection/method.py."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import keras
import numpy as np

from drnet_tf.dissection.dissect import dissect


@dataclasses.dataclass(frozen=True)
class MeanPixel:
    """Every channel scores what the images of a class have on average."""

    name: ClassVar[str] = "mean_pixel"
    factor: float = 2.0

    def scores(self, problem):
        sums, count = np.zeros(2), np.zeros(2)
        for images, classes in problem.images:
            np.add.at(sums, classes, images.mean((1, 2, 3)))
            np.add.at(count, classes, 1)
        rows = self.factor * sums / count
        found = {
            site.name: np.tile(rows[:, None], (1, site.channels))
            for site in problem.sites
        }
        return found, {"images": len(problem.images)}


def test_a_method_of_ones_own_dissects():
    image = keras.Input((4, 4, 2))
    x = keras.layers.Conv2D(2, 1, activation="relu", name="conv")(image)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, keras.layers.Dense(2)(x))
    one, none = np.eye(2), np.zeros(2)
    model.set_weights([one.reshape(1, 1, 2, 2), none, 4 * one, none])
    images = np.ones((6, 4, 4, 1)) * one[[0, 1] * 3, None, None]
    images[1::2] *= 3
    importance = dissect(
        model,
        (images, np.array([0, 1] * 3)),
        MeanPixel(),
        class_names=("red", "green"),
        images_per_class=2,
        keep_images=1,
        progress=False,
    )
    np.testing.assert_allclose(importance.scores["conv"], [[1, 1], [3, 3]])
    assert importance.method == "mean_pixel"
    assert importance.config["factor"] == 2
    assert importance.diagnostics["images"] == 4
    assert importance.diagnostics["pixels"]["mean"] == 1
    assert importance.images.shape == (2, 1, 4, 4, 2)
