"""All methods of dissection on one network, at equal budgets of MACs.

Reads: a `.keras` classifier (`--model`) and its images (`--data`,
`--preprocessing`): training images for the dissections, for the choice of the
rule that combines classes and, without labels, for the repairs; test images for
the final figures only.
Writes: `--output`, a JSON with settings, seconds to dissect, a row for each
sub-task, means, differences on the same sub-tasks and who wins where; beside it
`<name>.md`, the tables, `<name>.html`, tables and curves, and `<name>.svg`, the
curves of the hard masks. `<name>.dissected/` keeps the importances,
`<output>.work` the rules and rows of a run that was stopped, which goes on
there. Rows that `--output` has of the same settings (but `--sizes` and
`--every`) are kept.

Every method keeps its best channels over all sites, as many as the MACs allow;
the networks are tried hard, with norms estimated anew and repaired by least
squares. Example:
  python recipes/compare_methods.py --model=vgg16.keras --data=cifar10 \
    --preprocessing=cifar10 --output=methods.json

VGG16: dissecting takes three quarters of an hour on 2 cores, each pair some 5
minutes.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import data_flags
import running
import subtask_flags
from absl import flags
from kept_rows import KeptRows, part_line

if TYPE_CHECKING:
    import keras

    from drnet_tf.importance import ChannelImportance
    from drnet_tf.method_study import MethodStudy

_REFERENCE = "cdrp"
_MODEL = flags.DEFINE_string("model", None, "The .keras file.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "JSON to write.", required=True)
_METHODS = flags.DEFINE_list("methods", [], "Names; by default all.")
_COUPLING = flags.DEFINE_enum(
    "coupling", "free", ["free", "tied"],
    "free: a gate at every activation; tied: one for what only goes together.",
)  # fmt: skip
_BUDGETS = flags.DEFINE_list(
    "budgets", ["0.7", "0.5", "0.35", "0.25", "0.15"], "Shares of the MACs."
)
_IMAGES = flags.DEFINE_integer(
    "images_per_class", 100, "Training images of each class to dissect."
)
_FEW = flags.DEFINE_integer(
    "removal_images", 10, "The same for accuracy_reduction, which is slow."
)
_REPAIR = flags.DEFINE_integer("repair_images", 200, "Images of each class.")
_TEST = flags.DEFINE_integer("test_images", 500, "Test images of each class.")
_RULES = flags.DEFINE_list(
    "rules", ["mean", "union"], "Chosen from, on training images."
)
_RULE_SUBTASKS = flags.DEFINE_integer(
    "rule_subtasks", 9, "On how many pairs rules are chosen, at least.", 1
)
_SEED = flags.DEFINE_integer("seed", 0, "Decides which images are drawn.")
_FLAGS = (
    _MODEL, _OUTPUT, _METHODS, _COUPLING, *subtask_flags.FLAGS, _BUDGETS,
    _IMAGES, _FEW, _REPAIR, _TEST, _RULES, _RULE_SUBTASKS, _SEED,
)  # fmt: skip


def main() -> None:
    import keras

    from drnet_tf.artifacts import check_writable
    from drnet_tf.method_study import MethodStudy

    output = Path(_OUTPUT.value)
    for suffix in (".json", ".md", ".html", ".svg"):
        check_writable(output.with_suffix(suffix))
    model = keras.models.load_model(_MODEL.value, compile=False)
    importances, dissection = _dissected(model)
    names = next(iter(importances.values())).class_names
    subtasks = subtask_flags.subtasks(names)
    study = MethodStudy(model, importances, [float(x) for x in _BUDGETS.value])
    plan = subtask_flags.without(_settings())
    kept = KeptRows(output, plan, _lines)
    rules = _rules(model, study, kept, names)
    rows = kept.rows(subtasks, lambda: _row(model, study, rules, names))
    results = {
        "settings": _settings(),
        "reference": _REFERENCE,
        "dissection": dissection,
        "rules": rules,
        "classifier_only": _classifier_only(model, subtasks[0], names),
    }
    _write(output, results, rows)
    kept.remove()


def _write(
    output: Path, results: dict[str, Any], rows: list[dict[str, Any]]
) -> None:
    from drnet_tf.artifacts import write_json, write_text
    from drnet_tf.paired_differences import differences, winners
    from drnet_tf.reporting.method_report import (
        method_curves,
        method_page,
        method_tables,
    )
    from drnet_tf.subtask_trials import summarise

    size = min(len(row["classes"]) for row in rows)
    own = [row for row in rows if len(row["classes"]) == size]
    results = results | {
        "winners": winners(own),
        "means": summarise(rows),
        "differences": differences(own, _REFERENCE),
        "rows": rows,
    }
    title = f"Methods compared: {output.stem}"
    tables = method_tables(title, results)
    write_json(output, results)
    write_text(output.with_suffix(".md"), tables)
    method_page(title, results).write(output.with_suffix(".html"))
    write_text(output.with_suffix(".svg"), method_curves(results)["hard"][0])
    print(tables)


def _lines(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What is kept, out of what was written."""
    rules = [part_line(*item) for item in results["rules"].items()]
    return [*rules, *results["rows"]]


def _settings() -> dict[str, Any]:
    return data_flags.portable_settings(_FLAGS, ("model", "output"))


def _methods() -> dict[str, tuple[Any, int]]:
    """By name: the method and its number of images of each class."""
    import drnet_tf as drnet

    many = _IMAGES.value
    accuracy_reduction = drnet.AccuracyReduction(greedy=False)
    known = {
        "cdrp": (drnet.CDRP(), many),
        "frat": (drnet.FRAT(), many),
        "relevance": (drnet.Relevance(), many),
        "relevance_soft": (drnet.Relevance(mode="soft"), many),
        "class_masks": (drnet.ClassMasks(), many),
        "accuracy_reduction": (accuracy_reduction, _FEW.value),
        "taylor": (drnet.Taylor(), many),
        "mean_activation": (drnet.MeanActivation(), many),
        "batch_norm_scale": (drnet.BatchNormScale(), many),
        "magnitude": (drnet.Magnitude(), many),
        "random": (drnet.Random(), many),
    }
    wanted = _METHODS.value or list(known)
    for name in wanted:
        if name not in known:
            raise ValueError(
                f"--methods: got '{name}', expected some of {', '.join(known)}."
            )
    if _REFERENCE not in wanted:
        raise ValueError(
            f"--methods: got {', '.join(wanted)}, expected {_REFERENCE} among "
            "them, with which the others are compared."
        )
    return {name: known[name] for name in wanted}


def _dissected(
    model: keras.Model,
) -> tuple[dict[str, ChannelImportance], dict[str, dict[str, Any]]]:
    """The importance by each method, and the seconds it took."""
    from drnet_tf.fingerprints import fingerprint
    from drnet_tf.importance import ChannelImportance
    from drnet_tf.work_folders import open_work_folder

    methods = _methods()
    decisive = ("data", "preprocessing", "coupling", "seed")
    plan = {x: _settings()[x] for x in decisive}
    plan["model"] = fingerprint(model)
    folder = open_work_folder(
        Path(_OUTPUT.value).with_suffix(".dissected"), plan
    )
    importances, figures = {}, {}
    for name, (method, images) in methods.items():
        path = folder / f"{name}.safetensors"
        figures[name] = _dissect_once(model, method, images, path)
        importances[name] = ChannelImportance.load(path)
    return importances, figures


def _dissect_once(
    model: keras.Model, method: Any, images: int, path: Path
) -> dict[str, Any]:
    """Dissects unless it was done; tells the settings and the seconds."""
    from drnet_tf.artifacts import write_json
    from drnet_tf.dissection.dissect import dissect

    figures = path.with_suffix(".json")
    settings = json.loads(json.dumps(dataclasses.asdict(method)))
    wanted = {"method": settings, "images_per_class": images}
    found = json.loads(figures.read_text("utf-8")) if figures.exists() else {}
    if wanted.items() <= found.items():
        return found
    print(f"{path.stem}: {images} images of each class", flush=True)
    stream, class_names = data_flags.open_split(model, "train")
    start = time.monotonic()
    importance = dissect(
        model,
        stream,
        method,
        class_names=class_names,
        images_per_class=images,
        seed=_SEED.value,
        coupling=_COUPLING.value,
    )
    found = wanted | {"seconds": time.monotonic() - start}
    importance.save(path)
    write_json(figures, found)
    return found


def _rules(
    model: keras.Model,
    study: MethodStudy,
    kept: KeptRows,
    names: tuple[str, ...],
) -> dict[str, dict[str, float]]:
    """By method its rules and their accuracies, the best first."""
    from drnet_tf.survey import all_subtasks

    pairs = all_subtasks(names, 2)
    pairs = pairs[:: max(1, len(pairs) // _RULE_SUBTASKS.value)]
    train = data_flags.load(model, "train", _IMAGES.value, _SEED.value, names)
    return {
        method: kept.part(
            method,
            functools.partial(study.rules, method, train, pairs, _RULES.value),
        )
        for method in _methods()
    }


def _row(
    model: keras.Model,
    study: MethodStudy,
    rules: dict[str, dict[str, float]],
    names: tuple[str, ...],
) -> Callable[[tuple[str, ...]], dict[str, Any]]:
    from drnet_tf.subtask_trials import SubtaskTrials

    seed = _SEED.value
    trials = SubtaskTrials(
        model,
        data_flags.load(model, "train", _REPAIR.value, seed, names),
        data_flags.load(model, "test", _TEST.value, seed, names),
        repair_images=_REPAIR.value,
        seed=seed,
    )
    best = {name: next(iter(found)) for name, found in rules.items()}
    return lambda classes: study.row(trials, classes, best)


def _classifier_only(
    model: keras.Model, classes: tuple[str, ...], names: tuple[str, ...]
) -> dict[str, float]:
    """Shares of parameters and MACs if only the classifier is cut."""
    from drnet_tf.pruning import prune
    from drnet_tf.sites import gate_sites
    from drnet_tf.width_masks import full_mask

    everything = full_mask(
        {site.name: site.channels for site in gate_sites(model)}
    )
    report = prune(
        model, everything, classes=classes, class_names=names, dry_run=True
    ).report
    return {
        "parameters": report.parameters_after / report.parameters_before,
        "macs": (report.macs_after or 0) / (report.macs_before or 1),
    }


if __name__ == "__main__":
    running.run(main)
