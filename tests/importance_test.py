from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from drnet_tf.artifacts import save_arrays
from drnet_tf.importance import Cdrps, ChannelImportance
from drnet_tf.masks import ChannelMask


def _importance(**changes):
    fields = {
        "scores": {
            "b": np.array([[0.5, 0.0], [0.0, 0.0], [0.25, 1e-9]]),
            "a": np.array([[1.0, 0.0, 2.0], [0.0, 0.0, 3.0], [0, 0, 0]]),
        },
        "class_names": ("cat", "cow", "dog"),
        "method": "cdrp",
        "config": {"gamma": 0.05},
        "diagnostics": {"flipped": {"cat": 0.1}},
        "fingerprint": "abc",
    }
    return ChannelImportance(**{**fields, **changes})


def test_scores_become_read_only_float32_copies():
    scores = {"a": np.ones((1, 2))}
    importance = _importance(scores=scores, class_names=["x"])
    scores["a"][:] = 5
    assert importance.class_names == ("x",)
    assert importance.scores["a"].dtype == np.float32
    assert importance.scores["a"].tolist() == [[1, 1]]
    assert importance.channels == {"a": 2}
    with pytest.raises(ValueError, match="read-only"):
        importance.scores["a"][0, 0] = 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        importance.method = "x"


def test_similarity_of_the_best_channels_of_each_class():
    scores = {"a": [[3, 1], [1, 3], [2, 0]], "b": [[2, 1], [2, 1], [0, 0]]}
    importance = ChannelImportance(
        {site: np.array(x) for site, x in scores.items()}, ("x", "y", "z"), "m"
    )
    # Of 4 channels the best 2: {0, 2}, {1, 2}, and {0} alone above zero.
    np.testing.assert_allclose(
        importance.similarity(0.5),
        [[1, 1 / 3, 1 / 2], [1 / 3, 1, 0], [1 / 2, 0, 1]],
    )
    # Of equal ones, those that stand first; and never none.
    assert importance.similarity(0.01)[0].tolist() == [1, 0, 1]
    for share in (0, 1.5):
        with pytest.raises(ValueError, match=f"similarity: share: got {share}"):
            importance.similarity(share)


def test_similarity_by_hand():
    # Channels in use: cat {b0, a0, a2}, cow {a2}, dog {b0} (1e-9 is zero).
    expected = [[1, 1 / 3, 1 / 3], [1 / 3, 1, 0], [1 / 3, 0, 1]]
    similarity = _importance().similarity()
    assert similarity.dtype == np.float64
    np.testing.assert_allclose(similarity, expected, rtol=1e-12)


def test_classes_without_channels_are_alike():
    importance = _importance(
        scores={"a": np.array([[0.0], [0.0], [1.0]], np.float32)}
    )
    np.testing.assert_array_equal(
        importance.similarity(), [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scores": {}}, "got no site"),
        ({"class_names": ()}, "got no class names"),
        ({"class_names": ("a", "b", "a")}, "class name 'a' stands twice"),
        ({"class_names": ("a", "b", 3)}, "class name 2 is 3, expected a text"),
        ({"class_names": "abc"}, "class_names is the text 'abc'"),
        (
            {"class_names": ("a", "b")},
            "scores of site 'b' have 3 rows, expected one for each of the 2",
        ),
        (
            {"scores": {"a": np.ones(3)}},
            r"site 'a' have shape \(3,\) and dtype float64, expected numbers",
        ),
        ({"scores": {"a": np.ones((3, 0))}}, r"have shape \(3, 0\)"),
        ({"scores": {"a": np.array([["x"]] * 3)}}, "dtype <U1"),
        (
            {"scores": {"a": np.array([[1.0], [np.nan], [1.0]])}},
            "site 'a' hold nan at row 1, channel 0, expected finite",
        ),
        ({"scores": {"a": np.array([[1.0], [2], [np.inf]])}}, "hold inf"),
        (
            {"images": np.full((3, 2, 4), np.nan)},
            "images hold NaN or infinite values",
        ),
        ({"images": np.full((3, 2, 4), "a")}, "dtype <U1, expected numbers"),
        ({"images": np.zeros((2, 2, 4))}, r"images have shape \(2, 2, 4\)"),
    ],
)
def test_bad_fields(changes, message):
    with pytest.raises(ValueError, match=message):
        _importance(**changes)


def test_save_load_round_trip_keeps_site_order(tmp_path):
    path = tmp_path / "civ.safetensors"
    importance = _importance()
    importance.save(path)
    loaded = ChannelImportance.load(path)
    assert list(loaded.scores) == ["b", "a"]
    for site, values in importance.scores.items():
        np.testing.assert_array_equal(loaded.scores[site], values)
    for name in ("class_names", "method", "config", "diagnostics"):
        assert getattr(loaded, name) == getattr(importance, name)
    assert loaded.fingerprint == "abc"
    loaded.save(tmp_path / "again.safetensors")
    assert path.read_bytes() == (tmp_path / "again.safetensors").read_bytes()


def test_same_content_same_bytes_whatever_the_order_of_settings(tmp_path):
    _importance(config={"a": 1, "b": 2}).save(tmp_path / "1")
    _importance(config={"b": 2, "a": 1}).save(tmp_path / "2")
    _importance(config={"b": 2, "a": 0}).save(tmp_path / "3")
    first, second, third = ((tmp_path / name).read_bytes() for name in "123")
    assert first == second != third


def test_class_rows_follow_the_question():
    assert _importance().class_rows(("dog", "cat")) == [2, 0]
    with pytest.raises(ValueError, match="unknown class 'pig'; known: cat, c"):
        _importance().class_rows(("cat", "pig"))


def test_check_sites():
    importance = _importance()
    importance.check_sites({"b": 2, "a": 3}, "net")
    with pytest.raises(ValueError, match="'net', site 'a': the importance has"):
        importance.check_sites({"b": 2, "a": 4}, "net")


def test_repr():
    assert repr(_importance()) == (
        "ChannelImportance(3 classes, 2 sites, 5 channels, method='cdrp')"
    )


def _cdrps(**changes):
    fields = {
        "gates": {"a": np.ones((2, 3)), "b": np.zeros((2, 1))},
        "flipped": [False, True],
        "kl": [0.5, np.inf],
        "iteration": [30, 0],
    }
    return Cdrps(**{**fields, **changes})


def test_cdrps_types():
    cdrps = _cdrps()
    assert len(cdrps) == 2
    assert cdrps.gates["a"].dtype == np.float32
    assert (cdrps.flipped.dtype, cdrps.kl.dtype, cdrps.iteration.dtype) == (
        np.bool_,
        np.float32,
        np.int32,
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gates": {}}, "got no site"),
        ({"kl": [0.5]}, r"kl has shape \(1,\), the gates of site 'a' are of 2"),
        (
            {"gates": {"a": np.ones((2, 3)), "b": np.zeros((3, 1))}},
            "the gates of site 'b' are of 3 images",
        ),
        ({"gates": {"a": np.full((2, 1), np.nan)}}, "hold nan at row 0"),
        ({"gates": {"a": np.ones(2)}}, r"expected numbers of shape \(images"),
    ],
)
def test_bad_cdrps(changes, message):
    with pytest.raises(ValueError, match=message):
        _cdrps(**changes)


def test_images_are_halves_where_those_hold_them():
    halves = _importance(images=np.full((3, 2, 4), 65_504.0)).images
    assert halves.dtype == np.float16 and halves.max() == 65_504
    images = np.full((3, 2, 4), 65_535, np.uint16)
    importance = _importance(images=images)
    assert importance.images.dtype == np.float32
    np.testing.assert_array_equal(importance.images, images)
    np.testing.assert_array_equal(importance.images_of(("cow",)), images[1])


def test_large_images_are_saved_as_they_are(tmp_path):
    importance = _importance(images=np.full((3, 2, 4), 65_535))
    importance.save(tmp_path / "civ")
    loaded = ChannelImportance.load(tmp_path / "civ")
    np.testing.assert_array_equal(loaded.images, importance.images)


def test_every_damage_of_a_header_is_a_sentence_about_the_file(tmp_path):
    path = tmp_path / "civ.safetensors"
    mask = ChannelMask({"a": np.ones(2, bool)}, ("x",), {"rule": "union"})
    for saved in (_importance(images=np.zeros((3, 2, 4))), mask):
        saved.save(path)
        content, refused = path.read_bytes(), 0
        for place in range(8, 8 + int.from_bytes(content[:8], "little"), 3):
            damaged = bytearray(content)
            damaged[place] ^= 1 << place % 7
            path.write_bytes(damaged)
            try:
                type(saved).load(path)  # another name is not noticed
            except ValueError as error:
                assert str(error).startswith(f"'{path}'")
                refused += 1
        assert refused > 50


def test_headers_without_entries_are_damaged(tmp_path):
    path = tmp_path / "x"
    for kind, name in (
        (ChannelImportance, "channel_importance"),
        (ChannelMask, "channel_mask"),
    ):
        save_arrays(path, {"a": np.ones(2, bool)}, {"sites": ["a"]}, name)
        with pytest.raises(
            ValueError, match="damaged .*KeyError: 'class_names"
        ):
            kind.load(path)
