from __future__ import annotations

import numpy as np
import pytest

from drnet_tf.preprocessing import (
    PREPROCESSINGS,
    Preprocessing,
    parse_preprocessing,
)


def test_by_hand():
    pixels = np.array([[[[10, 20, 30]]]], np.uint8)
    changed = Preprocessing((10, 10, 10), (1, 5, 4))(pixels)
    assert changed.dtype == np.float32
    assert changed.tolist() == [[[[0.0, 2.0, 5.0]]]]


@pytest.mark.parametrize(
    ("name", "black", "white"),
    [
        ("none", 0.0, 255.0),
        ("unit", -1.0, 1.0),
        ("zero_one", 0.0, 1.0),
        ("efficientnet_lite", -127 / 128, 1.0),
        ("cifar10", -125.3 / 63, (255 - 125.3) / 63),
        ("imagenet_torch", -123.675 / 58.395, (255 - 123.675) / 58.395),
    ],
)
def test_named(name, black, white):
    pixels = np.array([[0, 0, 0], [255, 255, 255]], np.uint8)
    changed = parse_preprocessing(name)(pixels)[:, 0]
    np.testing.assert_allclose(changed, [black, white], rtol=1e-6)
    assert parse_preprocessing(name) is PREPROCESSINGS[name]


def test_parses_numbers():
    parsed = parse_preprocessing("1,2.5,3/4")
    assert parsed == Preprocessing((1, 2.5, 3), 4)


@pytest.mark.parametrize("text", ["imagenet", "", "1", "1/2/3", "a/b"])
def test_refuses_what_it_cannot_parse(text):
    with pytest.raises(
        ValueError, match=f"'{text}': not known.*cifar10, .*mean/std"
    ):
        parse_preprocessing(text)


@pytest.mark.parametrize(
    ("mean", "std"),
    [(0, 0), (0, -1), (np.nan, 1), ((1, 2), (1, 2, 3)), (0, ())],
)
def test_refuses_numbers(mean, std):
    with pytest.raises(ValueError, match="std above 0"):
        Preprocessing(mean, std)


def test_names_the_channels_that_do_not_fit():
    with pytest.raises(ValueError, match=r"shape \(1, 4, 4, 1\), expected 3"):
        PREPROCESSINGS["cifar10"](np.zeros((1, 4, 4, 1), np.uint8))


def test_of_a_dataset_can_be_read_again():
    images = np.full((100, 2, 2, 3), 255, np.uint8)
    dataset = PREPROCESSINGS["unit"].of((images, np.arange(100)))
    for _ in range(2):
        labels = []
        for batch, numbers in dataset:
            np.testing.assert_array_equal(batch, np.ones(batch.shape))
            labels += numbers.tolist()
        assert labels == list(range(100))


@pytest.mark.parametrize("name", sorted(PREPROCESSINGS))
def test_every_pixel_comes_back(name):
    preprocessing = PREPROCESSINGS[name]
    raw = np.arange(256, dtype=np.uint8)[:, None].repeat(3, 1)
    np.testing.assert_array_equal(preprocessing.undo(preprocessing(raw)), raw)


def test_what_is_no_pixel_is_cut_off():
    assert Preprocessing(0, 1).undo([[-3.0, 300.0]]).tolist() == [[0, 255]]
