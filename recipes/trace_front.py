"""The Pareto front of a sub-task: accuracy against parameters and MACs.

Reads: a `.keras` classifier (`--model`), its CIVs (`--civ`, by build_civ.py),
the classes wanted (`--classes`) and training images (`--data`,
`--preprocessing`): some without labels for the repair, others with labels for
the accuracy.
Writes: `--output`, a JSON with settings and one row for each budget; beside it
`<name>.svg`, the accuracy against the parameters that are left, of all
networks and of those that no other one is better than.

Example:
  python recipes/trace_front.py --model=vgg16.keras --civ=civ.safetensors \
    --classes=cat,dog --data=cifar10 --preprocessing=cifar10 --output=front.json

VGG16, eleven networks with repair: about five minutes on 2 cores.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import data_flags
import running
from absl import flags

if TYPE_CHECKING:
    from drnet_tf.fronts import FrontPoint

_MODEL = flags.DEFINE_string("model", None, "The .keras file.", required=True)
_CIV = flags.DEFINE_string("civ", None, "Its CIVs.", required=True)
_CLASSES = flags.DEFINE_list("classes", None, "The sub-task.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "JSON to write.", required=True)
_BUDGETS = flags.DEFINE_list("budgets", None, "Shares of the parameters.")
_RULE = flags.DEFINE_string("rule", "mean", "union, xor (pairs) or mean.")
_ALLOCATION = flags.DEFINE_enum(
    "allocation", "layers", ["threshold", "layers", "reconstruction"],
    "One threshold for all layers, or channels where they tell most.",
)  # fmt: skip
_REPAIR = flags.DEFINE_enum(
    "repair", "least_squares", ["none", "norms", "least_squares", "best"],
    "How the small networks are made to reproduce the full one.",
)  # fmt: skip
_REPAIR_IMAGES = flags.DEFINE_integer("repair_images", 200, "Of each class.")
_VALIDATION = flags.DEFINE_integer("validation_images", 500, "Of each class.")
_SEED = flags.DEFINE_integer("seed", 0, "Decides which images are drawn.")
_FLAGS = (
    _MODEL, _CIV, _CLASSES, _OUTPUT, _BUDGETS, _RULE, _ALLOCATION, _REPAIR,
    _REPAIR_IMAGES, _VALIDATION, _SEED,
)  # fmt: skip


def main() -> None:
    import keras

    from drnet_tf.artifacts import check_writable
    from drnet_tf.evaluation import evaluate
    from drnet_tf.fronts import BUDGETS, trace_front
    from drnet_tf.importance import ChannelImportance
    from drnet_tf.reporting.samples import sample
    from drnet_tf.subtasks import DRNet

    output = Path(_OUTPUT.value)
    for path in (output, output.with_suffix(".svg")):
        check_writable(path)
    importance = ChannelImportance.load(_CIV.value)
    importance.class_rows(_CLASSES.value)
    model = keras.models.load_model(_MODEL.value, compile=False)
    stream, names = data_flags.open_split(model, "train")
    count = _REPAIR_IMAGES.value + _VALIDATION.value
    drawn = sample(stream, _CLASSES.value, names, count, seed=_SEED.value)
    unlabelled, checked = drawn.split(_REPAIR_IMAGES.value, seed=_SEED.value)
    needed = (_ALLOCATION.value, _REPAIR.value) != ("threshold", "none")
    points = trace_front(
        DRNet(model, importance),
        _CLASSES.value,
        checked,
        budgets=[float(x) for x in _BUDGETS.value or BUDGETS],
        rule=_RULE.value,
        allocation=_ALLOCATION.value,
        repair=_REPAIR.value,
        images=unlabelled.images if needed else None,
    )
    full = evaluate(
        model, checked, _CLASSES.value, names, output_classes=names
    ).accuracy
    _write(output, points, full)
    _print(points, full)
    print(f"* none is better; figures in {output}, picture beside")


def _print(points: Sequence[FrontPoint], full_accuracy: float) -> None:
    print(f"full network: {full_accuracy:.2%}")
    for point in points:
        mark = "*" if point.best["parameters"] else " "
        print(
            f"{mark} {point.parameters:6.1%} of the parameters, "
            f"{point.macs:6.1%} of the MACs: {point.accuracy:.2%}"
        )


def _write(
    output: Path, points: Sequence[FrontPoint], full_accuracy: float
) -> None:
    from drnet_tf.artifacts import write_json, write_text
    from drnet_tf.reporting.front_figure import front_figure

    settings = {f.name: f.value for f in _FLAGS} | data_flags.settings()
    rows = [point.as_dict() for point in points]
    write_json(
        output,
        {"settings": settings, "full_accuracy": full_accuracy, "points": rows},
    )
    picture = front_figure(points, full_accuracy)
    write_text(output.with_suffix(".svg"), picture)


if __name__ == "__main__":
    running.run(main)
