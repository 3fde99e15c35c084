"""Random images and the difference between two sets of outputs."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from drnet_tflite.parity import agreement, greatest_difference, random_images


def model_of(first, **inputs):
    image = keras.Input((4, 4, 3), **inputs)
    return keras.Model(image, keras.layers.Conv2D(2, 3)(first(image)))


@pytest.mark.parametrize(
    "first",
    [
        keras.layers.Rescaling(1 / 255),
        keras.layers.Normalization(mean=1.0, variance=4.0),
        lambda x: (x - 127.0) / 128.0,
    ],
)
def test_pixels_where_the_model_normalises(first):
    images = random_images(model_of(first), 3)
    assert images.shape == (3, 4, 4, 3)
    assert images.dtype == np.float32
    assert 0.0 <= images.min() < 30.0 < 225.0 < images.max() <= 255.0


def test_normalised_images_otherwise():
    images = random_images(model_of(keras.layers.ZeroPadding2D()), 3)
    assert -2.0 <= images.min() < -1.5 < 1.5 < images.max() <= 2.0


def test_whole_numbers_where_the_model_reads_them():
    model = model_of(keras.layers.Rescaling(1.0), dtype="uint8")
    images = random_images(model, 3)
    assert images.dtype == np.uint8
    assert images.max() > 200


def test_the_seed_decides():
    model = model_of(keras.layers.ZeroPadding2D())
    first, again, other = (random_images(model, 2, seed=s) for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


def test_difference_is_relative_to_the_scale_of_all_outputs():
    reference = np.array([[1.0, -8.0], [2.0, 0.5]], "float32")
    other = reference + np.array([[0.0, 0.25], [-0.5, 0.0]], "float32")
    found = greatest_difference(reference, other)
    assert found.relative == 0.5 / 8.0
    assert (found.image, found.output) == (1, (0,))
    assert (found.reference, found.other) == (2.0, 1.5)


def test_equal_outputs_of_zero():
    zeros = np.zeros((2, 3), "float32")
    assert greatest_difference(zeros, zeros).relative == 0.0


def test_anything_is_far_from_zero_throughout():
    zeros = np.zeros((2, 3), "float32")
    assert greatest_difference(zeros, zeros + 1e-9).relative == np.inf


def test_nan_is_never_a_small_difference():
    other = np.array([[9.0, np.nan]])
    found = greatest_difference(np.ones((1, 2)), other)
    assert not found.relative <= 1e9
    assert found.output == (1,)


def test_agreement_is_the_share_of_first_classes():
    reference = np.array([[9.0, 1.0, 0.0], [0.0, 5.0, 4.7], [1.0, 2.0, 10.0]])
    other = np.array([[3.0, 1.0, 0.0], [0.0, 4.8, 4.9], [5.0, 2.0, 1.0]])
    assert agreement(reference, reference) == 1.0
    assert agreement(reference, other) == 1 / 3
    # The second image is nearly a tie: 0.3 of a scale of 10. The third is not.
    assert agreement(reference, other, slack=0.03) == 2 / 3
    assert agreement(reference, other, slack=0.02) == 1 / 3
    assert agreement(reference, other, slack=0.9) == 1.0


def test_a_tie_of_the_reference_is_no_disagreement():
    assert agreement(np.ones((1, 2)), np.array([[0.0, 1.0]])) == 1.0
