"""Free against tied sites on a residual network: what goes, at what cost.

Reads: a `.keras` classifier (`--model`), its CIVs by free and by tied sites
(`--free_civ`, `--tied_civ`, by build_civ.py with --coupling) and its test
images (`--data`, `--preprocessing`).
Writes: `--output`, a JSON with one row for each pair of classes, coupling and
fraction of gates kept: accuracy under the masked softmax, parameters and MACs
of the pruned network, share of the masked channels that is gone; beside it
`<name>.md`, the means over all pairs, and `<name>.svg`, accuracy against the
parameters that are left. Nothing is chosen, so test images are enough.

DRNet leaves residual networks open (section 5.4); this is an answer. Example:
  python recipes/compare_coupling.py --model=resnet20.keras --data=cifar10 \
    --free_civ=free.safetensors --tied_civ=tied.safetensors \
    --preprocessing=imagenet_torch --output=coupling.json

ResNet20 on CIFAR-10, 45 pairs: about 5 minutes on 2 cores.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import data_flags
import running
from absl import flags

_MODEL = flags.DEFINE_string("model", None, "The .keras file.", required=True)
_FREE = flags.DEFINE_string("free_civ", None, "By free sites.", required=True)
_TIED = flags.DEFINE_string("tied_civ", None, "By tied sites.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "JSON to write.", required=True)
_TEST = flags.DEFINE_integer(
    "test_images", 200, "Test images of each class, drawn by seed."
)
_KEPT = flags.DEFINE_list(
    "kept",
    ["0.4", "0.5", "0.6", "0.7", "0.8", "0.9", "0.95"],
    "Fractions of gates that the thresholds keep.",
)
_RULE = flags.DEFINE_string("rule", "mean", "How classes are combined.")
_SEED = flags.DEFINE_integer("seed", 1, "Decides which images are drawn.")
_FLAGS = (_MODEL, _FREE, _TIED, _OUTPUT, _TEST, _KEPT, _RULE, _SEED)
_COLUMNS = {
    "coupling": ("Sites", "{}"),
    "kept_fraction": ("Gates kept", "{:.0%}"),
    "parameters": ("Parameters left", "{:.1%}"),
    "macs": ("MACs left", "{:.1%}"),
    "removed": ("Masked channels gone", "{:.1%}"),
    "full_accuracy": ("Full network", "{:.2%}"),
    "accuracy": ("Sub-network", "{:.2%}"),
}


def main() -> None:
    import keras

    from drnet_tf.artifacts import check_writable, write_json, write_text
    from drnet_tf.coupling_study import compare_couplings
    from drnet_tf.importance import ChannelImportance

    output = Path(_OUTPUT.value)
    for path in (output, output.with_suffix(".md"), output.with_suffix(".svg")):
        check_writable(path)
    importances = {
        "free": ChannelImportance.load(_FREE.value),
        "tied": ChannelImportance.load(_TIED.value),
    }
    model = keras.models.load_model(_MODEL.value, compile=False)
    names = importances["free"].class_names
    results = compare_couplings(
        model,
        importances,
        data_flags.load(model, "test", _TEST.value, _SEED.value, names),
        [float(x) for x in _KEPT.value],
        _RULE.value,
    )
    files = ("model", "free_civ", "tied_civ", "output")
    settings = data_flags.portable_settings(_FLAGS, files)
    write_json(output, {"settings": settings, **results})
    table = _table(results)
    title = f"# {output.stem}: means over all 45 pairs, test images"
    write_text(output.with_suffix(".md"), f"{title}\n\n{table}\n")
    write_text(output.with_suffix(".svg"), _figure(results))
    print(table)


def _table(results: dict[str, Any]) -> str:
    rows = [
        {"coupling": coupling, **point}
        for coupling, part in results.items()
        for point in part["curve"]
    ]
    heads = [head for head, _ in _COLUMNS.values()]
    lines = [heads, ["---"] * len(heads)]
    lines += [
        [form.format(row[name]) for name, (_, form) in _COLUMNS.items()]
        for row in rows
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _figure(results: dict[str, Any]) -> str:
    from drnet_tf.reporting.figures import CurveSeries, accuracy_curve

    series = [
        CurveSeries(
            f"{coupling} sites",
            [point["parameters"] for point in part["curve"]],
            [point["accuracy"] for point in part["curve"]],
        )
        for coupling, part in results.items()
    ]
    full = results["free"]["curve"][0]["full_accuracy"]
    return accuracy_curve(series, "Parameters left", full)


if __name__ == "__main__":
    running.run(main)
