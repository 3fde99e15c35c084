"""Tests of drnet_tflite/subtask_runtime.py."""

from __future__ import annotations

import drnet_tflite
import keras
import numpy as np
import pytest
from drnet_tflite.bundles.errors import BundleError
from drnet_tflite.parity import random_images
from keras import layers

from drnet_tf.importance import ChannelImportance


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(24, 3, activation="relu", name="first"),
            layers.Conv2D(16, 3, activation="relu", name="second"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3),
        ]
    )


@pytest.fixture(scope="module")
def path(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("bundle") / "pets.tflite"
    random = np.random.default_rng(0)
    scores = {"first": random.random((3, 24)), "second": random.random((3, 16))}
    importance = ChannelImportance(scores, ("cat", "dog", "eel"), "random")
    drnet_tflite.write_bundle(model, importance, path)
    return path


def test_sub_tasks_run_and_are_kept(model, path, tmp_path):
    images = random_images(model, 3)
    expected = None
    for _ in range(2):  # the second time from the cache
        runtime = drnet_tflite.SubTaskRuntime(path, tmp_path)
        network = runtime.open(["eel", "cat"], kept_fraction=0.6)
        assert network.labels == ("eel", "cat")
        scores = network.run(images)
        assert scores.shape == (3, 2)
        expected = scores if expected is None else expected
        np.testing.assert_array_equal(scores, expected)
    np.testing.assert_allclose(
        drnet_tflite.run(network.path, images), expected, atol=1e-6
    )
    suffixes = sorted(x.suffix for x in tmp_path.iterdir())
    assert suffixes == [".tflite", ".xnnpack_cache"]


def test_sub_tasks_of_one_size_do_not_share_packed_weights(
    model, path, tmp_path
):
    images = random_images(model, 3)
    runtime = drnet_tflite.SubTaskRuntime(path, tmp_path)
    first = runtime.open(["cat", "dog"], kept_fraction=0.6)
    second = runtime.open(["dog", "cat"], kept_fraction=0.6)
    np.testing.assert_allclose(
        first.run(images), second.run(images)[:, ::-1], atol=1e-6
    )
    assert first.path.stat().st_size == second.path.stat().st_size
    assert (first.run(images) != second.run(images)).any()


def test_images_that_do_not_fit_are_refused(path, tmp_path):
    runtime = drnet_tflite.SubTaskRuntime(path, tmp_path)
    network = runtime.open(["cat"], kept_fraction=0.6)
    with pytest.raises(ValueError, match="got the shape"):
        network.run(np.zeros((1, 9, 8, 3), "float32"))
    with pytest.raises(BundleError, match="unknown class 'cow'"):
        runtime.open(["cow"], kept_fraction=0.6)


def test_damaged_weights_are_refused(path, tmp_path):
    damaged = tmp_path / "pets.tflite"
    content = bytearray(path.read_bytes())
    plan = drnet_tflite.Bundle(path).plan
    content[plan.vectors_end - 1] ^= 1
    damaged.write_bytes(content)
    with pytest.raises(BundleError, match="weights are damaged"):
        drnet_tflite.SubTaskRuntime(damaged, tmp_path / "cache")
