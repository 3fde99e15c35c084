"""All pairs and triples of a dissected network, beside DRNet's tables.

`--table` says which of the paper's stands beside ours, and the data: 1, 2, 3
are VGG16, ResNet18 and MobileNetV2 on CIFAR-10; 4, 5 VGG16 and ResNet18 on
CIFAR-100 (this order is our reading); 6 is VGG16 on ImageNet, of which
sub-tasks gain accuracy. `--model` and `--data` may be any others.

Reads: a `.keras` classifier (`--model`), its CIVs (`--civ`, by build_civ.py)
and its images (`--data`, `--preprocessing`). Rule and thresholds are chosen on
training images (`--validation_images` a class, drawn by seed), as the fewest
parameters at a mean drop of at most `--max_drop` points; the test split gives
the final figures only. `--repair` and `--distil` also mend the networks of the
chosen masks. Table 6 measures budgets of MACs as repair_many_classes.py does;
without the file of `--civ` it dissects the classes drawn.
Writes: `--output`, a JSON with settings, curves on training images, every
sub-task's row on test images, mean, min and max, and named sub-tasks at budgets
of parameters; beside it `<name>.md`, the tables, and `<name>.svg`, accuracy
against parameters. `<output>.work` keeps a run that was stopped, which goes on.

Examples:
  python recipes/paper_tables.py --model=vgg16.keras --data=cifar10 \
    --civ=vgg16_civ.safetensors --preprocessing=cifar10 --output=vgg16.json
  python recipes/paper_tables.py --table=6 --model=vgg16_imagenet.keras \
    --civ=few_civ.safetensors --preprocessing=imagenet_torch --output=t6.json

VGG16 on CIFAR-10, 165 sub-tasks: about half an hour on 2 cores; some 20 seconds
more for each with --repair=least_squares.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import data_flags
import running
from absl import flags
from kept_rows import KeptRows

if TYPE_CHECKING:
    from drnet_tf.importance import ChannelImportance
    from drnet_tf.published_results import PublishedTable
    from drnet_tf.table_study import TableStudy

_PROMOTIONS = 6  # the table of ImageNet
_BUDGETS_OF = {_PROMOTIONS: ["0.8", "0.7", "0.5"]}  # of the MACs
_SUBTASKS_OF = {_PROMOTIONS: 10}
# Of CIFAR-10; of other data those that it has.
_USUAL = (
    ("airplane", "truck"),
    ("automobile", "deer"),
    ("cat", "dog"),
    ("airplane", "bird", "cat"),
)

_TABLE = flags.DEFINE_integer("table", 1, "Of the paper: 1 to 6.", 1, 6)
_MODEL = flags.DEFINE_string(
    "model", None, "The .keras file; by default the digits' network."
)
_CIV = flags.DEFINE_string("civ", None, "Its CIVs.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "JSON to write.", required=True)
_SUBTASKS = flags.DEFINE_integer(
    "subtasks",
    None,
    "Sub-tasks of each size at most, drawn by seed: 200, 10 on table 6.",
    1,
)
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
    "budgets",
    None,
    "Shares of parameters for named sub-tasks; on table 6 of MACs.",
)
_NAMED = flags.DEFINE_list(
    "named",
    None,
    "Sub-tasks on their own, a+b; by default four of CIFAR-10's.",
)
_REPAIRS = ["none", "norms", "least_squares"]
_REPAIR = flags.DEFINE_enum(
    "repair", "none", _REPAIRS, "Mends the chosen networks."
)
_DISTIL = flags.DEFINE_bool(
    "distil", False, "One epoch of distillation, after any least squares."
)
_REPAIR_IMAGES = flags.DEFINE_integer(
    "repair_images", 100, "Training images of each class, without labels."
)
_TRAIN = flags.DEFINE_integer("train_images", 1000, "The same, for --distil.")
_ROWS = flags.DEFINE_string(
    "rows",
    None,
    "Table 6: JSON, name to output; by default the data has all classes.",
)
_RULE = flags.DEFINE_string("rule", "mean", "Table 6: how classes are combined")
_SEED = flags.DEFINE_integer("seed", 1, "Decides what is drawn.")
_FLAGS = (
    _TABLE, _MODEL, _CIV, _OUTPUT, _SUBTASKS, _VALIDATION, _TEST, _MAX_DROP,
    _KEPT, _BUDGETS, _NAMED, _REPAIR, _DISTIL, _REPAIR_IMAGES, _TRAIN, _ROWS,
    _RULE, _SEED,
)  # fmt: skip
# Here `--data` has a default: that of the table.
flags.FLAGS.set_default("data", "")


def main() -> None:
    from drnet_tf.artifacts import check_writable
    from drnet_tf.published_results import TABLES

    table = TABLES[_TABLE.value]
    flags.FLAGS.data = flags.FLAGS.data or table.dataset
    output = Path(_OUTPUT.value)
    for path in (output, output.with_suffix(".md"), output.with_suffix(".svg")):
        check_writable(path)
    if _TABLE.value == _PROMOTIONS:
        _promotions(output, table)
    else:
        _accuracies(output, table)


def _accuracies(output: Path, table: PublishedTable) -> None:
    """Tables 1 to 5."""
    from drnet_tf.artifacts import write_json, write_text
    from drnet_tf.importance import ChannelImportance
    from drnet_tf.reporting.survey_report import figure, tables

    importance = ChannelImportance.load(_CIV.value)
    named = _named(importance.class_names)
    for classes in named:
        importance.class_rows(classes)
    settings = _settings() | {"fingerprint": importance.fingerprint}
    kept = KeptRows(output, settings)
    results = {
        "settings": settings,
        "method": importance.config,
        "diagnostics": importance.diagnostics,
        **_measured(importance, named, kept),
    }
    page = tables(output.stem, results, table)
    write_json(output, results)
    write_text(output.with_suffix(".md"), page)
    write_text(output.with_suffix(".svg"), figure(results))
    kept.remove()
    print(page)


def _measured(
    importance: ChannelImportance,
    named: list[tuple[str, ...]],
    kept: KeptRows,
) -> dict[str, Any]:
    from drnet_tf.table_study import CHOICES, SIZES, put_together

    names = importance.class_names
    subtasks = {name: _drawn(names, size) for name, size in SIZES.items()}
    study = functools.cache(lambda: _study(importance))
    plan = kept.part(
        "choice",
        lambda: study().choose(
            subtasks,
            max_drop=_MAX_DROP.value / 100,
            kept_fractions=[float(x) for x in _KEPT.value],
        ),
    )
    rule, _ = CHOICES[plan["choice"]]
    thresholds: dict[tuple[str, ...], float] = {}
    for name, own in subtasks.items():
        thresholds |= zip(own, plan[name]["thresholds"], strict=True)
    rows = kept.rows(
        list(thresholds),
        lambda: lambda x: study().row(x, thresholds[x], rule),
    )
    shown = kept.part("named", lambda: study().named(named, _budgets()))
    return put_together(plan, rows, shown)


def _study(importance: ChannelImportance) -> TableStudy:
    from drnet_tf.subtask_trials import SubtaskTrials
    from drnet_tf.table_study import TableStudy

    model = data_flags.network(_MODEL.value)
    names, seed = importance.class_names, _SEED.value
    test = data_flags.load(
        model, data_flags.test_split(), _TEST.value, seed, names
    )
    methods = _methods()
    trials = None
    if methods:
        count = _REPAIR_IMAGES.value
        if _DISTIL.value:
            count = max(count, _TRAIN.value)
        trials = SubtaskTrials(
            model,
            data_flags.load(model, "train", count, seed, names),
            test,
            repair_images=_REPAIR_IMAGES.value,
            seed=seed,
        )
    return TableStudy(
        model,
        importance,
        data_flags.load(model, "train", _VALIDATION.value, seed, names),
        test,
        trials,
        methods,
    )


def _methods() -> tuple[str, ...]:
    from drnet_tf.subtask_trials import BOTH, DISTILLED, LEAST_SQUARES

    repair = () if _REPAIR.value == "none" else (_REPAIR.value,)
    distilled = BOTH if LEAST_SQUARES in repair else DISTILLED
    return (*repair, distilled) if _DISTIL.value else repair


def _promotions(output: Path, table: PublishedTable) -> None:
    """Table 6."""
    import many_classes

    from drnet_tf.artifacts import check_writable
    from drnet_tf.reporting.paper_comparison import promotion_table

    check_writable(_CIV.value)
    model = data_flags.network(_MODEL.value)
    _, names = data_flags.open_split(model, data_flags.test_split())
    subtasks = [x for size in (2, 3) for x in _drawn(names, size)]
    classes = [x for x in names if any(x in some for some in subtasks)]
    settings = _settings()
    kept = KeptRows(output, settings)
    parts = kept.rows(
        subtasks,
        lambda: many_classes.ManyClasses(
            Path(_CIV.value),
            many_classes.outputs(_ROWS.value, model, names, classes),
            _budgets(),
            _RULE.value,
            _REPAIR_IMAGES.value,
            _SEED.value,
        ).study_drawn(model, classes, _TEST.value),
    )
    shown = many_classes.write(
        output,
        settings,
        parts,
        lambda means: f"{promotion_table(table, means)}\n\n",
    )
    kept.remove()
    print(shown)


def _settings() -> dict[str, Any]:
    files = ("model", "civ", "output", "rows", "data")
    return data_flags.portable_settings(_FLAGS, files)


def _drawn(names: tuple[str, ...], size: int) -> tuple[tuple[str, ...], ...]:
    from drnet_tf.subtask_draws import draw_subtasks

    count = _SUBTASKS.value or _SUBTASKS_OF.get(_TABLE.value, 200)
    return draw_subtasks(names, size, count, _SEED.value)


def _budgets() -> list[float]:
    usual = _BUDGETS_OF.get(_TABLE.value, ["0.22", "0.09"])
    return [float(x) for x in _BUDGETS.value or usual]


def _named(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    if _NAMED.value is not None:
        return [tuple(x.split("+")) for x in _NAMED.value]
    return [x for x in _USUAL if set(x) <= set(names)]


if __name__ == "__main__":
    running.run(main)
