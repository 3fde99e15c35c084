"""Tests of drnet_tflite/subtask_cache.py."""

from __future__ import annotations

import multiprocessing
import os
import time

import pytest
from drnet_tflite.bundles.errors import BundleError
from drnet_tflite.bundles.whole_files import written_whole
from drnet_tflite.subtask_cache import SubTaskCache


def names(folder):
    return sorted(x.suffix for x in folder.iterdir())


def made(size, letter="x"):
    return lambda: letter.encode() * size


def test_a_model_is_made_once(tmp_path):
    cache = SubTaskCache(tmp_path / "new" / "folder", 1000)
    first = cache.get("cat", made(10))
    assert first.path.read_bytes() == b"x" * 10
    again = cache.get("cat", lambda: pytest.fail("made twice"))
    assert again == first
    # Named by its bytes: packed weights of others would give their answers.
    assert first.weights.stem == first.path.stem[65:]
    assert cache.get("dog", made(10)).weights == first.weights
    assert cache.get("eel", made(10, "y")).weights != first.weights


def test_the_least_recently_used_goes_with_its_weights(tmp_path):
    cache = SubTaskCache(tmp_path, 35)
    old, kept = cache.get("a", made(10, "a")), cache.get("b", made(10, "b"))
    old.weights.write_bytes(b"w" * 10)
    for path, age in ((old.path, 200), (kept.path, 100)):
        os.utime(path, (time.time() - age,) * 2)
    new = cache.get("c", made(15, "c"))
    assert new.path.exists() and kept.path.exists()
    assert not old.path.exists() and not old.weights.exists()
    # Asked for again, it is the youngest.
    os.utime(new.path, (time.time() - 50,) * 2)
    cache.get("b", made(10, "b"))
    cache.get("d", made(20, "d"))
    assert kept.path.exists() and not new.path.exists()


def test_a_model_larger_than_the_cache_stays_alone(tmp_path):
    cache = SubTaskCache(tmp_path, 5)
    first = cache.get("a", made(10, "a"))
    second = cache.get("b", made(10, "b"))
    assert not first.path.exists() and second.path.exists()


def test_leftovers_of_a_kill_go_after_an_hour(tmp_path):
    young, old = tmp_path / "young.partial", tmp_path / "old.partial"
    orphan = tmp_path / ("0" * 64 + ".xnnpack_cache")
    for path in (young, old, orphan):
        path.write_bytes(b"half")
    for path in (old, orphan):
        os.utime(path, (time.time() - 4000,) * 2)
    SubTaskCache(tmp_path, 1000).get("a", made(10))
    assert names(tmp_path) == [".partial", ".tflite"]
    assert young.exists()


def test_what_fails_leaves_no_part(tmp_path):
    cache = SubTaskCache(tmp_path, 1000)
    with pytest.raises(ZeroDivisionError):
        cache.get("a", lambda: b"x" * (1 // 0))
    cached = cache.get("a", made(10))
    with pytest.raises(BundleError, match="No space left"):
        with written_whole(cached.weights) as partial:
            partial.write_bytes(b"half")
            raise OSError(28, "No space left on device")
    assert names(tmp_path) == [".tflite"]


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(BundleError, match="cannot be written"):
        SubTaskCache(file / "folder", 10).get("a", made(10))


def _ask(folder, start, errors):
    cache = SubTaskCache(folder, 55)  # five of the twelve
    for number in range(start, start + 200):
        key = str(number % 12)
        path = cache.get(key, made(10, key[-1])).path
        try:
            content = path.read_bytes()
        except FileNotFoundError:  # another process was faster
            continue
        if len(content) != 10 or len(set(content)) != 1:
            errors.put(content)


def test_processes_share_a_folder(tmp_path):
    context = multiprocessing.get_context("spawn")
    errors = context.Queue()
    workers = [
        context.Process(target=_ask, args=(tmp_path, start, errors))
        for start in (0, 5, 9)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    assert errors.empty()
    assert ".partial" not in names(tmp_path)
