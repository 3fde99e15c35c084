"""Pairs of a network of many classes: accuracy against MACs, hard and repaired.

Reads: a `.keras` classifier of many classes (`--model`), images of some of them
(`--data`, `--preprocessing`) and a JSON that gives the output of each of these
by name (`--rows`). They are dissected with the other outputs cut off, once
(`--civ` keeps the CIVs; if the file exists it is read).
Writes: `--output`, a JSON with one row for each pair, budget of MACs, selection
and head: the pair's two outputs under the masked softmax, or all of them, where
top-1 counts; beside it `<name>.md`, the means. Prints them, too.

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

if TYPE_CHECKING:
    import keras

    from drnet_tf.importance import ChannelImportance
    from drnet_tf.labeled_images import LabeledImages

_MODEL = flags.DEFINE_string("model", None, "The .keras file.", required=True)
_ROWS = flags.DEFINE_string("rows", None, "JSON: name to row.", required=True)
_CIV = flags.DEFINE_string("civ", None, "CIVs of the classes.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "JSON to write.", required=True)
_BUDGETS = flags.DEFINE_list("budgets", ["0.7", "0.5", "0.35"], "Of MACs.")
_STEP = flags.DEFINE_integer("every", 1, "Takes each n-th pair only.", 1)
_TRAIN = flags.DEFINE_integer("train_images", 100, "Of each class.")
_TEST = flags.DEFINE_integer("test_images", 50, "Of each class.")
_RULE = flags.DEFINE_string("rule", "mean", "How classes are combined.")
_SEED = flags.DEFINE_integer("seed", 0, "Decides which images are drawn.")
_FLAGS = (
    _MODEL, _ROWS, _CIV, _OUTPUT, _BUDGETS, _STEP, _TRAIN, _TEST, _RULE, _SEED,
)  # fmt: skip
_GROUP = ("head", "selection", "budget")
_FIGURES = ("macs", "parameters", "full", "hard", "repaired")


def main() -> None:
    import keras

    from drnet_tf.artifacts import check_writable, write_json, write_text
    from drnet_tf.head_study import HeadStudy
    from drnet_tf.progress import DelayedBar
    from drnet_tf.survey import all_subtasks

    output = Path(_OUTPUT.value)
    for path in (output, output.with_suffix(".md"), Path(_CIV.value)):
        check_writable(path)
    model = keras.models.load_model(_MODEL.value, compile=False)
    train = data_flags.load(model, "train", _TRAIN.value, _SEED.value)
    names = train.class_names
    test = data_flags.load(model, "test", _TEST.value, _SEED.value, names)
    by_name = json.loads(Path(_ROWS.value).read_text("utf-8"))
    rows = [int(by_name[name]) for name in names]
    importance = _importance(model, rows, train)
    study = HeadStudy(model, importance, rows, train, test, rule=_RULE.value)
    pairs = all_subtasks(names, 2)[:: _STEP.value]
    bar = DelayedBar(len(pairs), "pair")
    found: list[dict[str, Any]] = []
    for number, classes in enumerate(pairs, 1):
        found += study.rows(classes, [float(x) for x in _BUDGETS.value])
        bar.update(number)
    means = _means(found)
    settings = {f.name: f.value for f in _FLAGS} | data_flags.settings()
    for name in ("model", "rows", "civ", "output", "data"):
        settings[name] = Path(settings[name]).name
    settings.pop("data_dir")
    write_json(output, {"settings": settings, "means": means, "rows": found})
    write_text(
        output.with_suffix(".md"), f"# {output.stem}\n\n{_table(means)}\n"
    )
    print(_table(means))


def _importance(
    model: keras.Model, rows: list[int], train: LabeledImages
) -> ChannelImportance:
    """The CIVs of the classes, whose outputs alone are kept."""
    import dataclasses

    import numpy as np

    from drnet_tf.dissection.dissect import dissect
    from drnet_tf.importance import ChannelImportance
    from drnet_tf.masks import ChannelMask
    from drnet_tf.pruning import prune
    from drnet_tf.sites import gate_sites

    if Path(_CIV.value).exists():
        return ChannelImportance.load(_CIV.value)
    whole = {x.name: np.ones(x.channels, bool) for x in gate_sites(model)}
    few = prune(model, ChannelMask(whole), classes=rows).model
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


def _means(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[x] for x in _GROUP), []).append(row)
    return [
        {
            **dict(zip(_GROUP, key, strict=True)),
            "pairs": len(own),
            **{x: sum(row[x] for row in own) / len(own) for x in _FIGURES},
        }
        for key, own in groups.items()
    ]


def _table(means: list[dict[str, Any]]) -> str:
    heads = ["Head", "Channels by", "Budget", "Pairs", "MACs", "Parameters"]
    heads += ["Full network", "Hard", "Repaired"]
    lines = [heads, ["---"] * len(heads)]
    lines += [
        [row["head"], row["selection"], f"{row['budget']:.0%}"]
        + [str(row["pairs"])]
        + [f"{row[name]:.1%}" for name in _FIGURES]
        for row in means
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    running.run(main)
