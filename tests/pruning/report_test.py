"""The report as text and as data."""

from __future__ import annotations

import json

import keras
import numpy as np
from keras import layers

from drnet_tf.masks import ChannelMask
from drnet_tf.pruning import prune

_TEXT = """\
Pruned 'tiny': 1 of 1 masked channels removed
parameters: 26 -> 14 (53.8 %)
MACs: 652 -> 326 (50.0 %)

layer          channels in  channels out  parameters        MACs
conv (Conv2D)       1 -> 1        2 -> 1    20 -> 10  648 -> 324
head (Dense)        2 -> 1        2 -> 2      6 -> 4      4 -> 2\
"""


def _tiny(size: int | None) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((size, size, 1)),
            layers.Conv2D(2, 3, padding="same", activation="relu", name="conv"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, name="head"),
        ],
        name="tiny",
    )


_MASK = ChannelMask({"conv": np.array([False, True])})


def test_text_of_a_tiny_network() -> None:
    report = prune(_tiny(6), _MASK).report
    # conv: 9 x 1 x 2 weights + 2 biases, 36 places; head: 2 x 2 + 2.
    assert str(report) == _TEXT


def test_data_survives_json() -> None:
    data = prune(_tiny(6), _MASK).report.as_dict()
    assert json.loads(json.dumps(data)) == data
    assert data["layers"][0]["outputs_after"] == 1
    assert data["masked_removed"] == 1


def test_macs_are_open_where_the_image_size_is() -> None:
    report = prune(_tiny(None), _MASK, verify=True).report
    assert report.macs_before is None and report.macs_after is None
    assert report.parameters_after == 14
    assert "MACs: open, as the image size is" in str(report)
