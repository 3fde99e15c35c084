from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from drnet_tf.labeled_images import LabeledImages


def numbered_images(labels, names=("a", "b", "c")) -> LabeledImages:
    """Images whose every pixel is the image's position."""
    images = np.zeros((len(labels), 2, 2, 1), np.uint8)
    images += np.arange(len(labels), dtype=np.uint8)[:, None, None, None]
    return LabeledImages(images, np.array(labels), names)


def positions(data: LabeledImages) -> list[int]:
    return data.images[:, 0, 0, 0].tolist()


def test_labels_become_int64_and_class_names_a_tuple():
    data = LabeledImages(
        np.zeros((2, 4, 4, 3), np.uint8),
        np.array([[1], [0]], np.uint8),
        ["x", "y"],
    )
    assert data.labels.dtype == np.int64
    assert data.labels.tolist() == [1, 0]
    assert data.class_names == ("x", "y")
    assert len(data) == 2


def test_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        numbered_images([0]).labels = np.array([1])


def test_counts_names_classes_without_images():
    assert numbered_images([2, 0, 2]).counts() == {"a": 1, "b": 0, "c": 2}


def test_of_classes_keeps_numbers_and_order():
    data = numbered_images([2, 0, 1, 2]).of_classes(["c", "a"])
    assert data.labels.tolist() == [2, 0, 2]
    assert positions(data) == [0, 1, 3]
    assert data.class_names == ("a", "b", "c")


def test_of_classes_refuses_an_unknown_name():
    with pytest.raises(ValueError, match="no class 'z', expected .* a, b, c"):
        numbered_images([0]).of_classes(["z"])


def test_take_draws_by_seed():
    data = numbered_images([0, 1] * 20)
    drawn = data.take(3, seed=4)
    assert drawn.counts() == {"a": 3, "b": 3, "c": 0}
    assert positions(drawn) == sorted(positions(drawn))
    assert positions(drawn) == data.draw(3, seed=4).tolist()
    assert positions(drawn) != positions(data.take(3, seed=5))


def test_take_names_the_class_with_too_few_images():
    with pytest.raises(ValueError, match="class 'b' has 1 images, expected 2"):
        numbered_images([0, 0, 1]).take(2)
    with pytest.raises(ValueError, match="images_per_class is 0"):
        numbered_images([0]).take(0)


def test_as_dataset_gives_batches_in_order():
    shapes = []
    labels = []
    for images, numbers in numbered_images([2, 0, 1]).as_dataset(2):
        shapes.append(tuple(images.shape))
        labels += numbers.numpy().tolist()
    assert shapes == [(2, 2, 2, 1), (1, 2, 2, 1)]
    assert labels == [2, 0, 1]


def test_names_the_first_image_that_is_not_finite():
    images = np.zeros((600, 2, 2, 1), np.float32)
    images[[300, 400], 1, 0, 0] = np.nan, np.inf
    with pytest.raises(ValueError, match="image 300 holds NaN or infinite"):
        LabeledImages(images, np.zeros(600, int), ("a",))


@pytest.mark.parametrize("label", [-1, 3])
def test_names_the_first_label_out_of_range(label):
    with pytest.raises(
        ValueError, match=rf"label {label} of image 1 .* expected 0\.\.2"
    ):
        numbered_images([0, label, label])


@pytest.mark.parametrize(
    ("images", "labels", "names", "error", "text"),
    [
        (
            np.zeros((2, 4, 4), np.uint8),
            [0, 0],
            "a",
            ValueError,
            r"\(2, 4, 4\)",
        ),
        (np.zeros((2, 4, 4, 1)), [0, 0], "a", TypeError, "images are float64"),
        (
            np.zeros((2, 4, 4, 1), np.uint8),
            [0],
            "a",
            ValueError,
            "for 2 images",
        ),
        (np.zeros((1, 4, 4, 1), np.uint8), [0.0], "a", TypeError, "float64"),
        (
            np.zeros((1, 4, 4, 1), np.uint8),
            [[1, 0]],
            "ab",
            ValueError,
            "argmax",
        ),
        (np.zeros((1, 4, 4, 1), np.uint8), [0], "aa", ValueError, "different"),
        (np.zeros((1, 4, 4, 1), np.uint8), [0], "", ValueError, "one or more"),
    ],
)
def test_refuses(images, labels, names, error, text):
    with pytest.raises(error, match=text):
        LabeledImages(images, np.array(labels), tuple(names))
