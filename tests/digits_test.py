from __future__ import annotations

import gzip
import hashlib
import json
from importlib import resources

import numpy as np
import pytest

from drnet_tf.datasets import batches
from drnet_tf.digits import digits_convnet, load_digits, read_mnist_files

DATA = resources.files("drnet_tf") / "data"


def test_embedded_files_are_the_measured_ones():
    report = json.loads((DATA / "digits.json").read_text())
    assert set(report["sha256"]) == {"digits.npz", "digits_convnet.keras"}
    for name, digest in report["sha256"].items():
        assert hashlib.sha256((DATA / name).read_bytes()).hexdigest() == digest


def test_embedded_files_are_small_and_licensed():
    sizes = [len((DATA / path.name).read_bytes()) for path in DATA.iterdir()]
    assert sum(sizes) < 1_000_000
    licence = (DATA / "LICENSE.md").read_text()
    assert "CC BY-SA 3.0" in licence
    assert "Apache" in licence


@pytest.mark.parametrize(("split", "count"), [("train", 150), ("test", 100)])
def test_digits(split, count):
    data = load_digits(split)
    assert data.images.shape == (10 * count, 28, 28, 1)
    assert data.images.dtype == np.uint8
    assert data.counts() == {str(digit): count for digit in range(10)}
    # White strokes on black, and no image twice.
    assert data.images.min() == 0
    assert data.images.max() == 255
    assert data.images.mean() < 50
    assert len({image.tobytes() for image in data.images}) == 10 * count


def test_no_test_image_was_trained_on():
    train = {image.tobytes() for image in load_digits("train").images}
    test = {image.tobytes() for image in load_digits("test").images}
    assert not train & test


def test_a_caller_cannot_change_the_digits_of_the_next():
    load_digits("test").labels[:] = 0
    assert load_digits("test").counts()["9"] == 100
    with pytest.raises(ValueError, match="read-only"):
        load_digits("test").images[0] = 0


def test_refuses_another_split():
    with pytest.raises(ValueError, match="no split 'val', expected 'train'"):
        load_digits("val")


def test_convnet_reads_the_embedded_test_digits():
    model = digits_convnet()
    assert model.input_shape == (None, 28, 28, 1)
    assert model.output_shape == (None, 10)
    assert getattr(model, "optimizer", None) is None
    report = json.loads((DATA / "digits.json").read_text())
    right = [
        model.predict_on_batch(images).argmax(-1) == labels
        for images, labels in batches(load_digits("test"), 250)
    ]
    accuracy = np.mean(right)
    assert accuracy >= 0.99
    assert accuracy == pytest.approx(
        report["accuracy"]["digits_test"], abs=0.0011
    )


def test_the_report_holds_the_accuracy_on_all_of_mnist():
    report = json.loads((DATA / "digits.json").read_text())
    assert report["accuracy"]["mnist_test"] >= 0.993
    assert report["parameters"] == digits_convnet().count_params()


def idx(array, rank=None) -> bytes:
    rank = array.ndim if rank is None else rank
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return (0x800 + rank).to_bytes(4, "big") + sizes + array.tobytes()


IMAGES = np.arange(2 * 28 * 28, dtype=np.uint8).reshape(2, 28, 28)
LABELS = np.array([7, 3], np.uint8)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(IMAGES))
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(
        gzip.compress(idx(LABELS))
    )
    return tmp_path


def test_reads_the_original_files(folder):
    data = read_mnist_files(folder, "test")
    np.testing.assert_array_equal(data.images[..., 0], IMAGES)
    assert data.labels.tolist() == [7, 3]
    assert data.class_names[7] == "7"


def test_names_a_missing_file(folder):
    text = "neither 'train-images-idx3-ubyte' nor .*ubyte.gz' is in"
    with pytest.raises(ValueError, match=text):
        read_mnist_files(folder, "train")


@pytest.mark.parametrize(
    "content",
    [b"", b"\0\0\x08", idx(IMAGES)[:-1], idx(IMAGES) + b"\0", idx(IMAGES, 1)],
)
def test_names_a_damaged_file(folder, content):
    (folder / "t10k-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(ValueError, match="images-idx3-ubyte' is damaged"):
        read_mnist_files(folder, "test")


@pytest.mark.parametrize("keep", [5, 20])
def test_names_a_damaged_gzip_file(folder, keep):
    path = folder / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match="'.*ubyte.gz' is damaged"):
        read_mnist_files(folder, "test")


def test_names_a_file_that_is_not_gzip(folder):
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(b"not gzip")
    with pytest.raises(ValueError, match="'.*ubyte.gz' is damaged"):
        read_mnist_files(folder, "test")
