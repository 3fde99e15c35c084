"""One HTML page of a dissected network and the sub-tasks cut out of it.

Reads: a `.keras` classifier (`--model`), its CIVs (`--civ`, by build_civ.py or
quickstart.py), its images (`--data`, `--preprocessing`), the sub-tasks
(`--subtasks`, classes joined by +) and exactly one criterion with its manner,
as build_cciv.py takes them. What is chosen or repaired is so on `--split`, by
default training images; all figures are of `--test_split`. The first
`--fronts` sub-tasks get a Pareto front, too: eleven networks each.
Writes into the folder `--output`: `index.html`, a page that needs no other
file: settings, tables, fronts, kept channels per layer, class similarity with
its clusters, confusions before and after, links; `report.json`, all its
figures; `civ.safetensors`; for each sub-task a folder with `model.keras`,
`mask.safetensors` and `subtask.json`.

Examples:
  python recipes/quickstart.py  # makes the CIVs of the digits
  python recipes/write_report.py --civ=quickstart_out/civ.safetensors \
    --subtasks=1+7,3+5+8 --max_parameters=0.2 --rule=mean --output=digits
  python recipes/write_report.py --model=vgg16.keras --civ=civ.safetensors \
    --data=cifar10 --preprocessing=cifar10 --subtasks=cat+dog,airplane+truck \
    --max_parameters=0.15 --rule=mean --allocation=layers \
    --repair=least_squares --output=report

The digits take half a minute on 2 cores, VGG16 some ten minutes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import criterion_flags
import data_flags
import running
from absl import flags

if TYPE_CHECKING:
    from drnet_tf.labeled_images import LabeledImages
    from drnet_tf.reporting.run_report import RunReport
    from drnet_tf.subtasks import DRNet

_MODEL = flags.DEFINE_string(
    "model", None, "The .keras file; by default the ConvNet of the package."
)
_CIV = flags.DEFINE_string("civ", None, "Its CIVs.", required=True)
_SUBTASKS = flags.DEFINE_list(
    "subtasks", None, "Classes joined by +: cat+dog,car+truck.", required=True
)
_OUTPUT = flags.DEFINE_string("output", None, "Folder to write.", required=True)
_TEST = flags.DEFINE_string("test_split", "test", "Split of the figures.")
_TEST_IMAGES = flags.DEFINE_integer(
    "test_images", 500, "Test images a class, at most, drawn by seed."
)
_FRONTS = flags.DEFINE_integer("fronts", 1, "Sub-tasks with a Pareto front.")
_BUDGETS = flags.DEFINE_list("budgets", None, "Parameter shares of a front.")
_FLAGS = (
    _MODEL, _CIV, _SUBTASKS, _TEST, _TEST_IMAGES, _FRONTS, _BUDGETS,
)  # fmt: skip
# Here `--data` has a default, and so need not be given.
flags.FLAGS.set_default("data", data_flags.DIGITS)


def main() -> None:
    from drnet_tf.importance import ChannelImportance
    from drnet_tf.reporting.output_folder import check_folder, staged
    from drnet_tf.reporting.run_page import overview
    from drnet_tf.reporting.run_report import RunReport
    from drnet_tf.reporting.svg import check_matplotlib
    from drnet_tf.subtasks import DRNet

    output = Path(_OUTPUT.value)
    check_folder(output)
    check_matplotlib()
    importance = ChannelImportance.load(_CIV.value)
    subtasks, budgets = _subtasks(importance.class_names), _budgets()
    drnet = DRNet(data_flags.network(_MODEL.value), importance)
    wanted = sorted({name for classes in subtasks for name in classes})
    test = _test_images(drnet, wanted)
    images = criterion_flags.images(drnet.model, importance, wanted)
    words = f"at most {_TEST_IMAGES.value} test images a class of "
    report = RunReport(
        drnet,
        test,
        words + data_flags.describe().removeprefix("images of "),
        _settings(),
        criterion_flags.asked(),
    )
    for number, classes in enumerate(subtasks):
        own = budgets if number < _FRONTS.value else []
        _add(report, drnet, classes, images, test, own)
    with staged(output) as draft:
        report.write(draft)
    print(f"\n{overview(report.results())}\nOpen {output / 'index.html'}")


def _subtasks(class_names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    from drnet_tf.criteria import Criterion
    from drnet_tf.names import class_rows
    from drnet_tf.rules import check_rule

    manner = criterion_flags.manner()
    manner.pop("repair")
    Criterion(**criterion_flags.limits(), **manner)
    parts = [tuple(x.strip() for x in t.split("+")) for t in _SUBTASKS.value]
    for classes in parts:
        class_rows(classes, class_names)
        check_rule(manner["rule"], classes)
    return tuple(dict.fromkeys(parts))


def _budgets() -> list[float]:
    from drnet_tf.fronts import BUDGETS

    try:
        found = [float(x) for x in _BUDGETS.value or BUDGETS]
    except ValueError:
        found = []
    if not found or not all(0 < x <= 1 for x in found):
        raise ValueError(
            f"--budgets: got {_BUDGETS.value}, expected shares of the "
            "parameters in (0, 1], such as 0.05,0.1,0.3."
        )
    return found


def _settings() -> dict[str, Any]:
    """Those that decide the figures; files by their names alone."""
    files = ("model", "civ", "data")
    found = data_flags.portable_settings(_FLAGS, files)
    found |= criterion_flags.settings()
    # Blanks, where a narrow page can break the line; they can be given, too.
    found["subtasks"] = [
        " + ".join(name.strip() for name in text.split("+"))
        for text in found["subtasks"]
    ]
    return found


def _test_images(drnet: DRNet, wanted: list[str]) -> LabeledImages:
    from drnet_tf.reporting.samples import sample

    stream, names = data_flags.open_split(drnet.model, _TEST.value)
    data_flags.check_names(names, drnet.importance.class_names)
    return sample(
        stream, wanted, names, _TEST_IMAGES.value, seed=flags.FLAGS.seed
    )


def _add(
    report: RunReport,
    drnet: DRNet,
    classes: tuple[str, ...],
    images: tuple[LabeledImages | None, LabeledImages | None],
    test: LabeledImages,
    budgets: list[float],
) -> None:
    """Makes and measures one sub-task's network, and the points of a front."""
    from drnet_tf.fronts import trace_front

    validation, unlabelled = (
        None if drawn is None else drawn.of_classes(classes) for drawn in images
    )
    manner = criterion_flags.manner()
    manner["images"] = None if unlabelled is None else unlabelled.images
    try:
        subtask = drnet.subtask(
            classes,
            **criterion_flags.limits(),
            **manner,
            validation_data=validation,
        )
    except ValueError as error:
        # The others may have one.
        report.add_unreached(str(error))
        print(f"{', '.join(classes)}: none; {error}", flush=True)
        return
    report.add(subtask)
    print(subtask, flush=True)
    if budgets:
        print(f"  its front, {len(budgets)} networks", flush=True)
        points = trace_front(drnet, classes, test, budgets=budgets, **manner)
        report.add_front(classes, points)


if __name__ == "__main__":
    running.run(main)
