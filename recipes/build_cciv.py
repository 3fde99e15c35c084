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
from typing import TYPE_CHECKING, Any

import data_flags
import running
from absl import flags

if TYPE_CHECKING:
    import keras
    import numpy as np

    from drnet_tf.importance import ChannelImportance

_MODEL = flags.DEFINE_string("model", None, "The .keras file.", required=True)
_CIV = flags.DEFINE_string("civ", None, "Its CIVs.", required=True)
_CLASSES = flags.DEFINE_list(
    "classes", None, "In the order of the outputs wanted.", required=True
)
_OUTPUT = flags.DEFINE_string("output", None, "Folder to write.", required=True)
_THRESHOLD = flags.DEFINE_float("threshold", None, "On the importance, > 0.")
_PARAMETERS = flags.DEFINE_string(
    "max_parameters", None, "A number, or a fraction of the full ones: 0.3."
)
_MACS = flags.DEFINE_string("max_macs", None, "As --max_parameters.")
_BYTES = flags.DEFINE_string(
    "max_bytes", None, "Of the .tflite file, as --max_parameters."
)
_MILLISECONDS = flags.DEFINE_float(
    "max_milliseconds", None, "Of one image in LiteRT on this CPU."
)
_MAX_DROP = flags.DEFINE_float("max_drop", None, "Of accuracy, in points.")
_RULE = flags.DEFINE_string("rule", "union", "union, xor (pairs) or mean.")
_ROUND_TO = flags.DEFINE_integer("round_to", 1, "Channels come in multiples.")
_SPLIT = flags.DEFINE_string("split", "train", "Split for --max_drop.")
_IMAGES = flags.DEFINE_integer(
    "validation_images", 150, "Images a class for --max_drop, at most."
)
_ALLOCATION = flags.DEFINE_enum(
    "allocation", "threshold", ["threshold", "layers"],
    "One threshold for all layers, or channels where they tell most.",
)  # fmt: skip
_REPAIR = flags.DEFINE_enum(
    "repair", "none", ["none", "norms", "least_squares", "best"],
    "How the small network is made to reproduce the full one.",
)  # fmt: skip
_REPAIR_IMAGES = flags.DEFINE_integer(
    "repair_images", 200, "Images a class for --repair, others than those."
)
_SEED = flags.DEFINE_integer("seed", 0, "Decides which images are drawn.")
_FLAGS = (
    _MODEL, _CIV, _CLASSES, _OUTPUT, _THRESHOLD, _PARAMETERS, _MACS, _BYTES,
    _MILLISECONDS, _MAX_DROP, _ALLOCATION,
    _RULE, _ROUND_TO, _SPLIT, _IMAGES, _REPAIR, _REPAIR_IMAGES, _SEED,
)  # fmt: skip
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
    validation, images = _images(model, importance)
    subtask = DRNet(model, importance).subtask(
        _CLASSES.value,
        threshold=_THRESHOLD.value,
        max_parameters=_limit("max_parameters", _PARAMETERS.value),
        max_macs=_limit("max_macs", _MACS.value),
        max_bytes=_limit("max_bytes", _BYTES.value),
        max_milliseconds=_MILLISECONDS.value,
        max_drop=_MAX_DROP.value,
        validation_data=validation,
        rule=_RULE.value,
        round_to=_ROUND_TO.value,
        allocation=_ALLOCATION.value,
        repair=_REPAIR.value,
        images=images,
    )
    settings = {f.name: f.value for f in _FLAGS} | data_flags.settings()
    with staged(output) as draft:
        subtask.save(draft)
        figures = {"settings": settings, **subtask.as_dict()}
        write_json(draft / "subtask.json", figures)
    print(subtask.summary())
    print(f"  in {output}: model.keras, mask.safetensors, subtask.json")


def _limit(name: str, text: str | None) -> int | float | None:
    """A count from digits alone, a fraction from any other number."""
    if text is None:
        return None
    try:
        return int(text) if text.strip().isdigit() else float(text)
    except ValueError as error:
        raise ValueError(
            f"--{name}: got '{text}', expected a whole number such as 100000, "
            "or a fraction of the full network such as 0.3."
        ) from error


def _images(
    model: keras.Model, importance: ChannelImportance
) -> tuple[Any, np.ndarray | None]:
    """Images for the validation and others for the repair, where needed."""
    from drnet_tf.reporting.samples import sample

    validates = _MAX_DROP.value is not None
    # Both want images without labels.
    repairs = _REPAIR.value != "none" or _ALLOCATION.value == "layers"
    if not flags.FLAGS.data:
        if validates:
            raise ValueError(
                "--max_drop: got no --data, expected the images on which "
                "accuracy is measured; pass --data and, if the network needs "
                "it, --preprocessing."
            )
        if repairs and importance.images is None:
            raise ValueError(
                "--repair, --allocation: got no --data, and the CIVs hold no "
                "images; pass --data and, if the network needs it, "
                "--preprocessing."
            )
        return None, None
    if not validates and not repairs:
        return None, None
    images, names = data_flags.open_split(model, _SPLIT.value)
    if names != importance.class_names:
        raise ValueError(
            f"--data: its classes are {', '.join(names)}, those of the CIVs "
            f"{', '.join(importance.class_names)}; pass the data that was "
            "dissected."
        )
    count = _IMAGES.value * validates + _REPAIR_IMAGES.value * repairs
    drawn = sample(images, _CLASSES.value, names, count, seed=_SEED.value)
    if not validates:
        return None, drawn.images
    if not repairs:
        return drawn, None
    # A class may have fewer images than both want: they share.
    least = min(filter(None, drawn.counts().values()))
    share = _REPAIR_IMAGES.value / count
    part, rest = drawn.split(max(1, int(least * share)), seed=_SEED.value)
    return rest, part.images


if __name__ == "__main__":
    running.run(main)
