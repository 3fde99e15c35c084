from __future__ import annotations

import numpy as np
import pytest

from drnet_tf.importance import ChannelImportance
from drnet_tf.width_masks import mask_of_widths


@pytest.fixture
def importance():
    return ChannelImportance(
        {
            "a": np.array([[0.1, 0.5, 0.5], [0.9, 0.1, 0.1]]),
            "b": np.array([[1.0, 2.0], [2.0, 0.0]]),
        },
        ("cat", "dog"),
        "by hand",
        fingerprint="f" * 64,
    )


def test_each_site_keeps_its_best_channels(importance):
    mask = mask_of_widths(importance, ("cat", "dog"), {"a": 2, "b": 1})
    assert mask["a"].tolist() == [True, True, False]  # 0.5, then a tie
    assert mask["b"].tolist() == [True, False]
    assert mask.class_names == ("cat", "dog")
    assert mask.provenance["fingerprint"] == "f" * 64


def test_a_site_may_be_empty_or_whole(importance):
    mask = mask_of_widths(importance, ("cat",), {"a": 3, "b": 0})
    assert mask.widths == {"a": 3, "b": 0}


@pytest.mark.parametrize(
    ("widths", "words"),
    [
        ({"a": 4, "b": 1}, "site 'a': got 4 channels, expected 0 to 3"),
        ({"a": -1, "b": 1}, "site 'a': got -1 channels"),
        ({"a": 1}, "no site 'b'"),
        ({"a": 1, "b": 1, "c": 1}, "a site 'c'"),
    ],
)
def test_widths_that_do_not_fit_are_refused(importance, widths, words):
    with pytest.raises(ValueError, match=words):
        mask_of_widths(importance, ("cat",), widths)
