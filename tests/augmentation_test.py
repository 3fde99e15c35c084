"""Tests of drnet_tf/augmentation.py."""

from __future__ import annotations

import numpy as np

from drnet_tf.augmentation import pad_and_crop, shift_and_flip


def test_images_are_shifted_and_mirrored() -> None:
    images = np.arange(2 * 16 * 16, dtype="float32").reshape(2, 16, 16, 1)
    seen = shift_and_flip(
        np.repeat(images, 200, axis=0), np.random.default_rng(0)
    )
    assert seen.shape == (400, 16, 16, 1)
    first = {int(x) for x in seen[:200, 8, 8, 0]}
    rows, columns = {x // 16 for x in first}, {x % 16 for x in first}
    assert rows == {6, 7, 8, 9, 10}
    # Columns 6 to 10, and those of the mirror image, 5 to 9.
    assert columns == {5, 6, 7, 8, 9, 10}
    inside = seen[0, 4:12, 4:12, 0]
    steps = np.unique(np.diff(inside, axis=1))
    assert steps.tolist() in ([1.0], [-1.0])


def test_windows_of_the_image_with_zeros_around_it() -> None:
    image = np.arange(1, 13, dtype="uint8").reshape(1, 4, 3, 1)
    seen = pad_and_crop(np.repeat(image, 500, 0), np.random.default_rng(0), 1)
    assert (seen.shape, seen.dtype) == ((500, 4, 3, 1), np.uint8)
    padded = np.pad(image[0, ..., 0], 1)
    windows = {
        window.tobytes()
        for top in range(3)
        for left in range(3)
        for window in (
            padded[top : top + 4, left : left + 3],
            padded[top : top + 4, left : left + 3][:, ::-1],
        )
    }
    assert {x.tobytes() for x in seen} == windows


def test_without_mirroring_and_without_padding_nothing_changes() -> None:
    images = np.random.default_rng(0).random((9, 4, 4, 2), "float32")
    generator = np.random.default_rng(1)
    same = pad_and_crop(images, generator, 0, flip=False)
    np.testing.assert_array_equal(same, images)
    mirrored = pad_and_crop(images, generator, 0)
    own = [(x == y).all() for x, y in zip(mirrored, images, strict=True)]
    assert 0 < sum(own) < 9
    for x, y, same in zip(mirrored, images, own, strict=True):
        np.testing.assert_array_equal(x, y if same else y[:, ::-1])


def test_channels_may_stand_first() -> None:
    images = np.random.default_rng(0).random((6, 16, 12, 3))
    last = shift_and_flip(images, np.random.default_rng(1))
    turned = np.moveaxis(images, -1, 1)
    first = shift_and_flip(turned, np.random.default_rng(1), axis=1)
    np.testing.assert_array_equal(first, np.moveaxis(last, -1, 1))
