"""Folders that are written whole or not at all."""

from __future__ import annotations

import pytest

from drnet_tf.reporting.output_folder import (
    check_folder,
    folder_names,
    staged,
)


def files(folder):
    return {
        str(path.relative_to(folder)): path.read_text("utf-8")
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_files_move_together_and_others_stay(tmp_path):
    out = tmp_path / "out"
    (out / "pair").mkdir(parents=True)
    (out / "pair" / "old").write_text("old", "utf-8")
    (out / "page").write_text("old", "utf-8")
    with staged(out) as draft:
        (draft / "page").write_text("new", "utf-8")
        (draft / "pair").mkdir()
        (draft / "pair" / "net").write_text("new", "utf-8")
        assert files(draft.parent)["page"] == "old"
    assert files(tmp_path) == {
        "out/page": "new",
        "out/pair/net": "new",
        "out/pair/old": "old",
    }


def test_a_new_folder_appears_only_when_all_is_well(tmp_path):
    with pytest.raises(ZeroDivisionError), staged(tmp_path / "out") as draft:
        (draft / "page").write_text("half", "utf-8")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
    with staged(tmp_path / "out") as draft:
        (draft / "page").write_text("whole", "utf-8")
    assert files(tmp_path) == {"out/page": "whole"}


def test_folders_that_cannot_be_written_are_refused(tmp_path):
    (tmp_path / "file").write_text("mine", "utf-8")
    with pytest.raises(ValueError, match="cannot be written"):
        check_folder(tmp_path / "file")
    with pytest.raises(ValueError, match="the folder '.*/no' does not exist"):
        check_folder(tmp_path / "no" / "out")
    check_folder(tmp_path / "new")
    assert files(tmp_path) == {"file": "mine"}


def test_names_are_safe_and_different():
    long = [f"class number {i}" for i in range(20)]
    names = folder_names([("a", "b"), ("a-b",), ("..",), long, long[:19]])
    assert names[:3] == ("a-b", "a-b_", "_")
    assert len(set(names)) == 5
    assert all("/" not in name and len(name) <= 61 for name in names)
