"""Images beside the maps of two networks."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from drnet_tf.reporting.attention_figure import (
    HEADS,
    ShownClass,
    ShownImage,
    attention_sheet,
    describe_sheet,
    overlaid,
)


def texts(drawing):
    root = ElementTree.fromstring(drawing)
    return [
        "".join(element.itertext())
        for element in root.iter("{http://www.w3.org/2000/svg}text")
    ]


def shown(channels=3):
    random = np.random.default_rng(0)
    return ShownImage(
        random.integers(0, 256, (8, 8, channels), np.uint8),
        (random.random((4, 4)), np.zeros((4, 4))),
        (0.25, 0.875),
    )


def classes(channels=3):
    images = (shown(channels), shown(channels))
    return [
        ShownClass("cat & dog, 2", "cat", images),
        ShownClass("cat & dog, 2", "dog", images),
        ShownClass("ship", "a_name_that_is_long", images),
    ]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_sheet_has_images_maps_and_probabilities(channels):
    drawing = attention_sheet(classes(channels))
    assert drawing == attention_sheet(classes(channels))
    found = texts(drawing)
    # Heads stand above each sub-task, a title once for its classes.
    assert [found.count(head) for head in HEADS] == [4, 4, 4]
    assert found.count("cat & dog, 2") == 1
    assert found.count("p = 0.25") == found.count("p = 0.88") == 6
    assert "a_name_that…" in found
    assert drawing.count("data:image/png;base64") == 18


def test_the_map_covers_the_image_where_it_is_strong():
    grey = np.full((8, 8, 3), (30, 60, 90), np.uint8)
    attention = np.zeros((8, 8))
    attention[2, 3] = 7.0
    found = overlaid(grey, attention)
    assert found.dtype == np.uint8
    assert (found[0, 0] == 60).all()
    # The strongest place is 0.72 inferno's brightest colour.
    np.testing.assert_allclose(
        found[2, 3], 0.28 * 60 + 0.72 * np.array([252, 255, 164]), atol=1.5
    )
    assert (overlaid(grey, 0 * attention) == 60).all()


def test_it_is_described_in_words():
    assert describe_sheet(classes()[2:]) == (
        "ship, 2 images of a_name_that_is_long, to which the full network "
        "gives a mean probability of 0.25 and the sub-network 0.88"
    )


def test_nothing_to_show_is_refused():
    with pytest.raises(ValueError, match="got 1 classes, expected one or more"):
        attention_sheet([ShownClass("a", "a", ())])
