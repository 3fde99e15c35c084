"""What repair gives back: all pairs and triples, at several sizes.

Reads: a `.keras` classifier (`--model`), its CIVs (`--civ`, by build_civ.py)
and its images (`--data`, `--preprocessing`): training images for the repair,
without labels, test images for the final figures; nothing is chosen on those.
Writes: `--output`, a JSON with settings, a row for each sub-task and the means;
beside it `<name>.md`, the means as a table and, on the same sub-tasks, how ways
to choose channels differ, at equal budgets and at equal MACs, and `<name>.svg`,
the drop of accuracy against the parameters that are left. `<output>.work` holds
the rows of a run that was stopped, which goes on there. Rows that `--output`
has of a run with the same settings (but `--sizes` and `--every`) are taken.

Channels are chosen by one threshold on the CIVs, by CIVs with widths by layer,
and by reconstruction (`--allocations`); the first masks are compared with
random, magnitude and activation masks of the same width at every site
(`--compare`), hard and repaired. Example:
  python recipes/repair_tables.py --model=vgg16.keras --data=cifar10 \
    --civ=vgg16_civ.safetensors --preprocessing=cifar10 --output=repair.json

VGG16: some minutes for each sub-task on 2 cores, more with --distil.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import data_flags
import running
import subtask_flags
from absl import flags
from kept_rows import KeptRows

if TYPE_CHECKING:
    from drnet_tf.importance import ChannelImportance
    from drnet_tf.repair_study import RepairStudy

_MODEL = flags.DEFINE_string("model", None, "The .keras file.", required=True)
_CIV = flags.DEFINE_string("civ", None, "Its CIVs.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "JSON to write.", required=True)
_BUDGETS = flags.DEFINE_list(
    "budgets",
    ["0.35", "0.22", "0.15", "0.09", "0.05", "0.03"],
    "Shares of the parameters.",
)
_COMPARE = flags.DEFINE_bool("compare", True, "Other selections, too.")
_DISTIL = flags.DEFINE_bool("distil", False, "One epoch of distillation, too.")
_TEST = flags.DEFINE_integer("test_images", 500, "Test images of each class.")
_REPAIR = flags.DEFINE_integer("repair_images", 200, "Images of each class.")
_TRAIN = flags.DEFINE_integer(
    "train_images", 1000, "Training images of each class for --distil."
)
_RULE = flags.DEFINE_string("rule", "mean", "How classes are combined.")
_SEED = flags.DEFINE_integer("seed", 0, "Decides which images are drawn.")
_FLAGS = (
    _MODEL, _CIV, _OUTPUT, *subtask_flags.FLAGS, subtask_flags.ALLOCATIONS,
    _BUDGETS, _COMPARE, _DISTIL, _TEST, _REPAIR, _TRAIN, _RULE, _SEED,
)  # fmt: skip
flags.FLAGS.set_default("sizes", ["2", "3"])


def main() -> None:
    from drnet_tf.artifacts import check_writable, write_json, write_text
    from drnet_tf.importance import ChannelImportance
    from drnet_tf.reporting.repair_report import repair_curves, repair_tables
    from drnet_tf.subtask_trials import summarise

    output = Path(_OUTPUT.value)
    paths = [output.with_suffix(x) for x in (".json", ".md", ".svg")]
    for path in paths:
        check_writable(path)
    importance = ChannelImportance.load(_CIV.value)
    files = ("model", "civ", "output")
    settings = data_flags.portable_settings(_FLAGS, files)
    settings["fingerprint"] = importance.fingerprint
    subtasks = subtask_flags.subtasks(importance.class_names)
    plan = subtask_flags.without(settings)
    kept = KeptRows(output, plan, lambda results: results["rows"])
    rows = kept.rows(subtasks, lambda: _study(importance).row)
    means = summarise(rows)
    write_json(paths[0], {"settings": settings, "means": means, "rows": rows})
    tables = repair_tables(output.stem, means, rows)
    write_text(paths[1], tables)
    write_text(paths[2], repair_curves(means))
    kept.remove()
    print(tables)


def _study(importance: ChannelImportance) -> RepairStudy:
    import keras

    from drnet_tf.dissection.baselines import (
        activation_importance,
        magnitude_importance,
        random_importance,
    )
    from drnet_tf.repair_study import RepairStudy, StudySettings

    model = keras.models.load_model(_MODEL.value, compile=False)
    names, seed = importance.class_names, _SEED.value
    count = max(_REPAIR.value, _TRAIN.value if _DISTIL.value else 0)
    train = data_flags.load(model, "train", count, seed, names)
    test = data_flags.load(model, "test", _TEST.value, seed, names)
    others = {}
    if _COMPARE.value:
        few = train.take(min(100, count), seed=seed)
        others = {
            "random": random_importance(importance, seed),
            "magnitude": magnitude_importance(model, importance),
            "activation": activation_importance(model, importance, few),
        }
    return RepairStudy(
        model,
        importance,
        others,
        train,
        test,
        StudySettings(
            tuple(map(float, _BUDGETS.value)),
            _RULE.value,
            _REPAIR.value,
            tuple(subtask_flags.ALLOCATIONS.value),
            _DISTIL.value,
            seed,
        ),
    )


if __name__ == "__main__":
    running.run(main)
