from __future__ import annotations

import json
import pathlib

import numpy as np
import pytest
import safetensors.numpy

from drnet_tf import artifacts


def _files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_round_trip_keeps_types_shapes_and_header(tmp_path):
    arrays = {
        "b/relu:1": np.array([True, False]),
        "a": np.arange(6, dtype=np.float32).reshape(2, 3).T,  # a view
        "c": np.array(3, np.int64),
        "d": np.zeros((0, 4), np.float16),
    }
    header = {
        "names": ("x", "y"),
        "n": np.int64(2),
        "nested": {"f": np.float32(0.5), "list": np.arange(2)},
        "nan": float("nan"),
        3: pathlib.PurePosixPath("a/b"),
    }
    path = tmp_path / "x.safetensors"
    artifacts.save_arrays(path, arrays, header, kind="test_thing")
    loaded, got = artifacts.load_arrays(path, kind="test_thing")
    assert sorted(loaded) == sorted(arrays)
    for name, array in arrays.items():
        assert loaded[name].dtype == array.dtype
        assert loaded[name].shape == array.shape
        np.testing.assert_array_equal(loaded[name], array)
    assert got == {
        "format": 1,
        "kind": "test_thing",
        "package_version": artifacts.VERSION,
        "names": ["x", "y"],
        "n": 2,
        "nested": {"f": 0.5, "list": [0, 1]},
        "nan": None,
        "3": "a/b",
    }
    assert _files(tmp_path) == ["x.safetensors"]


def test_same_content_gives_same_bytes_in_any_order(tmp_path):
    a, b = np.ones(3, np.float32), np.zeros((2, 2), bool)
    artifacts.save_arrays(
        tmp_path / "1", {"a": a, "b": b}, {"x": 1, "y": {"p": 1, "q": 2}}, "k"
    )
    artifacts.save_arrays(
        tmp_path / "2", {"b": b, "a": a}, {"y": {"q": 2, "p": 1}, "x": 1}, "k"
    )
    first = (tmp_path / "1").read_bytes()
    assert first == (tmp_path / "2").read_bytes()
    artifacts.save_arrays(tmp_path / "3", {"a": a, "b": ~b}, {"x": 1}, "k")
    assert first != (tmp_path / "3").read_bytes()


def test_saved_arrays_may_be_read_like_any_other_file(tmp_path):
    plain = tmp_path / "plain.txt"
    plain.write_text("any other file")
    path = tmp_path / "saved.safetensors"
    artifacts.save_arrays(path, {"a": np.arange(2)}, {}, kind="numbers")
    assert path.stat().st_mode == plain.stat().st_mode


def test_header_may_not_use_the_formats_own_names(tmp_path):
    with pytest.raises(ValueError, match="'kind' is set by the file format"):
        artifacts.save_arrays(tmp_path / "x", {}, {"kind": "other"}, "k")


@pytest.mark.parametrize("array", [np.array(["a"]), np.array([1j])])
def test_unsupported_dtype(tmp_path, array):
    with pytest.raises(ValueError, match="Array 'a' for .*got dtype"):
        artifacts.save_arrays(tmp_path / "x", {"a": array}, {}, "k")
    assert _files(tmp_path) == []


def test_missing_file(tmp_path):
    with pytest.raises(
        ValueError, match="no such file; expected a saved channel mask"
    ):
        artifacts.load_arrays(tmp_path / "none", "channel_mask")
    with pytest.raises(ValueError, match="no such file"):
        artifacts.load_arrays(tmp_path, "channel_mask")


@pytest.mark.parametrize("keep", [0, 4, 60, -1])
def test_truncated_file(tmp_path, keep):
    path = tmp_path / "x.safetensors"
    artifacts.save_arrays(path, {"a": np.ones(9)}, {}, "channel_mask")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match="x.safetensors': damaged or no safe"):
        artifacts.load_arrays(path, "channel_mask")


def test_damaged_header(tmp_path):
    path = tmp_path / "x"
    safetensors.numpy.save_file(
        {"a": np.ones(1)}, path, metadata={"drnet_tf": "{"}
    )
    with pytest.raises(ValueError, match="damaged"):
        artifacts.load_arrays(path, "k")


def test_file_of_another_program(tmp_path):
    path = tmp_path / "x"
    safetensors.numpy.save_file({"a": np.ones(1)}, path)
    with pytest.raises(ValueError, match="another program; expected a mask"):
        artifacts.load_arrays(path, "mask")


def test_other_kind(tmp_path):
    path = tmp_path / "x"
    artifacts.save_arrays(path, {}, {}, "channel_mask")
    with pytest.raises(
        ValueError,
        match="holds a channel mask, expected a channel importance; pass the",
    ):
        artifacts.load_arrays(path, "channel_importance")


def test_newer_format(tmp_path, monkeypatch):
    path = tmp_path / "x"
    with monkeypatch.context() as patch:
        patch.setattr(artifacts, "FORMAT", 7)
        patch.setattr(artifacts, "VERSION", "9.0.0")
        artifacts.save_arrays(path, {}, {}, "k")
    with pytest.raises(
        ValueError, match="format 7 by drnet_tf 9.0.0.*update the package"
    ):
        artifacts.load_arrays(path, "k")


@pytest.mark.parametrize("make", [artifacts.check_writable, None])
def test_missing_folder(tmp_path, make):
    path = tmp_path / "no" / "x.json"
    make = make or (lambda p: artifacts.write_json(p, {}))
    with pytest.raises(
        ValueError, match="cannot be written: the folder .*no' does not exist"
    ):
        make(path)
    assert _files(tmp_path) == []


def test_path_is_a_folder(tmp_path):
    with pytest.raises(ValueError, match="it is a folder; add a file name"):
        artifacts.check_writable(tmp_path)


def test_path_below_a_file(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match="cannot be written: Not a directory"):
        artifacts.check_writable(tmp_path / "file" / "x.json")


def test_check_writable_leaves_nothing(tmp_path):
    artifacts.check_writable(tmp_path / "x.json")
    assert _files(tmp_path) == []


def test_failed_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "x.weights.h5"
    path.write_text("old")

    def write(temporary):
        assert temporary.parent == tmp_path
        assert temporary.name.endswith(".weights.h5")
        temporary.write_text("half")
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        artifacts.write_atomically(path, write)
    assert path.read_text() == "old"
    assert _files(tmp_path) == ["x.weights.h5"]


def test_several_files_are_written_all_or_none(tmp_path):
    def fail(path):
        raise RuntimeError("stopped")

    def write(path):
        path.write_text("new")

    with pytest.raises(RuntimeError):
        artifacts.write_together({tmp_path / "a": write, tmp_path / "b": fail})
    assert _files(tmp_path) == []
    artifacts.write_together({tmp_path / "a": write, tmp_path / "b": write})
    assert _files(tmp_path) == ["a", "b"]


def test_json_is_plain_and_ordered(tmp_path):
    path = tmp_path / "x.json"
    artifacts.write_json(path, {"z": np.float32(1.5), "a": [np.inf, "é"]})
    assert path.read_text("utf-8").index("z") < path.read_text().index('"a"')
    assert json.loads(path.read_text()) == {"z": 1.5, "a": [None, "é"]}
