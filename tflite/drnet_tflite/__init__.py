"""Deployment of drnet_tf's networks: convert to LiteRT files and run them.

Only `convert` needs TensorFlow and Keras, only `run` and the timers need
LiteRT; each is loaded when it is first asked for, so that the import itself
costs next to nothing:

    report = drnet_tflite.convert(keras_model, "small.tflite", labels=names)
    scores = drnet_tflite.run("small.tflite", images)
    names = drnet_tflite.read_labels("small.tflite")

A bundle holds a full network and the importance of every class; sub-networks
are cut out of it with NumPy alone:

    drnet_tflite.write_bundle(keras_model, importance, "pets.tflite")
    bundle = drnet_tflite.Bundle("pets.tflite")
    small = bundle.extract(["cat", "dog"], kept_fraction=0.3)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from drnet_tflite.bundle_report import BundleReport
    from drnet_tflite.bundle_writer import write_bundle
    from drnet_tflite.bundles.bundle import Bundle
    from drnet_tflite.bundles.errors import BundleError
    from drnet_tflite.converter import convert
    from drnet_tflite.metadata import Metadata, read_labels, read_metadata
    from drnet_tflite.report import ConversionReport
    from drnet_tflite.runtime import (
        Latency,
        compare_latency,
        measure_latency,
        run,
    )
    from drnet_tflite.subtask_runtime import SubTaskRuntime

__all__ = [
    "Bundle",
    "BundleError",
    "BundleReport",
    "ConversionReport",
    "Latency",
    "Metadata",
    "SubTaskRuntime",
    "compare_latency",
    "convert",
    "measure_latency",
    "read_labels",
    "read_metadata",
    "run",
    "write_bundle",
]

_MODULES = {
    "Bundle": "bundles.bundle",
    "BundleError": "bundles.errors",
    "BundleReport": "bundle_report",
    "ConversionReport": "report",
    "Latency": "runtime",
    "Metadata": "metadata",
    "SubTaskRuntime": "subtask_runtime",
    "compare_latency": "runtime",
    "convert": "converter",
    "measure_latency": "runtime",
    "read_labels": "metadata",
    "read_metadata": "metadata",
    "run": "runtime",
    "write_bundle": "bundle_writer",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"drnet_tflite.{_MODULES[name]}")
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
