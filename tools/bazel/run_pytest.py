"""Runs one test file under pytest: the main program of every Bazel test."""

from __future__ import annotations

import os
import sys

import pytest

if __name__ == "__main__":
    sys.exit(
        pytest.main(
            [
                # The sources may not be written to.
                "-p",
                "no:cacheprovider",
                f"--basetemp={os.environ['TEST_TMPDIR']}/pytest",
                f"--junitxml={os.environ['XML_OUTPUT_FILE']}",
                *sys.argv[1:],
            ]
        )
    )
