"""The contact sheet of filters and its page."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from drnet_tf.filter_interpretation import ClassReductions, Patch
from drnet_tf.receptive_fields import Box
from drnet_tf.reporting.filter_figure import filter_sheet, read_filter
from drnet_tf.reporting.filter_page import filter_page

REDUCTIONS = ClassReductions(
    ("cat", "cow", "dog", "fox"),
    np.array([[0.0, 0.5], [0.25, -0.1], [0.0, 0.0], [0.0, -1e-9]]),
    np.array([[0.1, 0.4], [0.5, -0.2], [0.3, 0.0], [0.2, 0.0]]),
    np.ones(4),
)
PATCHES = (Patch(1, 3.5, Box(0, 2, 3, 5)), Patch(0, 2.0, Box(0, 0, 8, 8)))


def texts(drawing):
    """All texts of a figure; fails where it is not well-formed XML."""
    root = ElementTree.fromstring(drawing)
    return [
        "".join(element.itertext())
        for element in root.iter("{http://www.w3.org/2000/svg}text")
    ]


def pixels(channels=3):
    random = np.random.default_rng(0)
    return random.integers(0, 256, (2, 8, 8, channels), np.uint8)


def reading(channel, patches=PATCHES):
    return read_filter(channel, patches, REDUCTIONS, 2)


def sheet(channels=3):
    return filter_sheet(
        [reading(0), reading(1, ())],
        pixels(channels),
        ["cat", "longest_name_of_all"],
        "Filters of relu",
    )


def test_most_important_classes_stand_first_and_least_last():
    found = reading(0)
    assert found.most == (("cow", 0.25, 0.5), ("dog", 0.0, 0.3))
    assert found.least == (("cat", 0.0, 0.1), ("fox", 0.0, 0.2))


def test_the_two_ends_never_meet():
    found = read_filter(0, (), REDUCTIONS, 9)
    assert len(found.most) == len(found.least) == 2
    assert not set(found.most) & set(found.least)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_sheet_holds_patches_classes_and_losses(channels):
    drawing = sheet(channels)
    assert drawing == sheet(channels)
    shown = texts(drawing)
    assert {"0", "1", "25.0", "-10.0", "0.50", "longest_na…"} <= set(shown)
    assert "-0.0" not in shown
    assert "excited by none of the images" in shown
    assert drawing.count("data:image/png;base64") == 2


def test_the_page_has_the_sheet_its_text_and_all_losses():
    page = filter_page(sheet(), [reading(0)], REDUCTIONS, "relu", 40).render()
    assert "Filter 0: most important for cow, dog, least for cat, fox." in page
    assert "<td>25.0</td>" in page or ">25.0<" in page
    assert "one of 40 images" in page


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="got 0 filters and images of shape"):
        filter_sheet([], pixels(), ["a", "b"], "x")
    with pytest.raises(ValueError, match="and dtype float64, expected"):
        filter_sheet([reading(0)], pixels() / 255, ["a", "b"], "x")
