"""Makes the small network of some classes out of a dissected one.

Reads: a `.keras` classifier (`--model`), its CIVs (`--civ`, by build_civ.py)
and the classes wanted (`--classes`), with exactly one of `--threshold`,
`--max_parameters`, `--max_macs`, `--max_bytes`, `--max_milliseconds` and
`--max_drop`. The last needs images
(`--data`, `--preprocessing`): by default training images, as what is chosen on
the test split cannot be judged on it. So do `--repair` and `--allocation`,
without their labels, unless the CIVs hold images (build_civ.py --keep_images).
Writes into the folder `--output`: `mask.safetensors` (the CCIV), `model.keras`
(plain Keras layers, one output per class) and `subtask.json`, the settings,
figures and report; prints a summary.

Reproduces section 3.2 of DRNet. Example:
  python recipes/build_cciv.py --model=vgg16.keras --civ=vgg16_civ.safetensors \
    --classes=cat,dog --max_parameters=0.3 --output=cat_dog

Seconds by a threshold or a size; VGG16 by a drop of accuracy: two minutes.
"""

from __future__ import annotations

from pathlib import Path

import criterion_flags
import data_flags
import running
from absl import flags

_MODEL = flags.DEFINE_string("model", None, "The .keras file.", required=True)
_CIV = flags.DEFINE_string("civ", None, "Its CIVs.", required=True)
_CLASSES = flags.DEFINE_list(
    "classes", None, "In the order of the outputs wanted.", required=True
)
_OUTPUT = flags.DEFINE_string("output", None, "Folder to write.", required=True)
_FLAGS = (_MODEL, _CIV, _CLASSES, _OUTPUT)
# Here `--data` has a default, and so need not be given.
flags.FLAGS.set_default("data", "")


def main() -> None:
    import keras

    from drnet_tf.artifacts import write_json
    from drnet_tf.importance import ChannelImportance
    from drnet_tf.reporting.output_folder import check_folder, staged
    from drnet_tf.subtasks import DRNet

    output = Path(_OUTPUT.value)
    check_folder(output)
    importance = ChannelImportance.load(_CIV.value)
    importance.class_rows(_CLASSES.value)
    model = keras.models.load_model(_MODEL.value, compile=False)
    validation, images = criterion_flags.images(
        model, importance, _CLASSES.value
    )
    subtask = DRNet(model, importance).subtask(
        _CLASSES.value,
        **criterion_flags.limits(),
        **criterion_flags.manner(),
        validation_data=validation,
        images=None if images is None else images.images,
    )
    settings = {f.name: f.value for f in _FLAGS} | criterion_flags.settings()
    settings |= data_flags.settings()
    with staged(output) as draft:
        subtask.save(draft)
        figures = {"settings": settings, **subtask.as_dict()}
        write_json(draft / "subtask.json", figures)
    print(subtask.summary())
    print(f"  in {output}: model.keras, mask.safetensors, subtask.json")


if __name__ == "__main__":
    running.run(main)
