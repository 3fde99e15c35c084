from __future__ import annotations

import pytest

from drnet_tf.names import check_channels, check_class_names, class_rows

_NAMES = ("cat", "cow", "dog")


def test_class_rows_follow_the_question():
    assert class_rows(["dog", "cat"], _NAMES) == [2, 0]


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ((), "got none, expected at least one of: cat, cow, dog"),
        (("cat", "pig"), "unknown class 'pig'; known: cat, cow, dog"),
        (("cat", "cat"), "'cat' stands twice, expected each class once; known"),
        ("cat", "got the text 'cat', expected a sequence of classes"),
        (None, "got a NoneType, expected a sequence of classes in the order"),
        ({"cat"}, "got a set, expected a sequence of classes in the order"),
        ((0, 1), "unknown class 0; known: cat, cow, dog"),
    ],
)
def test_bad_classes(classes, message):
    with pytest.raises(ValueError, match=message):
        class_rows(classes, _NAMES)


def test_check_class_names():
    assert check_class_names("x", ["a", "b"]) == ("a", "b")
    assert check_class_names("x", ()) == ()
    with pytest.raises(ValueError, match="Net: class name 1 is '', expected"):
        check_class_names("Net", ["a", ""])


@pytest.mark.parametrize(
    ("got", "message"),
    [
        ({"a": 1}, r"'net': the mask has no site 'b' \(2 channels\); the mask"),
        (
            {"a": 1, "b": 3},
            "'net', site 'b': the mask has 3 channels, the model has 2; the",
        ),
        (
            {"a": 1, "b": 2, "c": 4},
            "'net': the mask has a site 'c' which the model has not; the",
        ),
    ],
)
def test_check_channels_names_the_first_difference(got, message):
    with pytest.raises(ValueError, match=message):
        check_channels("mask", got, {"a": 1, "b": 2}, "net")


def test_check_channels_passes_equal_sites_in_any_order():
    check_channels("mask", {"b": 2, "a": 1}, {"a": 1, "b": 2}, "net")
