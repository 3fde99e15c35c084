"""Images drawn from a stream."""

from __future__ import annotations

import numpy as np
import pytest

from drnet_tf.reporting.samples import sample

NAMES = ("cat", "cow", "dog")


def stream(count=600):
    """Batches whose pixels are the image's position."""
    labels = np.arange(count) % 3
    images = np.arange(count, dtype=np.float32)[:, None, None, None]
    return [
        (images[i : i + 50], labels[i : i + 50]) for i in range(0, count, 50)
    ]


def test_images_are_drawn_by_seed_in_the_order_of_the_data():
    drawn = sample(stream(), ("dog", "cat"), NAMES, 20, seed=1)
    assert drawn.counts() == {"cat": 20, "cow": 0, "dog": 20}
    positions = drawn.images[:, 0, 0, 0].astype(int)
    assert (np.diff(positions) > 0).all()
    assert (positions % 3 == drawn.labels).all()
    again = sample(stream(), ("dog", "cat"), NAMES, 20, seed=1)
    np.testing.assert_array_equal(again.images, drawn.images)
    other = sample(stream(), ("dog", "cat"), NAMES, 20, seed=2)
    assert (other.images != drawn.images).any()


def test_every_image_is_as_likely():
    mean = np.mean(
        [
            sample(stream(), ("cow",), NAMES, 20, seed=seed).images.mean()
            for seed in range(40)
        ]
    )
    # 800 draws around 299.5 with a deviation of 173: 6 of the mean.
    assert abs(mean - 299.5) < 25


def test_a_class_with_fewer_images_gives_all():
    drawn = sample(stream(9), ("cow",), NAMES, 20)
    assert drawn.images[:, 0, 0, 0].tolist() == [1, 4, 7]


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="'dog' has no images in this split"):
        sample(stream(2), NAMES, NAMES, 1)
    with pytest.raises(ValueError, match="unknown class 'fox'"):
        sample(stream(3), ("fox",), NAMES, 1)
    with pytest.raises(ValueError, match="images_per_class: got 0"):
        sample(stream(3), ("cow",), NAMES, 0)
    images = np.full((3, 2, 2, 1), np.nan, np.float32)
    with pytest.raises(ValueError, match="image 0 holds NaN"):
        sample((images, np.arange(3)), NAMES, NAMES, 1)
    images = np.zeros((2, 2, 2, 1), np.float32)
    with pytest.raises(ValueError, match="label 3 of image 1 is out of range"):
        sample((images, np.array([0, 3])), NAMES, NAMES, 1)
