"""Writes a bundle: one LiteRT file out of which any sub-task is cut.

Reads: a `.keras` classifier (`--model`) and its CIVs (`--civ`, by
build_civ.py); for `--quantization=int8` images of all classes (`--data`,
`--split`, `--preprocessing`). Writes: the bundle (`--output`, a `.tflite` file
that runs as the full network) and beside it `<name>.json` with the settings and
figures. `cut_subtask.py` cuts sub-networks out of it, and so does an app
(docs/android.md).

Example: python recipes/build_bundle.py --model=vgg16.keras \
  --civ=vgg16_civ.safetensors --preprocessing=cifar10 --output=vgg16.tflite

Takes seconds for networks of a few million parameters, twice that for the
smaller formats.
"""

from __future__ import annotations

from pathlib import Path

import data_flags
import running
from absl import flags

_MODEL = flags.DEFINE_string("model", None, "The .keras file.", required=True)
_CIV = flags.DEFINE_string("civ", None, "Its CIVs.", required=True)
_OUTPUT = flags.DEFINE_string(
    "output", None, "The .tflite file to write.", required=True
)
_QUANTIZATION = flags.DEFINE_string(
    "quantization", "float32", "Number format: float32, float16 or int8."
)
_ENCODING = flags.DEFINE_string(
    "encoding", "uint8", "How the CIVs are stored: uint8 or float16."
)
_IMAGES = flags.DEFINE_integer(
    "representative_images", 50, "Images of --data for each class.", 1
)
_SPLIT = flags.DEFINE_string("split", "train", "Split that they are drawn of.")
_SEED = flags.DEFINE_integer("seed", 0, "Decides which images are drawn.")
_FLAGS = (
    _MODEL, _CIV, _OUTPUT, _QUANTIZATION, _ENCODING, _IMAGES, _SPLIT, _SEED,
)  # fmt: skip
# Here `--data` has a default, and so need not be given.
flags.FLAGS.set_default("data", "")


def main() -> None:
    import drnet_tflite
    import keras

    from drnet_tf.artifacts import check_writable, write_json
    from drnet_tf.importance import ChannelImportance

    summary = Path(_OUTPUT.value).with_suffix(".json")
    check_writable(summary)
    importance = ChannelImportance.load(_CIV.value)
    model = keras.models.load_model(_MODEL.value, compile=False)
    images = None
    if flags.FLAGS.data:
        images = data_flags.load(
            model,
            _SPLIT.value,
            _IMAGES.value,
            _SEED.value,
            importance.class_names,
        ).images
    report = drnet_tflite.write_bundle(
        model,
        importance,
        _OUTPUT.value,
        quantization=_QUANTIZATION.value,
        encoding=_ENCODING.value,
        representative_images=images,
        **data_flags.normalisation(),
    )
    settings = {f.name: f.value for f in _FLAGS} | data_flags.settings()
    write_json(summary, {"settings": settings, "report": report.as_dict()})
    print(report)
    print(f"  settings and figures in {summary}")


if __name__ == "__main__":
    running.run(main)
