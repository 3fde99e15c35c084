"""Converts a saved Keras model to a LiteRT file and checks it against Keras.

Reads: a `.keras` file of one image input and one output (`--model`), and the
class names (`--labels`: `cat,dog`, or a text file with one name a line).
Writes: the `.tflite` file (`--output`); beside it `<name>.labels.txt` when
labels are given, and `<name>.json` with the settings and figures: size,
operators, greatest difference to Keras. Prints the same figures.

Example: python recipes/convert_tflite.py --model=small.keras \
--output=small.tflite --labels=cat,dog

Takes seconds for networks of a few million parameters.
"""

from __future__ import annotations

from pathlib import Path

import running
from absl import flags

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
    "quantization", "float32", "Number format of the file: float32."
)


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
    )
    settings = {
        flag.name: flag.value
        for flag in (_MODEL, _OUTPUT, _LABELS, _QUANTIZATION)
    }
    write_json(summary, {"settings": settings, "report": report.as_dict()})
    print(report)
    print(f"  settings and figures in {summary}")


def _read_labels(text: str | None) -> list[str] | None:
    if text is None:
        return None
    if Path(text).is_file():
        return Path(text).read_text(encoding="utf-8").splitlines()
    if Path(text).suffix == ".txt":
        raise ValueError(
            f"--labels: no such file '{text}'; pass a file with one name a "
            "line, or the names themselves, comma-separated."
        )
    return [name.strip() for name in text.split(",")]


if __name__ == "__main__":
    running.run(main)
