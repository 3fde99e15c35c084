"""Whether the memory of a dissection grows with the number of images.

Dissects a small ConvNet on synthetic datasets of different sizes, each in a
process of its own, and takes its highest resident memory. The images are made
as they are read, so what grows would be the library's. The journal is on, so
that nothing is spared.

Writes: with `--output` a JSON file. Prints one row a size. Ends with an error
if the largest run needs over `--tolerance_mb` more than the smallest.

Example: python benchmarks/dissection_memory.py \
--output=results/dissection_memory.json

Takes about 3 minutes on 2 cores.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags

_ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(_ROOT))  # runs uninstalled, too

_COUNTS = flags.DEFINE_list(
    "images", ["200", "800", "3200"], "Images dissected, one run each."
)
_SIDE = flags.DEFINE_integer("side", 32, "Height and width of the images.", 8)
_ITERATIONS = flags.DEFINE_integer("iterations", 5, "T, updates.", 1)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 50, "Images at a time.", 1)
_TOLERANCE = flags.DEFINE_float("tolerance_mb", 50.0, "Growth allowed.")
_OUTPUT = flags.DEFINE_string("output", None, "The .json file to write.")
_CHILD = flags.DEFINE_integer(
    "measure", None, "Dissect as many images here and print the peak as JSON."
)

_CLASSES = 2
# The network finds the class by the red channel alone; all is classified right.
_BRIGHT = 1.0


class MadeImages:
    """Labelled noise, made anew, and the same, at every pass."""

    def __init__(self, count: int, side: int) -> None:
        self._count, self._side = count, side

    def __iter__(self) -> Iterator[tuple[np.ndarray, int]]:
        random = np.random.default_rng(0)
        for number in range(self._count):
            label = number % _CLASSES
            shape = (self._side, self._side, 3)
            image = 0.1 * random.standard_normal(shape, np.float32)
            image[..., 0] += _BRIGHT if label else -_BRIGHT
            yield image, label


def main(_: list[str]) -> None:
    if _CHILD.value is not None:
        print(json.dumps(_measure(_CHILD.value)))
        return
    from drnet_tf.artifacts import check_writable, write_json

    if _OUTPUT.value:
        check_writable(_OUTPUT.value)
    rows = []
    print("  images  all images MB  peak MB  seconds")
    for count in sorted(int(count) for count in _COUNTS.value):
        rows.append(_in_own_process(count))
        print(
            "{images:8d}  {all_images_mb:13.1f}  {peak_mb:7.1f}  "
            "{seconds:7.1f}".format(**rows[-1]),
            flush=True,
        )
    growth = rows[-1]["peak_mb"] - rows[0]["peak_mb"]
    print(
        f"{rows[-1]['images'] / rows[0]['images']:.0f} times the images: "
        f"{growth:+.1f} MB"
    )
    if _OUTPUT.value:
        report = {
            "rows": rows,
            "growth_mb": growth,
            "tolerance_mb": _TOLERANCE.value,
            "iterations": _ITERATIONS.value,
            "batch_size": _BATCH_SIZE.value,
            "machine": {
                "cores": os.cpu_count(),
                "system": platform.system(),
                "python": platform.python_version(),
                "tensorflow": metadata.version("tensorflow"),
                "keras": metadata.version("keras"),
            },
        }
        write_json(_OUTPUT.value, report)
    if growth > _TOLERANCE.value:
        sys.exit(f"The peak grew by over {_TOLERANCE.value} MB.")


def _in_own_process(count: int) -> dict[str, Any]:
    done = subprocess.run(
        [
            sys.executable,
            __file__,
            f"--measure={count}",
            f"--side={_SIDE.value}",
            f"--iterations={_ITERATIONS.value}",
            f"--batch_size={_BATCH_SIZE.value}",
        ],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def _measure(count: int) -> dict[str, Any]:
    from drnet_tf.dissection.cdrp import CDRP
    from drnet_tf.dissection.dissect import dissect

    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        dissect(
            _network(_SIDE.value),
            MadeImages(count, _SIDE.value),
            CDRP(_ITERATIONS.value, balance=1.0),
            class_names=("dark", "bright"),
            images_per_class=count // _CLASSES,
            batch_size=_BATCH_SIZE.value,
            work_dir=folder,
            progress=False,
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "images": count,
        "all_images_mb": count * _SIDE.value**2 * 3 * 4 / 2**20,
        # Linux counts in KiB, macOS in bytes.
        "peak_mb": peak / (2**20 if sys.platform == "darwin" else 2**10),
        "seconds": time.perf_counter() - start,
    }


def _network(side: int) -> Any:
    """A ConvNet whose last score is that of the brighter red."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    image = keras.Input((side, side, 3))
    x = layers.Conv2D(16, 3, padding="same", activation="relu")(image)
    x = layers.Conv2D(32, 3, padding="same", activation="relu")(x)
    noise = layers.GlobalAveragePooling2D()(x)
    red = layers.Conv2D(2, 1, activation="relu", name="red")(image)
    x = layers.Concatenate()([layers.GlobalAveragePooling2D()(red), noise])
    scores = layers.Dense(_CLASSES, name="scores")
    model = keras.Model(image, scores(x), name="by_brightness")
    kernel = np.zeros((1, 1, 3, 2), np.float32)
    kernel[0, 0, 0] = -1, 1
    model.get_layer("red").set_weights([kernel, np.zeros(2, np.float32)])
    weights = 0.01 * np.random.default_rng(0).normal(size=(34, _CLASSES))
    weights[:2] = 5 * np.eye(2)
    scores.set_weights([weights, np.zeros(_CLASSES)])
    return model


if __name__ == "__main__":
    app.run(main)
