"""The folder `tflite` and the package inside it."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import drnet_tflite
import pytest
from drnet_tflite import converter, native_log, operators


def test_the_folder_does_not_shadow_the_package_named_tflite():
    folder = pathlib.Path(drnet_tflite.__file__).parents[1]
    assert folder.name == "tflite"
    assert not (folder / "__init__.py").exists()


def test_every_public_name_is_there():
    for name in drnet_tflite.__all__:
        assert getattr(drnet_tflite, name).__doc__
    assert set(drnet_tflite.__all__) <= set(dir(drnet_tflite))
    assert set(drnet_tflite.__all__) == set(drnet_tflite._MODULES)
    assert drnet_tflite.convert is converter.convert
    with pytest.raises(AttributeError, match="no attribute 'konvert'"):
        getattr(drnet_tflite, "kon" + "vert")


def test_the_import_costs_next_to_nothing():
    """Milliseconds beside NumPy's, and neither framework nor runtime."""
    code = """
import sys, time
import numpy
start = time.perf_counter()
import drnet_tflite
taken = time.perf_counter() - start
heavy = {"tensorflow", "keras", "ai_edge_litert", "absl", "drnet_tf"}
before = sorted(heavy & set(sys.modules))
drnet_tflite.read_labels, drnet_tflite.Metadata, dir(drnet_tflite)
print(before, sorted(heavy & set(sys.modules)), taken < 0.15)
"""
    # The quickest of three: another program may hold up any one.
    results = {_run(code) for _ in range(3)}
    assert "[] [] True\n" in results


def _run(code):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(filter(None, sys.path))},
    ).stdout


def test_standard_error_comes_back_after_an_error(capfd):
    with pytest.raises(KeyError), native_log.native_log_hidden():
        os.write(2, b"hidden\n")
        raise KeyError
    os.write(2, b"seen\n")
    assert capfd.readouterr().err == "seen\n"


def test_custom_operators_are_told_apart():
    found = operators.custom_operators({"ADD": 2, "CUSTOM FlexErf": 1})
    assert found == ["FlexErf"]
    with pytest.raises(ValueError, match="11 bytes that are no LiteRT model"):
        operators.count_operators(b"a text file")
