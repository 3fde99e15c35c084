"""Tests of drnet_tf/split_images.py."""

from __future__ import annotations

import pickle

import numpy as np

from drnet_tf.preprocessing import Preprocessing
from drnet_tf.split_images import SplitImages
from tests.recipes.in_process import save_images


def test_images_by_position_are_those_of_the_pass(tmp_path):
    split = SplitImages(
        str(save_images(tmp_path)),
        "train",
        (8, 8, 3),
        preprocessing=Preprocessing((3, 4, 5), 7),
    )
    split = pickle.loads(pickle.dumps(split))
    stream = split.open()
    everything = np.concatenate([x for x, _ in split.dataset(stream)])
    positions = np.array([0, 9, 23])
    found = split.at(stream, positions)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, everything[positions])
