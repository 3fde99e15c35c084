"""What filters are for, on a network whose filters are known by heart."""

from __future__ import annotations

import numpy as np
import pytest

from drnet_tf.filter_interpretation import class_reductions, strongest_patches
from drnet_tf.receptive_fields import Box
from drnet_tf.sites import gate_sites
from tests.recipes.in_process import COLOURS, colour_network

ONE_HOT = np.eye(3, dtype=np.float32)[::-1]  # blue, green, red as RGB


@pytest.fixture(scope="module")
def model():
    return colour_network()


@pytest.fixture(scope="module")
def site(model):
    return gate_sites(model)[0]


@pytest.fixture(scope="module")
def images():
    """Four of each class: its colour on a little of all."""
    colours = 0.05 + np.repeat(ONE_HOT, 4, axis=0)
    return np.broadcast_to(colours[:, None, None], (12, 8, 8, 3)).copy()


LABELS = np.repeat(np.arange(3), 4)


def test_a_class_loses_all_accuracy_without_its_filter(model, site, images):
    found = class_reductions(model, site, images, LABELS, COLOURS)
    assert found.full.tolist() == [1, 1, 1]
    expected = np.zeros((3, 6))
    expected[:, :3] = np.eye(3)
    np.testing.assert_array_equal(found.accuracy, expected)
    for row in range(3):
        assert found.ranked(row)[0] == row
    assert sorted(found.most_important(3)) == [0, 1, 2]


def test_a_filter_that_does_harm_has_a_reduction_below_zero(
    model, site, images
):
    # Images that look red and are called blue: without the filter of red they
    # are called blue, which comes first.
    wrong = images.copy()
    wrong[:4] = images[8:]
    found = class_reductions(model, site, wrong, LABELS, COLOURS)
    assert found.full.tolist() == [0, 1, 1]
    assert found.accuracy[0, 2] == -1
    assert found.ranked(2) == [2, 1, 0]


def test_outputs_of_a_larger_network_are_found_by_their_rows(
    model, site, images
):
    some = LABELS != 1
    found = class_reductions(
        model,
        site,
        images[some],
        LABELS[some] // 2,
        (COLOURS[2], COLOURS[0]),
        rows=(0, 2),
    )
    np.testing.assert_array_equal(found.accuracy[:, [0, 2]], np.eye(2))
    assert not found.accuracy[:, 1].any()


def test_the_strongest_patches_are_where_the_colour_is(model, site):
    images = np.zeros((3, 8, 8, 3), np.float32)
    images[0, 5, 6] = 0.5 * ONE_HOT[1]
    images[2, 0, 3] = ONE_HOT[1]
    found = strongest_patches(model, site, images, [1, 0], count=2)
    assert list(found) == [1, 0]
    first, second = found[1]
    assert (first.image, second.image) == (2, 0)
    assert first.activation == pytest.approx(1.01)
    # 3 x 3 pixels around the place, cut at the border of the image.
    assert first.box == Box(0, 2, 2, 5)
    assert second.box == Box(4, 5, 7, 8)


def test_a_filter_that_nothing_excites_has_no_patch(model, site):
    images = np.zeros((40, 8, 8, 3), np.float32)
    assert strongest_patches(model, site, images, [0]) == {0: ()}


def test_bad_input_is_refused(model, site, images):
    with pytest.raises(ValueError, match="got the filter 6, expected numbers"):
        strongest_patches(model, site, images, [6])
    with pytest.raises(ValueError, match="2 class names and 3 outputs"):
        class_reductions(model, site, images, LABELS, COLOURS[:2])
    with pytest.raises(ValueError, match="expected one image of each class"):
        class_reductions(model, site, images[:8], LABELS[:8], COLOURS)
