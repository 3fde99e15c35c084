"""Converts a saved Keras model to a LiteRT file and checks it against Keras.

Reads: a `.keras` file of one image input and one output (`--model`), the class
names (`--labels`: `cat,dog`, or a text file with one name a line), and for
`--quantization=int8` images of those classes (`--data`, `--split`,
`--preprocessing`), which the other formats are checked on if they are given.
Writes: the `.tflite` file (`--output`), which holds the labels and, if it is
given, the `--preprocessing`; beside it `<name>.json` with the settings and
figures: size, operators, agreement with Keras. Prints the same figures.

Examples:
  python recipes/convert_tflite.py --model=small.keras --labels=cat,dog \
    --output=small.tflite
  python recipes/convert_tflite.py --model=small.keras --labels=cat,dog \
    --quantization=int8 --data=cifar10 --preprocessing=cifar10 \
    --output=small_int8.tflite

Takes seconds for networks of a few million parameters.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import data_flags
import running
from absl import flags

if TYPE_CHECKING:
    import keras
    import numpy as np

_MODEL = flags.DEFINE_string(
    "model", None, "The .keras file to convert.", required=True
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "The .tflite file to write.", required=True
)
_LABELS = flags.DEFINE_string(
    "labels",
    None,
    "Class names in the order of the outputs: a comma-separated list, or a "
    "text file with one name a line.",
)
_QUANTIZATION = flags.DEFINE_string(
    "quantization",
    "float32",
    "Number format of the file: float32, float16, dynamic or int8.",
)
_IMAGES = flags.DEFINE_integer(
    "representative_images", 50, "Images of --data for each class.", 1
)
_SPLIT = flags.DEFINE_string("split", "train", "Split that they are drawn of.")
_SEED = flags.DEFINE_integer("seed", 0, "Decides which images are drawn.")
_FLAGS = (_MODEL, _OUTPUT, _LABELS, _QUANTIZATION, _IMAGES, _SPLIT, _SEED)
# Here `--data` has a default, and so need not be given.
flags.FLAGS.set_default("data", "")


def main() -> None:
    import drnet_tflite
    import keras

    from drnet_tf.artifacts import check_writable, write_json

    summary = Path(_OUTPUT.value).with_suffix(".json")
    check_writable(summary)
    labels = _read_labels(_LABELS.value)
    model = keras.models.load_model(_MODEL.value, compile=False)
    report = drnet_tflite.convert(
        model,
        _OUTPUT.value,
        labels=labels,
        quantization=_QUANTIZATION.value,
        representative_images=_images(model, labels),
        **data_flags.normalisation(),
    )
    settings = {f.name: f.value for f in _FLAGS} | data_flags.settings()
    write_json(summary, {"settings": settings, "report": report.as_dict()})
    print(report)
    print(f"  settings and figures in {summary}")


def _images(model: keras.Model, labels: list[str] | None) -> np.ndarray | None:
    """Images of the classes in the labels, or of all of them."""
    from drnet_tf.reporting.samples import sample

    if not flags.FLAGS.data:
        return None
    images, names = data_flags.open_split(model, _SPLIT.value)
    return sample(
        images, labels or names, names, _IMAGES.value, seed=_SEED.value
    ).images


def _read_labels(text: str | None) -> list[str] | None:
    if text is None:
        return None
    if os.path.isfile(text):  # a list may be too long for a path
        return Path(text).read_text(encoding="utf-8").splitlines()
    if Path(text).suffix == ".txt":
        raise ValueError(
            f"--labels: no such file '{text}'; pass a file with one name a "
            "line, or the names themselves, comma-separated."
        )
    return [name.strip() for name in text.split(",")]


if __name__ == "__main__":
    running.run(main)
