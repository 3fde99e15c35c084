"""Set before any test module imports TensorFlow, which reads it only once."""

from __future__ import annotations

import os

# TensorFlow's own log lines would bury the report of a failed test.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
