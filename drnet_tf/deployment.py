"""What a network costs once it is a LiteRT file: bytes, milliseconds."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras


def load_drnet_tflite(caller: str) -> Any:
    """The deployment package, which is installed as an extra.

    Args:
      caller: whose name stands in the error.

    Raises:
      ImportError: it is not installed.
    """
    try:
        # The package itself loads it only when it is needed.
        importlib.import_module("ai_edge_litert")
        return importlib.import_module("drnet_tflite")
    except ImportError as error:
        raise ImportError(
            f"{caller}: {error}; the converter needs the extra 'tflite', "
            "install it with: pip install 'drnet_tf[tflite]'."
        ) from error


def file_bytes(network: keras.Model, labels: Sequence[str]) -> int:
    """Size of the network's float32 `.tflite` file, which holds its labels."""
    return _converted(network, labels, lambda path: path.stat().st_size)


def file_milliseconds(network: keras.Model, labels: Sequence[str]) -> float:
    """Median time of one image on this machine's CPU, one thread."""
    package = load_drnet_tflite("max_milliseconds")
    return _converted(
        network, labels, lambda path: package.measure_latency(path).median_ms
    )


def _converted(
    network: keras.Model, labels: Sequence[str], measure: Any
) -> Any:
    package = load_drnet_tflite("a budget of the file")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network.tflite")
        package.convert(network, path, labels=labels)
        return measure(path)
