"""Tests of drnet_tf/dissection/sampling.py."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import tensorflow as tf

from drnet_tf.datasets import LabeledImages
from drnet_tf.dissection.sampling import draw_images, stream

NAMES = ("cat", "cow", "dog")
COUNT = 600


def data(count=COUNT):
    """Images that hold their own position; labels 0, 1, 2, 0, ..."""
    images = np.zeros((count, 2, 2, 1), "float32")
    images[:, 0, 0, 0] = np.arange(count)
    return images, np.arange(count) % 3


def positions_of(images):
    return images[:, 0, 0, 0].astype(int)


def always_right(images):
    return positions_of(images) % 3


def right_on_multiples_of_4(images):
    found = positions_of(images)
    return np.where(found % 4 == 0, found % 3, (found + 1) % 3)


def test_every_class_gets_its_number_of_its_own_correct_images():
    drawn = draw_images(right_on_multiples_of_4, data(), NAMES, 20, seed=0)
    assert [len(x) for x in drawn] == [20, 20, 20]
    for number, positions in enumerate(drawn):
        assert len(set(positions.tolist())) == 20
        assert (positions % 3 == number).all()
        assert (positions % 4 == 0).all()


def test_the_seed_decides_and_nothing_else():
    first, again, other = (
        draw_images(always_right, data(), NAMES, 10, seed) for seed in (5, 5, 6)
    )
    for one, two, three in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(one, two)
        assert set(one.tolist()) != set(three.tolist())


def test_fewer_images_are_the_first_of_more():
    few, many = (
        draw_images(right_on_multiples_of_4, data(), NAMES, n, seed=0)
        for n in (5, 30)
    )
    for one, other in zip(few, many, strict=True):
        np.testing.assert_array_equal(one, other[:5])


def test_images_are_drawn_from_all_over_the_dataset():
    drawn = draw_images(always_right, data(), NAMES, 20, seed=0)
    for positions in drawn:
        assert positions.min() < COUNT / 4 and positions.max() > COUNT * 3 / 4
        assert not (np.diff(positions) > 0).all()


class Reiterable:
    """Single images made as they are read."""

    def __init__(self, count):
        self.count = count
        self.passes = 0

    def __iter__(self):
        self.passes += 1
        for number in range(self.count):
            image = np.zeros((2, 2, 1), "float32")
            image[0, 0, 0] = number
            yield image, number % 3


@pytest.mark.parametrize(
    "dataset",
    [
        tf.data.Dataset.from_tensor_slices(data()),
        tf.data.Dataset.from_tensor_slices(data()).batch(7),
        LabeledImages(*data(), NAMES),
        Reiterable(COUNT),
    ],
    ids=["tf.data", "tf.data in batches", "LabeledImages", "re-iterable"],
)
def test_every_kind_of_dataset_gives_the_same_draw(dataset):
    expected = draw_images(right_on_multiples_of_4, data(), NAMES, 12, seed=1)
    drawn = draw_images(right_on_multiples_of_4, dataset, NAMES, 12, seed=1)
    for one, other in zip(expected, drawn, strict=True):
        np.testing.assert_array_equal(one, other)


def test_no_image_is_classified_twice_and_most_are_not_at_all():
    seen = []

    def predict(images):
        seen.extend(positions_of(images).tolist())
        return always_right(images)

    draw_images(predict, data(6000), NAMES, 20, seed=0)
    # 20 of each class, 25 % and 8 to spare, and no second round.
    assert len(seen) == len(set(seen)) == 3 * (25 + 8)


def test_classes_that_are_rarely_right_are_searched_to_their_end():
    def predict(images):
        found = positions_of(images)
        return np.where((found % 3 != 1) | (found >= COUNT - 9), found % 3, 0)

    drawn = draw_images(predict, data(), NAMES, 3, seed=0)
    assert sorted(drawn[1].tolist()) == [COUNT - 8, COUNT - 5, COUNT - 2]


def test_too_few_images_are_refused_before_any_is_classified():
    def predict(images):
        raise AssertionError("classified")

    with pytest.raises(ValueError) as error:
        draw_images(predict, data(8), NAMES, 3, seed=0)
    assert str(error.value) == (
        "Class 'dog' has 2 images in the dataset, expected at least 3; add "
        "images or pass a smaller images_per_class."
    )
    with pytest.raises(ValueError) as error:
        draw_images(predict, data(), NAMES, 0, seed=0)
    assert str(error.value) == "images_per_class: got 0, expected 1 or more."


def test_too_few_correct_images_are_refused():
    with pytest.raises(ValueError) as error:
        draw_images(right_on_multiples_of_4, data(), NAMES, 51, seed=0)
    assert str(error.value) == (
        "Class 'cat': the network classifies only 50 of its 200 images "
        "rightly, expected at least 51; add images, pass a smaller "
        "images_per_class, or check that images and labels are preprocessed "
        "and numbered as the network expects."
    )


def test_labels_beyond_the_classes_are_refused():
    with pytest.raises(ValueError, match="label 2 of image 2 is out of range"):
        draw_images(always_right, data(), NAMES[:2], 1, seed=0)


@pytest.mark.parametrize("batch_size", [1, 7, 256, 1000])
def test_stream_gives_the_wanted_images_in_full_batches(batch_size):
    wanted = np.random.default_rng(0).random(COUNT) < 0.5
    parts = list(stream(data(), wanted, batch_size))
    sizes = [len(positions) for positions, _ in parts]
    assert set(sizes[:-1]) <= {batch_size} and 0 < sizes[-1] <= batch_size
    positions = np.concatenate([p for p, _ in parts])
    np.testing.assert_array_equal(positions, np.flatnonzero(wanted))
    images = np.concatenate([x for _, x in parts])
    np.testing.assert_array_equal(positions_of(images), positions)


def test_stream_stops_reading_behind_the_last_wanted_image():
    read = []

    class Counted(Reiterable):
        def __iter__(self):
            for item in super().__iter__():
                read.append(1)
                yield item

    wanted = np.zeros(6000, bool)
    wanted[3] = True
    list(stream(Counted(6000), wanted))
    assert len(read) < 600


def test_memory_does_not_grow_with_the_images():
    """What is held beside the batch is a label and some marks per image."""

    class Large(Reiterable):
        def __iter__(self):
            for number in range(self.count):
                image = np.zeros((16, 16, 1), "float32")
                image[0, 0, 0] = number
                yield image, number % 3

    def peak(count):
        tracemalloc.start()
        draw_images(always_right, Large(count), NAMES, 10, seed=0)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(300)  # what is imported and kept on first use
    grown = peak(4000) - peak(1000)
    # 3000 images more are 3 MB; their labels and marks some 30 bytes each.
    assert grown < 3000 * 100
