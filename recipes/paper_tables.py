"""All pairs and all triples of a dissected network: DRNet's Table 1.

Reads: a `.keras` classifier (`--model`), its CIVs (`--civ`, by build_civ.py)
and its images (`--data`, `--preprocessing`). Rule and thresholds are chosen on
training images alone (`--validation_images` a class, drawn by seed), as the
fewest parameters at a mean drop of at most `--max_drop` points; the test split
gives the final figures only.
Writes: `--output`, a JSON with the settings, the curves on training images,
every sub-task's row on test images, mean, min and max, and named sub-tasks at
fixed budgets of parameters; beside it `<name>.md`, the tables, and
`<name>.svg`, the curve of accuracy against parameters.

Example:
  python recipes/paper_tables.py --model=vgg16.keras --data=cifar10 \
    --civ=vgg16_civ.safetensors --preprocessing=cifar10 --output=vgg16.json

VGG16 on CIFAR-10, 165 sub-tasks: about half an hour on 2 cores.
"""

from __future__ import annotations

from pathlib import Path

import data_flags
import running
from absl import flags

_MODEL = flags.DEFINE_string("model", None, "The .keras file.", required=True)
_CIV = flags.DEFINE_string("civ", None, "Its CIVs.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "JSON to write.", required=True)
_VALIDATION = flags.DEFINE_integer(
    "validation_images", 50, "Training images of each class that choose."
)
_TEST = flags.DEFINE_integer(
    "test_images", 1000, "Test images of each class, drawn by seed."
)
_MAX_DROP = flags.DEFINE_float("max_drop", 0.5, "Mean drop in points.")
_KEPT = flags.DEFINE_list(
    "kept",
    ["0.2", "0.27", "0.33", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9"],
    "Fractions of channels that the thresholds tried keep.",
)
_BUDGETS = flags.DEFINE_list(
    "budgets", ["0.22", "0.09"], "Fractions of parameters for named sub-tasks."
)
_NAMED = flags.DEFINE_list(
    "named",
    ["airplane+truck", "automobile+deer", "cat+dog", "airplane+bird+cat"],
    "Sub-tasks shown on their own, classes joined by +.",
)
_SEED = flags.DEFINE_integer("seed", 1, "Decides which images are drawn.")
_FLAGS = (
    _MODEL, _CIV, _OUTPUT, _VALIDATION, _TEST, _MAX_DROP, _KEPT, _BUDGETS,
    _NAMED, _SEED,
)  # fmt: skip


def main() -> None:
    import keras

    from drnet_tf.artifacts import check_writable, write_json
    from drnet_tf.importance import ChannelImportance
    from drnet_tf.reporting.survey_report import write_figure, write_tables
    from drnet_tf.table_study import study

    output = Path(_OUTPUT.value)
    for path in (output, output.with_suffix(".md"), output.with_suffix(".svg")):
        check_writable(path)
    importance = ChannelImportance.load(_CIV.value)
    model = keras.models.load_model(_MODEL.value, compile=False)
    names = importance.class_names
    results = study(
        model,
        importance,
        data_flags.load(model, "train", _VALIDATION.value, _SEED.value, names),
        data_flags.load(model, "test", _TEST.value, _SEED.value, names),
        max_drop=_MAX_DROP.value / 100,
        kept_fractions=[float(x) for x in _KEPT.value],
        budgets=[float(x) for x in _BUDGETS.value],
        named=[tuple(x.split("+")) for x in _NAMED.value],
    )
    files = ("model", "civ", "output")
    results = {
        "settings": data_flags.portable_settings(_FLAGS, files),
        "method": importance.config,
        "diagnostics": importance.diagnostics,
        **results,
    }
    write_json(output, results)
    write_tables(output.with_suffix(".md"), output.stem, results)
    write_figure(output.with_suffix(".svg"), results)
    print(output.with_suffix(".md").read_text())


if __name__ == "__main__":
    running.run(main)
