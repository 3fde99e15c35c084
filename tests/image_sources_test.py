from __future__ import annotations

import logging
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from drnet_tf.image_sources import fit_image, open_folder, open_tfds

NAMES = ["cat", "dog"]


def save_image(path, pixels) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)


def everything(stream):
    images, labels = zip(*stream, strict=True)
    return np.concatenate(images), np.concatenate(labels)


@pytest.fixture
def folder(tmp_path):
    """100 cats and 1 dog as JPEG of 6x6 random pixels, in one split."""
    random = np.random.default_rng(0)
    for i in range(100):
        save_image(
            tmp_path / "val" / "cat" / f"{i:03}.jpg",
            random.integers(0, 256, (6, 6, 3)),
        )
    save_image(tmp_path / "val" / "dog" / "x.JPEG", np.zeros((6, 6, 3)))
    return tmp_path


class TestFolder:
    def test_reads_pixels_as_pillow_does(self, folder):
        stream = open_folder(folder, "val", (6, 6, 3))
        images, labels = everything(stream)
        assert stream.class_names == ("cat", "dog")
        assert len(stream) == 101
        assert labels.tolist() == [0] * 100 + [1]
        for image, path in zip(images, stream.files, strict=True):
            with Image.open(path) as picture:
                np.testing.assert_allclose(image, np.asarray(picture), atol=1)

    def test_each_pass_is_the_same(self, folder):
        stream = open_folder(folder, "val", (4, 5, 1))
        first, second = everything(stream)[0], everything(stream)[0]
        assert first.shape == (101, 4, 5, 1)
        np.testing.assert_array_equal(first, second)

    def test_some_by_position_are_those_of_the_pass(self, folder):
        stream = open_folder(folder, "val", (4, 5, 1))
        images, labels = everything(stream)
        for positions in ([0], [100], [3, 4, 70, 100], range(101)):
            some = stream.at(np.array(positions))
            assert len(some) == len(positions)
            found, numbers = everything(some)
            np.testing.assert_array_equal(found, images[list(positions)])
            np.testing.assert_array_equal(numbers, labels[list(positions)])
            assert some.files == tuple(stream.files[i] for i in positions)

    def test_other_files_are_not_opened(self, folder):
        stream = open_folder(folder, "val", (6, 6, 3))
        (folder / "val" / "cat" / "004.jpg").unlink()
        assert len(everything(stream.at(np.array([3, 5])))[1]) == 2

    @pytest.mark.parametrize("positions", [[], [3, 2], [1, 1], [-1], [101]])
    def test_positions_that_are_none_are_refused(self, folder, positions):
        stream = open_folder(folder, "val", (6, 6, 3))
        with pytest.raises(ValueError, match=r"expected rising ones .*0..100;"):
            stream.at(np.array(positions))

    def test_dataset_holds_single_images(self, folder):
        image, label = next(iter(open_folder(folder, "val", (6, 6, 3)).dataset))
        assert image.shape == (6, 6, 3)
        assert image.dtype == tf.uint8
        assert label.dtype == tf.int64

    def test_all_reads_a_folder_of_classes(self, folder):
        stream = open_folder(folder / "val", "all", (6, 6, 3))
        assert stream.class_names == ("cat", "dog")
        assert len(stream) == 101

    def test_a_class_without_images_keeps_its_number(self, folder):
        (folder / "val" / "cow").mkdir()
        stream = open_folder(folder, "val", (6, 6, 3))
        assert stream.class_names == ("cat", "cow", "dog")
        assert everything(stream)[1].tolist()[-1] == 2

    def test_reports_files_that_are_left_out(self, folder, caplog):
        (folder / "val" / "dog" / "notes.txt").touch()
        logging.getLogger("absl").propagate = True
        with caplog.at_level(logging.WARNING):
            stream = open_folder(folder, "val", (6, 6, 3))
        assert len(stream) == 101
        assert "1 entries are no .jpg, .jpeg or .png" in caplog.text

    @pytest.mark.parametrize("split", ["test", "train[:10%]", ""])
    def test_names_a_missing_split(self, folder, split):
        with pytest.raises(
            ValueError, match="no split .* folders val; .* 'all'"
        ):
            open_folder(folder, split, (6, 6, 3))

    def test_says_that_there_are_no_images(self, folder):
        text = "no images found, expected <class>/.*holds the folders val"
        with pytest.raises(ValueError, match=text):
            open_folder(folder, "all", (6, 6, 3))

    def test_names_a_damaged_file(self, folder):
        path = folder / "val" / "cat" / "077.jpg"
        path.write_bytes(path.read_bytes()[:100])
        stream = open_folder(folder, "val", (6, 6, 3))
        with pytest.raises(ValueError, match=r"077\.jpg' cannot be decoded"):
            everything(stream)

    @pytest.mark.parametrize("shape", [(6, 6), (6, 6, 2), (0, 6, 3)])
    def test_refuses_an_image_shape(self, folder, shape):
        with pytest.raises(
            ValueError, match="expected .height, width, channels"
        ):
            open_folder(folder, "val", shape)


class TestFitImage:
    def test_an_image_of_the_size_stays_as_it_is(self):
        image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
        np.testing.assert_array_equal(fit_image(image, (5, 7, 3)), image)

    def test_crops_the_middle_of_a_wide_image(self):
        image = np.zeros((4, 12, 1), np.uint8)
        image[:, 4:8] = np.arange(4)[None, :, None]
        cropped = fit_image(image, (4, 4, 1))
        np.testing.assert_array_equal(cropped[0, :, 0], [0, 1, 2, 3])

    def test_halving_a_tall_image_keeps_its_middle(self):
        image = np.zeros((16, 4, 3), np.uint8)
        image[6:10] = 200
        halved = fit_image(image, (2, 2, 3)).numpy()
        assert halved.dtype == np.uint8
        # Antialiasing spreads each new pixel over two old ones and more.
        assert (halved > 150).all()

    def test_a_flat_image_stays_flat_at_any_scale(self):
        for size in [(3, 8), (50, 3), (9, 9), (17, 31)]:
            image = np.full((*size, 3), 255, np.uint8)
            fitted = fit_image(image, (11, 7, 3))
            np.testing.assert_array_equal(fitted, np.full((11, 7, 3), 255))

    def test_grey_and_colour(self):
        grey = np.full((3, 3, 1), 9, np.uint8)
        np.testing.assert_array_equal(
            fit_image(grey, (3, 3, 3)), np.full((3, 3, 3), 9)
        )
        # Luma of pure green, 0.587 * 100.
        green = np.zeros((3, 3, 3), np.uint8) + np.uint8([0, 100, 0])
        np.testing.assert_allclose(fit_image(green, (3, 3, 1)), 58, atol=1)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """A TFDS folder that holds `tiny_pets`: 10 train and 4 test images."""
    tfds = pytest.importorskip("tensorflow_datasets")
    counts = {"train": 10, "test": 4}

    class TinyPets(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        pkg_dir_path = None

        def _info(self):
            features = tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(4, 4, 1)),
                    "label": tfds.features.ClassLabel(names=NAMES),
                }
            )
            return tfds.core.DatasetInfo(
                builder=self,
                description="Two kinds of pets.",
                features=features,
                supervised_keys=("image", "label"),
            )

        def _split_generators(self, dl_manager):
            return {
                split: self._generate_examples(n) for split, n in counts.items()
            }

        def _generate_examples(self, count):
            for i in range(count):
                image = np.full((4, 4, 1), i, np.uint8)
                yield i, {"image": image, "label": i % 2}

    path = tmp_path_factory.mktemp("tfds")
    TinyPets(data_dir=path).download_and_prepare()
    return path


class TestTfds:
    def test_reads_images_and_class_names(self, data_dir):
        stream = open_tfds("tiny_pets", "train", (4, 4, 1), data_dir)
        images, labels = everything(stream)
        assert stream.class_names == ("cat", "dog")
        assert len(stream) == 10
        assert sorted(images[:, 0, 0, 0].tolist()) == list(range(10))
        np.testing.assert_array_equal(images[:, 0, 0, 0] % 2, labels)
        np.testing.assert_array_equal(everything(stream)[0], images)

    def test_reads_a_part_of_a_split_in_another_size(self, data_dir):
        stream = open_tfds("tiny_pets", "train[:30%]", (8, 8, 3), data_dir)
        images, _ = everything(stream)
        assert len(stream) == 3
        assert images.shape == (3, 8, 8, 3)

    def test_some_by_position_are_those_of_the_pass(self, data_dir):
        stream = open_tfds("tiny_pets", "train", (8, 8, 3), data_dir)
        images, labels = everything(stream)
        positions = np.array([1, 2, len(stream) - 1])
        found, numbers = everything(stream.at(positions))
        np.testing.assert_array_equal(found, images[positions])
        np.testing.assert_array_equal(numbers, labels[positions])
        other = stream.renumbered(["x", *reversed(NAMES)])
        numbers = everything(other.at(positions))[1]
        np.testing.assert_array_equal(numbers, 2 - labels[positions])

    def test_names_a_missing_split(self, data_dir):
        with pytest.raises(ValueError, match="'val', expected one of .*train"):
            open_tfds("tiny_pets", "val", (4, 4, 1), data_dir)

    def test_says_how_to_prepare(self, tmp_path):
        pytest.importorskip("tensorflow_datasets")
        with pytest.raises(
            ValueError, match="not prepared .* `tfds build mnist"
        ):
            open_tfds("mnist", "test", (28, 28, 1), tmp_path)

    @pytest.mark.parametrize("name", ["no_such_dataset", "../x", "data/photos"])
    def test_names_an_unknown_dataset(self, name):
        pytest.importorskip("tensorflow_datasets")
        with pytest.raises(ValueError, match="neither a folder nor a dataset"):
            open_tfds(name, "test", (4, 4, 1))

    def test_names_the_extra_that_is_missing(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
        with pytest.raises(ImportError, match=r"pip install drnet_tf\[data\]"):
            open_tfds("mnist", "test", (28, 28, 1))


def test_renumbered_refuses_an_unknown_class(folder):
    stream = open_folder(folder, "val", (6, 6, 3))
    assert everything(stream.renumbered(["dog", "cat"]))[1].tolist()[-1] == 0
    with pytest.raises(ValueError, match="class 'dog' is not among"):
        stream.renumbered(["cat"])
