from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from drnet_tf.dissection.precision import copied_network
from drnet_tf.graph_building import copied


@pytest.mark.parametrize("copy", [copied, lambda x: copied_network(x, None)])
def test_copies_use_adapted_statistics(copy):
    generator = np.random.default_rng(0)
    images = generator.normal(5, 3, size=(20, 6, 6, 3)).astype("float32")
    adapted = layers.Normalization()
    adapted.adapt(images)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            adapted,
            layers.Conv2D(4, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2),
        ]
    )
    expected = keras.ops.convert_to_numpy(model(images))
    found = keras.ops.convert_to_numpy(copy(model)(images))
    np.testing.assert_allclose(found, expected, atol=1e-6)
