"""How much the settings of CDRP matter: balance, on_flip, gamma, iterations.

Reads: a `.keras` classifier (`--model`) and its training images (`--data`,
`--preprocessing`). Every setting is varied on its own around the defaults;
`--images_per_class` images are dissected, in bfloat16 unless told otherwise,
and pairs are evaluated on other training images at fixed fractions of kept
channels. The test split is not touched.
Writes: `--output`, a JSON with settings and rows, and `<name>.md`, the table.

Example:
  python recipes/sensitivity.py --model=vgg16.keras --data=cifar10 \
    --preprocessing=cifar10 --output=vgg16_sensitivity.json

VGG16, 20 images of each of CIFAR-10's classes: about 15 minutes on 2 cores.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import data_flags
import running
from absl import flags

if TYPE_CHECKING:
    from drnet_tf.dissection.cdrp import CDRP
    from drnet_tf.importance import ChannelImportance
    from drnet_tf.survey import Survey

_MODEL = flags.DEFINE_string("model", None, "The .keras file.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "JSON to write.", required=True)
_IMAGES = flags.DEFINE_integer("images_per_class", 20, "Images dissected.")
_VALIDATION = flags.DEFINE_integer("validation_images", 50, "Images evaluated.")
_PAIRS = flags.DEFINE_integer("pairs", 12, "Pairs of classes evaluated.")
_KEPT = flags.DEFINE_list("kept", ["0.5", "0.33"], "Fractions of channels.")
_POLICY = flags.DEFINE_string("dtype_policy", "mixed_bfloat16", "Keras policy.")
_SEED = flags.DEFINE_integer("seed", 0, "Decides which images are drawn.")
_FLAGS = (
    _MODEL, _OUTPUT, _IMAGES, _VALIDATION, _PAIRS, _KEPT, _POLICY, _SEED,
)  # fmt: skip
# Of a common rule, so that rows differ by the dissection alone.
_RULE = "mean"
_VARIED: tuple[dict[str, Any], ...] = (
    *({"balance": s} for s in ("auto", 1.0, 4.0, 8.0, 16.0, 32.0, 64.0)),
    *({"on_flip": x} for x in ("ones", "exclude", "reset")),
    *({"balance": 1.0, "on_flip": x} for x in ("ones", "reset")),
    *({"gamma": x} for x in (0.0125, 0.025, 0.1)),
    *({"iterations": x} for x in (15, 60)),
)


def main() -> None:
    import keras

    from drnet_tf.artifacts import check_writable, write_json, write_text
    from drnet_tf.costs import CostModel
    from drnet_tf.dissection.cdrp import CDRP
    from drnet_tf.dissection.dissect import dissect
    from drnet_tf.masked_network import MaskedNetwork
    from drnet_tf.survey import Survey

    output = Path(_OUTPUT.value)
    check_writable(output)
    model = keras.models.load_model(_MODEL.value, compile=False)
    # Twice as many as are dissected, to leave out those classified wrongly.
    images = data_flags.load(model, "train", 2 * _IMAGES.value, _SEED.value)
    names = images.class_names
    checked = data_flags.load(
        model, "train", _VALIDATION.value, _SEED.value + 1, names
    )
    network, costs = MaskedNetwork(model), CostModel(model)
    rows = []
    for varied in _VARIED:
        method = CDRP(dtype_policy=_POLICY.value, **varied)
        importance = dissect(
            model,
            images,
            method,
            class_names=names,
            images_per_class=_IMAGES.value,
            seed=_SEED.value,
        )
        survey = Survey(network, costs, importance, checked)
        rows.append(_row(varied, method, importance, survey))
        print(rows[-1])
    write_json(output, {"settings": _settings(), "rule": _RULE, "rows": rows})
    table = _table(rows)
    write_text(output.with_suffix(".md"), table)
    print(table)


def _settings() -> dict[str, Any]:
    return data_flags.portable_settings(_FLAGS, ("model", "output"))


def _row(
    varied: dict[str, Any],
    method: CDRP,
    importance: ChannelImportance,
    survey: Survey,
) -> dict[str, Any]:
    from drnet_tf.survey import all_subtasks, summarise, thresholds_for

    pairs = all_subtasks(importance.class_names, 2)
    step = max(1, len(pairs) // _PAIRS.value)
    found = importance.diagnostics
    row = {
        "varied": ", ".join(f"{k} {v}" for k, v in varied.items()),
        **dataclasses.asdict(method),
        "balance": found["balance"],
        "flipped": found["flipped_rate"],
        "fallback": found["fallback_rate"],
        "median_kl": found["kl"]["median"],
        "zero_gates": found["zero_gates"],
    }
    for kept in map(float, _KEPT.value):
        thresholds = thresholds_for(
            importance, pairs[::step][: _PAIRS.value], kept, _RULE, shared=False
        )
        means = summarise(survey.run(thresholds, _RULE))
        row[f"parameters_{kept}"] = means["parameters"]["mean"]
        row[f"accuracy_{kept}"] = means["accuracy"]["mean"]
        row["full_accuracy"] = means["full_accuracy"]["mean"]
    return row


def _table(rows: list[dict[str, Any]]) -> str:
    from drnet_tf.reporting.tables import Column, markdown

    columns = [
        Column("varied", "Varied"),
        Column("balance", "Balance", "g"),
        Column("flipped", "Flipped", ".1%"),
        Column("fallback", "Fallback", ".1%"),
        Column("median_kl", "Median KL", ".3f", unit="nats"),
        Column("zero_gates", "Gates at 0", ".1%"),
    ]
    for kept in map(float, _KEPT.value):
        columns += [
            Column(f"parameters_{kept}", "Parameters", ".1%"),
            Column(f"accuracy_{kept}", f"Accuracy, {kept:.0%} kept", ".1%"),
        ]
    return markdown(rows, columns) + "\n"


if __name__ == "__main__":
    running.run(main)
