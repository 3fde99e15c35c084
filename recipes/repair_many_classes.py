"""A few classes of a network of many: accuracy against MACs, hard and repaired.

Reads: a `.keras` classifier of many classes (`--model`), images of some of them
(`--data`, `--preprocessing`) and a JSON that gives the output of each of these
by name (`--rows`). They are dissected with the other outputs cut off, once
(`--civ` keeps the CIVs; if the file exists it is read).
Writes: `--output`, a JSON with one row for each pair and triple (`--sizes`),
budget of MACs, way to choose channels (`--allocations`) and head: the
sub-task's outputs under the masked softmax, or all of them, where top-1 counts;
beside it `<name>.md`, means and promotions (DRNet's Table 6). Prints them, too.
`<output>.work` holds the rows of a run that was stopped, which goes on there;
sub-tasks that `--output` has of a run with the same settings (but `--sizes`,
`--every`) are taken from there.

Example:
  python recipes/repair_many_classes.py --model=mobilenet.keras \
    --data=imagenette --rows=classes.json --civ=mobilenet_civ.safetensors \
    --preprocessing=127.5/127.5 --output=mobilenet_pairs.json

MobileNet on Imagenette: 5 minutes to dissect, then two for each pair.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import data_flags
import running
import subtask_flags
from absl import flags
from kept_rows import KeptRows

if TYPE_CHECKING:
    from collections.abc import Callable

_MODEL = flags.DEFINE_string("model", None, "The .keras file.", required=True)
_ROWS = flags.DEFINE_string("rows", None, "JSON: name to row.", required=True)
_CIV = flags.DEFINE_string("civ", None, "CIVs of the classes.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "JSON to write.", required=True)
_BUDGETS = flags.DEFINE_list(
    "budgets", ["0.7", "0.5", "0.35"], "Of MACs, that are left of the network."
)
_TRAIN = flags.DEFINE_integer("train_images", 100, "Of each class.")
_TEST = flags.DEFINE_integer("test_images", 50, "Of each class.")
_RULE = flags.DEFINE_string("rule", "mean", "How classes are combined.")
_SEED = flags.DEFINE_integer("seed", 0, "Decides which images are drawn.")
_FLAGS = (
    _MODEL, _ROWS, _CIV, _OUTPUT, *subtask_flags.FLAGS,
    subtask_flags.ALLOCATIONS, _BUDGETS, _TRAIN, _TEST, _RULE, _SEED,
)  # fmt: skip


def main() -> None:
    import keras
    import many_classes

    from drnet_tf.artifacts import check_writable

    output = Path(_OUTPUT.value)
    for path in (output, output.with_suffix(".md"), Path(_CIV.value)):
        check_writable(path)
    model = keras.models.load_model(_MODEL.value, compile=False)
    train = data_flags.load(model, "train", _TRAIN.value, _SEED.value)
    names = train.class_names
    files = ("model", "rows", "civ", "output", "data")
    settings = data_flags.portable_settings(_FLAGS, files)
    subtasks = subtask_flags.subtasks(names)
    plan = subtask_flags.without(settings)
    kept = KeptRows(output, plan, many_classes.parts_of)

    def study() -> Callable[[tuple[str, ...]], dict[str, Any]]:
        test = data_flags.load(model, "test", _TEST.value, _SEED.value, names)
        return many_classes.ManyClasses(
            Path(_CIV.value),
            many_classes.read_rows(_ROWS.value, names),
            [float(x) for x in _BUDGETS.value],
            _RULE.value,
            _TRAIN.value,
            _SEED.value,
            subtask_flags.ALLOCATIONS.value,
        ).study(model, train, test)

    parts = kept.rows(subtasks, study)
    shown = many_classes.write(output, settings, parts, lambda means: "")
    kept.remove()
    print(shown)


if __name__ == "__main__":
    running.run(main)
