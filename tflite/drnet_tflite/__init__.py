"""Deployment of drnet_tf's networks: convert to LiteRT files and run them.

Running and timing a file need neither TensorFlow nor Keras; only `convert`
does, and it loads them when it is first asked for:

    report = drnet_tflite.convert(keras_model, "small.tflite", labels=names)
    scores = drnet_tflite.run("small.tflite", images)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from drnet_tflite.report import ConversionReport
from drnet_tflite.runtime import Latency, compare_latency, measure_latency, run

if TYPE_CHECKING:
    from drnet_tflite.converter import convert

__all__ = [
    "ConversionReport",
    "Latency",
    "compare_latency",
    "convert",
    "measure_latency",
    "run",
]


def __getattr__(name: str) -> Any:
    if name != "convert":  # The one name that needs TensorFlow.
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module("drnet_tflite.converter").convert


def __dir__() -> list[str]:
    return sorted({*globals(), "convert"})
