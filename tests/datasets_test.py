from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from drnet_tf.datasets import LabeledImages, batches, load_split, stream_split

IMAGES = np.arange(7 * 2 * 2, dtype=np.uint8).reshape(7, 2, 2, 1)
LABELS = np.array([3, 0, 1, 2, 3, 1, 0])


class Pairs:
    """A dataset of the simplest kind: something that can be read again."""

    def __iter__(self):
        return zip(IMAGES, LABELS, strict=True)


def as_tf(images, labels=LABELS):
    return tf.data.Dataset.from_tensor_slices((images, labels))


def uneven():
    return [(IMAGES[:1], LABELS[:1]), (IMAGES[1:], LABELS[1:])]


@pytest.mark.parametrize(
    "dataset",
    [
        LabeledImages(IMAGES, LABELS, tuple("abcd")),
        LabeledImages(IMAGES, LABELS, tuple("abcd")).as_dataset(4),
        (IMAGES, LABELS),
        (IMAGES.tolist(), LABELS.tolist()),
        (IMAGES, LABELS[:, None].astype(np.uint8)),
        (tf.constant(IMAGES), tf.constant(LABELS)),
        as_tf(IMAGES),
        as_tf(IMAGES).batch(2),
        as_tf(IMAGES).batch(5),
        as_tf(IMAGES, LABELS.astype(np.int32)[:, None]).batch(3),
        list(zip(IMAGES, LABELS, strict=True)),
        uneven(),
        Pairs(),
    ],
    ids=str,
)
@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
def test_every_kind_of_dataset_gives_the_same_batches(dataset, batch_size):
    found = list(batches(dataset, batch_size, num_classes=4))
    sizes = [len(labels) for _, labels in found]
    assert sizes[:-1] == [batch_size] * (
        7 // batch_size - (batch_size in (1, 7))
    )
    assert sum(sizes) == 7
    images = np.concatenate([images for images, _ in found])
    labels = np.concatenate([labels for _, labels in found])
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(labels, LABELS)
    assert labels.dtype == np.int64


@pytest.mark.parametrize(
    ("given", "got"),
    [
        (np.uint8, np.uint8),
        (np.float32, np.float32),
        (np.float64, np.float32),
        (np.float16, np.float32),
        (np.int64, np.float32),
    ],
)
def test_dtype_of_the_images(given, got):
    images, _ = next(batches((IMAGES.astype(given), LABELS), 7))
    assert images.dtype == got
    np.testing.assert_array_equal(images, IMAGES)


def test_bfloat16_images_become_float32():
    dataset = (tf.cast(IMAGES, tf.bfloat16), LABELS)
    images, _ = next(batches(dataset, 7))
    assert images.dtype == np.float32


def test_a_dataset_can_be_read_again():
    dataset = as_tf(IMAGES)
    first, second = (list(batches(dataset, 7)) for _ in range(2))
    np.testing.assert_array_equal(first[0][0], second[0][0])


@pytest.mark.parametrize("kind", ["tuple", "tf", "pairs"])
def test_names_the_first_image_that_is_not_finite(kind):
    images = IMAGES.astype(np.float32)
    images[5, 0, 1] = np.inf
    dataset = {
        "tuple": (images, LABELS),
        "tf": as_tf(images).batch(2),
        "pairs": list(zip(images, LABELS, strict=True)),
    }[kind]
    with pytest.raises(ValueError, match="image 5 holds NaN or infinite"):
        list(batches(dataset, 3))


@pytest.mark.parametrize("kind", ["tuple", "tf", "pairs"])
@pytest.mark.parametrize("label", [-1, 4])
def test_names_the_first_label_out_of_range(kind, label):
    labels = LABELS.copy()
    labels[4] = label
    dataset = {
        "tuple": (IMAGES, labels),
        "tf": as_tf(IMAGES, labels),
        "pairs": list(zip(IMAGES, labels, strict=True)),
    }[kind]
    text = rf"label {label} of image 4 is out of range, expected 0\.\.3"
    with pytest.raises(ValueError, match=text):
        list(batches(dataset, 3, num_classes=4))


@pytest.mark.parametrize(
    ("dataset", "error", "text"),
    [
        (5, TypeError, "got int, expected a tf.data.Dataset"),
        (iter([(IMAGES[0], 1)]), TypeError, "read only once"),
        (as_tf(IMAGES).repeat(), ValueError, "endless"),
        (([], []), ValueError, "no images in it"),
        ([], ValueError, "no images in it"),
        (as_tf(IMAGES).take(0), ValueError, "no images in it"),
        ((IMAGES, LABELS[:3]), ValueError, "do not pair"),
        ([{"image": IMAGES[0], "label": 1}], TypeError, "as_supervised=True"),
        (
            tf.data.Dataset.from_tensors({"image": IMAGES[0], "label": 1}),
            TypeError,
            "is a dict",
        ),
        ((IMAGES, np.eye(7)), ValueError, "argmax"),
        (
            (IMAGES, LABELS.astype(float)),
            TypeError,
            "labels at image 0 are float",
        ),
        ((np.array(["x"]), np.array([0])), TypeError, "expected numbers"),
        (
            [(IMAGES[0], 1), (np.zeros((3, 3, 1), np.uint8), 1)],
            ValueError,
            r"image 1 has shape \(3, 3, 1\)",
        ),
        (
            [(IMAGES[0], 1), (IMAGES[1].astype(np.float32), 1)],
            ValueError,
            "image 1 has .* dtype float32",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refuses(dataset, error, text):
    with pytest.raises(error, match=text):
        list(batches(dataset, 2))


@pytest.mark.parametrize("batch_size", [0, -1])
def test_refuses_a_batch_size_before_the_first_batch(batch_size):
    with pytest.raises(ValueError, match=f"batch_size is {batch_size}"):
        batches((IMAGES, LABELS), batch_size)


def test_one_batch_at_a_time():
    read = []

    class Watched:
        def __iter__(self):
            for number in range(100):
                read.append(number)
                yield IMAGES[0], 0

    next(batches(Watched(), 4))
    assert len(read) == 4


@pytest.fixture
def folder(tmp_path):
    for split, count in (("train", 3), ("test", 2)):
        for number, name in enumerate(("dog", "cat")):
            (tmp_path / split / name).mkdir(parents=True)
            for i in range(count):
                pixels = np.full((4, 4, 3), 100 * number + i, np.uint8)
                Image.fromarray(pixels).save(
                    tmp_path / split / name / f"{i}.png"
                )
    return tmp_path


def test_load_split_reads_a_folder(folder):
    data = load_split(folder, "train", image_shape=(4, 4, 3))
    assert data.class_names == ("cat", "dog")
    assert data.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.images.dtype == np.uint8
    assert data.images[:, 0, 0, 0].tolist() == [100, 101, 102, 0, 1, 2]


def test_load_split_numbers_labels_by_class_names(folder):
    names = ("dog", "bird", "cat")
    data = load_split(
        str(folder), "test", image_shape=(4, 4, 3), class_names=names
    )
    assert data.class_names == names
    assert data.labels.tolist() == [2, 2, 0, 0]


def test_load_split_names_a_class_that_is_not_in_class_names(folder):
    with pytest.raises(
        ValueError, match="class 'dog' is not among .* cat, bird"
    ):
        load_split(
            folder, "test", image_shape=(4, 4, 3), class_names=["cat", "bird"]
        )


def test_a_stream_is_a_dataset(folder):
    stream = stream_split(folder, "train", image_shape=(4, 4, 3))
    data = load_split(folder, "train", image_shape=(4, 4, 3))
    for _ in range(2):
        (images, labels), (rest, _) = batches(stream, 4, num_classes=2)
        np.testing.assert_array_equal(images, data.images[:4])
        np.testing.assert_array_equal(rest, data.images[4:])
        assert labels.tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize("source", ["no/such/folder", "/no/such/folder", "./x"])
def test_load_split_names_a_missing_folder(source):
    with pytest.raises(
        ValueError, match="no such folder; expected DIR/<split>"
    ):
        load_split(source, "test", image_shape=(4, 4, 3))


def test_with_data_dir_the_source_is_a_tfds_name(folder):
    pytest.importorskip("tensorflow_datasets")
    with pytest.raises(ValueError, match="neither a folder nor a dataset"):
        load_split(folder, "test", image_shape=(4, 4, 3), data_dir=folder)
