from __future__ import annotations

import numpy as np
import pytest

from drnet_tf.importance import ChannelImportance
from drnet_tf.masks import ChannelMask, union, xor

_IMPORTANCE = ChannelImportance(
    {
        "one": np.array(
            [
                [0.9, 0.0, 0.1, 0.3],
                [0.1, 0.0, 0.4, 0.3],
                [0.0, 0.0, 0.0, 0.0],
            ]
        ),
        "two": np.array([[0.05, 0.06], [0.06, 0.02], [0.5, 0.5]]),
    },
    ("cat", "cow", "dog"),
    "by hand",
    fingerprint="abc",
)


def _lists(mask):
    return {site: mask[site].astype(int).tolist() for site in mask.sites}


def test_union_by_hand():
    mask = union(_IMPORTANCE, ("cow", "cat"), 0.3)
    # Maxima: one (0.9, 0, 0.4, 0.3); two (0.06, 0.06): the tie goes to 0.
    assert _lists(mask) == {"one": [1, 0, 1, 1], "two": [1, 0]}
    assert mask.class_names == ("cow", "cat")
    assert mask.provenance == {
        "method": "by hand",
        "fingerprint": "abc",
        "rule": "union",
        "threshold": 0.3,
        "round_to": 1,
        "rescued": {"two": 0},
    }


def test_xor_by_hand():
    mask = xor(_IMPORTANCE, ("cat", "cow"), 0.04)
    # Differences: one (0.8, 0, 0.3, 0); two (0.01, 0.04).
    assert _lists(mask) == {"one": [1, 0, 1, 0], "two": [0, 1]}
    assert mask.provenance["rule"] == "xor"
    assert mask.provenance["rescued"] == {}


def test_a_score_equal_to_the_threshold_is_kept():
    # 0.1 and 0.9 are no float32 numbers: both sides must be rounded alike.
    assert _lists(union(_IMPORTANCE, ("cat",), 0.1))["one"] == [1, 0, 1, 1]
    assert _lists(union(_IMPORTANCE, ("cat",), 0.9))["one"] == [1, 0, 0, 0]


def test_channels_of_importance_zero_are_never_kept_by_a_threshold():
    mask = union(_IMPORTANCE, ("cat", "cow", "dog"), 1e-30)
    assert _lists(mask)["one"] == [1, 0, 1, 1]


def test_a_class_more_never_removes_channels_from_a_union():
    small = union(_IMPORTANCE, ("cat",), 0.06)
    large = union(_IMPORTANCE, ("cat", "cow", "dog"), 0.06)
    for site in small.sites:
        assert (large[site] >= small[site]).all()


@pytest.mark.parametrize(
    ("round_to", "expected"),
    [
        (1, [0, 1, 0, 0, 1]),
        (2, [0, 1, 0, 0, 1]),
        (3, [1, 1, 0, 0, 1]),  # the tie of 0 and 2 goes to 0
        (4, [1, 1, 1, 0, 1]),
        (8, [1, 1, 1, 1, 1]),  # never above the width
    ],
)
def test_round_to_adds_the_next_best(round_to, expected):
    importance = ChannelImportance(
        {"a": np.array([[0.2, 0.9, 0.2, 0.0, 0.8]])}, ("x",), "by hand"
    )
    mask = union(importance, ("x",), 0.5, round_to=round_to)
    assert _lists(mask) == {"a": expected}
    assert mask.provenance["round_to"] == round_to


def test_a_rescued_site_is_rounded_too():
    mask = union(_IMPORTANCE, ("cat",), 0.5, round_to=2)
    assert _lists(mask) == {"one": [1, 0, 0, 1], "two": [1, 1]}
    assert mask.provenance["rescued"] == {"two": 1}


@pytest.mark.parametrize("threshold", [0, -0.1, np.nan, np.inf, 1e-60])
def test_threshold_must_be_above_zero(threshold):
    with pytest.raises(ValueError, match="expected a finite number above 0"):
        union(_IMPORTANCE, ("cat",), threshold)


def test_threshold_that_keeps_nothing():
    with pytest.raises(
        ValueError,
        match=r"\('cat',\): the threshold 2 keeps no channel at any site, the "
        r"largest union score is 0.9; pass a lower",
    ):
        union(_IMPORTANCE, ("cat",), 2.0)
    with pytest.raises(ValueError, match=r"largest xor score is 0\.8;"):
        xor(_IMPORTANCE, ("cat", "cow"), 0.81)


@pytest.mark.parametrize("round_to", [0, -8, 1.5])
def test_bad_round_to(round_to):
    with pytest.raises(ValueError, match=f"round_to: got {round_to}, expected"):
        union(_IMPORTANCE, ("cat",), 0.1, round_to=round_to)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (("pig",), "unknown class 'pig'; known: cat, cow, dog"),
        (("cat", "cat"), "'cat' stands twice"),
        ((), "expected at least one of: cat, cow, dog"),
        ("cat", "got the text 'cat'"),
    ],
)
def test_bad_classes(classes, message):
    with pytest.raises(ValueError, match=message):
        union(_IMPORTANCE, classes, 0.1)


def test_xor_wants_two_classes():
    with pytest.raises(ValueError, match="'xor': got 1 classes, expected two"):
        xor(_IMPORTANCE, ("cat",), 0.1)


def test_plain_mask_and_its_figures():
    mask = ChannelMask(
        {"a": np.array([True, False, True]), "b": np.array([False])}
    )
    assert mask.sites == ("a", "b")
    assert mask.channels == {"a": 3, "b": 1}
    assert mask.widths == {"a": 2, "b": 0}
    assert (mask.kept, mask.total, mask.kept_fraction) == (2, 4, 0.5)
    assert mask.class_names == ()
    assert repr(mask) == "ChannelMask(2 of 4 channels kept (50.0 %), 2 sites)"
    named = ChannelMask({"a": np.array([True])}, ("x", "y"))
    assert repr(named) == (
        "ChannelMask(1 of 1 channels kept (100.0 %), 1 site, classes "
        "('x', 'y'))"
    )


def test_mask_does_not_follow_the_callers_array():
    array = np.array([True, False])
    mask = ChannelMask({"a": array})
    array[:] = True
    assert mask["a"].tolist() == [True, False]
    with pytest.raises(ValueError, match="read-only"):
        mask["a"][0] = False


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        ({}, "got no site"),
        ({"a": np.ones(2)}, r"site 'a': got shape \(2,\) and dtype float64"),
        ({"a": np.ones((1, 2), bool)}, r"got shape \(1, 2\) and dtype bool"),
        ({"a": np.ones(0, bool)}, r"got shape \(0,\)"),
    ],
)
def test_bad_masks(keep, message):
    with pytest.raises(ValueError, match=message):
        ChannelMask(keep)


def test_same_channels():
    mask = union(_IMPORTANCE, ("cat",), 0.3)
    assert mask.same_channels(ChannelMask(dict(reversed(mask.keep.items()))))
    assert not mask.same_channels(union(_IMPORTANCE, ("cat",), 0.5))
    assert not mask.same_channels(ChannelMask({"one": mask["one"]}))
    other_width = {"one": np.ones(5, bool), "two": mask["two"]}
    assert not mask.same_channels(ChannelMask(other_width))


def test_save_load_round_trip(tmp_path):
    path = tmp_path / "mask.safetensors"
    mask = union(_IMPORTANCE, ("cow", "cat"), 0.3)
    mask.save(path)
    loaded = ChannelMask.load(path)
    assert loaded.same_channels(mask)
    assert loaded.sites == mask.sites
    assert loaded.class_names == mask.class_names
    assert loaded.provenance == mask.provenance
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_an_importance_file_is_no_mask(tmp_path):
    path = tmp_path / "civ.safetensors"
    _IMPORTANCE.save(path)
    with pytest.raises(
        ValueError, match="holds a channel importance, expected a channel mask"
    ):
        ChannelMask.load(path)


def test_check_sites():
    mask = ChannelMask({"a": np.array([True])})
    mask.check_sites({"a": 1}, "net")
    with pytest.raises(
        ValueError, match="'net', site 'a': the mask has 1 chan"
    ):
        mask.check_sites({"a": 2}, "net")
