"""How long it takes from class names to the first answer of their network."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import drnet_tflite
import keras
import numpy as np
from drnet_tflite.bundles.bundle import Bundle
from drnet_tflite.bundles.selection import Selection

from drnet_tf.masks import ChannelMask
from drnet_tf.pruning import prune


def first_answers(
    bundle: Bundle,
    model: keras.Model,
    classes: list[str],
    request: Any,
    folder: Path,
) -> dict[str, Any]:
    """Seconds from class names to scores, by the bundle and by Keras.

    Args:
      bundle: of the network.
      model: the Keras model.
      classes: the sub-task.
      request: arguments of `Bundle.extract`.
      folder: for files.
    """
    image = np.zeros((1, *model.input_shape[1:]), np.float32)
    runtime = drnet_tflite.SubTaskRuntime(bundle, folder / "cache")
    found: dict[str, Any] = {}
    start = time.perf_counter()
    bundle.extract(classes, **request)
    found["extract"] = time.perf_counter() - start
    for name in ("bundle", "bundle, again"):
        start = time.perf_counter()
        network = runtime.open(classes, **request)
        opened = time.perf_counter()
        network.run(image)
        end = time.perf_counter()
        found[name] = {
            "open": opened - start,
            "first_run": end - opened,
            "total": end - start,
        }
    selection = bundle.select(classes, **request)
    mask = ChannelMask(bundle.mask(selection))
    found["keras"] = _by_keras(model, mask, selection, folder)
    total = found["bundle"]["total"]
    found["times_faster"] = found["keras"]["total"] / total
    return found


def _by_keras(
    model: keras.Model,
    mask: ChannelMask,
    selection: Selection,
    folder: Path,
) -> dict[str, float]:
    image = np.zeros((1, *model.input_shape[1:]), np.float32)
    path = folder / "keras.tflite"
    start = time.perf_counter()
    pruned = prune(model, mask, classes=selection.outputs.tolist())
    cut = time.perf_counter()
    drnet_tflite.convert(pruned.model, path, labels=selection.class_names)
    converted = time.perf_counter()
    drnet_tflite.run(path, image)
    end = time.perf_counter()
    return {
        "prune": cut - start,
        "convert": converted - cut,
        "load_and_first_run": end - converted,
        "total": end - start,
    }
