"""What a recipe's errors become."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]


def program(body):
    # Only the wrapper is tested; an empty module saves TensorFlow's seconds.
    code = (
        "import sys, types\n"
        "sys.modules['tensorflow'] = types.ModuleType('tensorflow')\n"
        f"import running\ndef main():\n    {body}\nrunning.run(main)"
    )
    path = f"{ROOT / 'recipes'}:{ROOT / 'tflite'}:{ROOT}"
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
    )


@pytest.mark.parametrize("kind", ["ValueError", "TypeError", "OSError"])
def test_errors_of_the_library(kind):
    done = program(f"raise {kind}('mask: got 3,\\n   expected 4.')")
    assert done.returncode == 2
    assert done.stderr == "error: mask: got 3, expected 4.\n"


def test_interruption():
    done = program("raise KeyboardInterrupt")
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


def test_faults_of_the_program_keep_their_traceback():
    done = program("raise ZeroDivisionError('fault')")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "ZeroDivisionError: fault" in done.stderr


def test_success_and_the_log_level():
    done = program("import os; print(os.environ['TF_CPP_MIN_LOG_LEVEL'])")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3")
