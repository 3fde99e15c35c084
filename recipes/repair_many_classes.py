"""A few classes of a network of many: accuracy against MACs, hard and repaired.

Reads: a `.keras` classifier of many classes (`--model`), images of some of them
(`--data`, `--preprocessing`) and a JSON that gives the output of each of these
by name (`--rows`). They are dissected with the other outputs cut off, once
(`--civ` keeps the CIVs; if the file exists it is read).
Writes: `--output`, a JSON with one row for each pair and triple (`--sizes`),
budget of MACs, selection and head: the sub-task's outputs under the masked
softmax, or all of them, where top-1 counts; beside it `<name>.md`, means and
promotions (DRNet's Table 6). Prints them, too. `<output>.work` holds the rows
of a run that was stopped, which goes on there.

Example:
  python recipes/repair_many_classes.py --model=mobilenet.keras \
    --data=imagenette --rows=classes.json --civ=mobilenet_civ.safetensors \
    --preprocessing=127.5/127.5 --output=mobilenet_pairs.json

MobileNet on Imagenette: 5 minutes to dissect, then a minute for each pair.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import data_flags
import running
from absl import flags
from kept_rows import KeptRows

if TYPE_CHECKING:
    from collections.abc import Callable

    import keras

    from drnet_tf.importance import ChannelImportance
    from drnet_tf.labeled_images import LabeledImages

_MODEL = flags.DEFINE_string("model", None, "The .keras file.", required=True)
_ROWS = flags.DEFINE_string("rows", None, "JSON: name to row.", required=True)
_CIV = flags.DEFINE_string("civ", None, "CIVs of the classes.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "JSON to write.", required=True)
_BUDGETS = flags.DEFINE_list("budgets", ["0.7", "0.5", "0.35"], "Of MACs.")
_SIZES = flags.DEFINE_list("sizes", ["2"], "Classes of a sub-task.")
_STEP = flags.DEFINE_integer("every", 1, "Takes each n-th sub-task only.", 1)
_TRAIN = flags.DEFINE_integer("train_images", 100, "Of each class.")
_TEST = flags.DEFINE_integer("test_images", 50, "Of each class.")
_RULE = flags.DEFINE_string("rule", "mean", "How classes are combined.")
_SEED = flags.DEFINE_integer("seed", 0, "Decides which images are drawn.")
_FLAGS = (
    _MODEL, _ROWS, _CIV, _OUTPUT, _BUDGETS, _SIZES, _STEP, _TRAIN, _TEST, _RULE,
    _SEED,
)  # fmt: skip


def main() -> None:
    import keras

    from drnet_tf.artifacts import check_writable, write_json, write_text
    from drnet_tf.head_study import promotions
    from drnet_tf.survey import all_subtasks

    output = Path(_OUTPUT.value)
    for path in (output, output.with_suffix(".md"), Path(_CIV.value)):
        check_writable(path)
    model = keras.models.load_model(_MODEL.value, compile=False)
    train = data_flags.load(model, "train", _TRAIN.value, _SEED.value)
    names = train.class_names
    files = ("model", "rows", "civ", "output", "data")
    settings = data_flags.portable_settings(_FLAGS, files)
    subtasks = [
        classes
        for size in map(int, _SIZES.value)
        for classes in all_subtasks(names, size)[:: _STEP.value]
    ]
    plan = {k: v for k, v in settings.items() if k not in ("sizes", "every")}
    kept = KeptRows(output, plan)
    found = kept.rows(subtasks, lambda: _study(model, train))
    rows = [row for part in found for row in part["rows"]]
    means = promotions(rows)
    write_json(output, {"settings": settings, "means": means, "rows": rows})
    write_text(
        output.with_suffix(".md"), f"# {output.stem}\n\n{_table(means)}\n"
    )
    kept.remove()
    print(_table(means))


def _study(
    model: keras.Model, train: LabeledImages
) -> Callable[[tuple[str, ...]], dict[str, Any]]:
    """Classes -> their rows, those of one sub-task together."""
    from drnet_tf.head_study import HeadStudy

    names = train.class_names
    test = data_flags.load(model, "test", _TEST.value, _SEED.value, names)
    by_name = json.loads(Path(_ROWS.value).read_text("utf-8"))
    missing = [name for name in names if name not in by_name]
    if missing:
        raise ValueError(
            f"--rows: '{_ROWS.value}' says nothing of {', '.join(missing)}, "
            'expected {"name": row, ...} with all classes of --data.'
        )
    rows = [int(by_name[name]) for name in names]
    importance = _importance(model, rows, train)
    study = HeadStudy(model, importance, rows, train, test, rule=_RULE.value)
    budgets = [float(x) for x in _BUDGETS.value]
    return lambda classes: {
        "classes": list(classes),
        "rows": study.rows(classes, budgets),
    }


def _importance(
    model: keras.Model, rows: list[int], train: LabeledImages
) -> ChannelImportance:
    """The CIVs of the classes, whose outputs alone are kept."""
    import dataclasses

    from drnet_tf.dissection.dissect import dissect
    from drnet_tf.importance import ChannelImportance
    from drnet_tf.pruning import prune
    from drnet_tf.sites import gate_sites
    from drnet_tf.width_masks import full_mask

    if Path(_CIV.value).exists():
        return ChannelImportance.load(_CIV.value)
    whole = full_mask({x.name: x.channels for x in gate_sites(model)})
    few = prune(model, whole, classes=rows).model
    found = dissect(
        few,
        train,
        class_names=train.class_names,
        images_per_class=int(0.8 * _TRAIN.value),
        seed=_SEED.value,
    )
    # Its sites are those of the full network, whose masks it makes.
    importance = dataclasses.replace(found, fingerprint="")
    importance.save(_CIV.value)
    return importance


def _table(means: list[dict[str, Any]]) -> str:
    from drnet_tf.reporting.tables import Column, markdown

    columns = [
        Column("classes", "Classes"),
        Column("head", "Head"),
        Column("selection", "Channels by"),
        Column("budget", "Budget", ".0%"),
        Column("subtasks", "Sub-tasks"),
        Column("channels", "Channels", ".1%"),
        Column("macs", "MACs", ".1%"),
        Column("parameters", "Parameters", ".1%"),
        Column("full", "Full network", ".1%"),
    ]
    for name in ("hard", "repaired"):
        columns += [
            Column(name, name.capitalize(), ".1%"),
            Column(f"{name}_mean", "promotion", "+.1%"),
            Column(f"{name}_min", "min", "+.1%"),
            Column(f"{name}_max", "max", "+.1%"),
        ]
    return markdown(means, columns).rstrip()


if __name__ == "__main__":
    running.run(main)
