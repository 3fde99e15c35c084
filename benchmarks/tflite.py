"""What a bundle's sub-networks cost on this machine's CPU.

Files of one network: the full one; its head cut to the classes; sub-networks at
several `--fractions` of the channels; and, with `--tfmot`, the same network
with as large a share of its weights set to 0 by tensorflow-model-optimization,
which stores and computes them all the same. Of each: bytes, MACs, milliseconds
to load and for the first image, and the median of further ones with one and
with two threads, all files in turn, so that whatever else the machine does
slows all alike. `speedup_of_macs` is the speed-up against the full network,
divided by the ratio of MACs. Where it is below 1, `rates` tells why: the least
squares fit of t = dense MACs / a + depthwise MACs / b to these files.
Depthwise convolutions take far longer for each MAC, and shrink with the width
only, not with its square.

Then the way from class names to the first answer: out of the bundle (cut, load,
first run; cold, and again from the cache) and by Keras (prune, convert, load,
first run).

Reads: `--model` and `--civ` (without: random importances), and `--rows`, a
JSON, where the CIVs are of some of the model's classes. Writes: `--output`, a
JSON; prints the same as tables.

Example: python benchmarks/tflite.py --model=vgg16.keras \
  --civ=vgg16_civ.safetensors --classes=cat,dog --output=vgg16_tflite.json

Takes a minute or two for VGG16 on 2 cores; leave the machine alone meanwhile.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import app, flags

if TYPE_CHECKING:
    import keras
    from drnet_tflite.bundles.bundle import Bundle

    from drnet_tf.importance import ChannelImportance

_ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_ROOT), str(_ROOT / "tflite")]  # runs uninstalled, too

_MODEL = flags.DEFINE_string("model", None, "A .keras file.", required=True)
_CIV = flags.DEFINE_string("civ", None, "Its CIVs.")
_ROWS = flags.DEFINE_string(
    "rows", None, "JSON: the output of each class of the CIVs, by name."
)
_CLASSES = flags.DEFINE_list("classes", None, "Default: the first two.")
_FRACTIONS = flags.DEFINE_list("fractions", ["0.5", "0.33"], "Of channels.")
_RULE = flags.DEFINE_string("rule", "mean", "How classes are combined.")
_ROUNDS = flags.DEFINE_integer("rounds", 60, "Timed runs of each file.", 3)
_TFMOT = flags.DEFINE_bool("tfmot", False, "Needs the extra `tfmot`.")
_SEED = flags.DEFINE_integer("seed", 0, "Of random importances and images.")
_OUTPUT = flags.DEFINE_string(
    "output", None, "The .json file to write.", required=True
)


def main(argv: list[str]) -> None:
    del argv
    import drnet_tflite
    import keras
    from first_answers import first_answers

    from drnet_tf.artifacts import check_writable, write_json

    check_writable(_OUTPUT.value)
    model = keras.models.load_model(_MODEL.value, compile=False)
    importance = _importance(model)
    classes = _CLASSES.value or list(importance.class_names[:2])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "bundle.tflite"
        drnet_tflite.write_bundle(
            model,
            importance,
            path,
            labels=_labels(model, importance),
            class_outputs=_class_outputs(importance),
        )
        bundle = drnet_tflite.Bundle(path)
        rows = _figures(_files(bundle, model, classes, folder))
        found = {
            "model": Path(_MODEL.value).name,
            "classes": classes,
            "seed": _SEED.value,
            "files": rows,
            "rates": _rates(rows),
            "first_answer": first_answers(
                bundle,
                model,
                classes,
                _request(_FRACTIONS.value[-1]),
                folder,
            ),
        }
    _show(found)
    write_json(_OUTPUT.value, found)


def _importance(model: keras.Model) -> ChannelImportance:
    import numpy as np

    from drnet_tf.importance import ChannelImportance
    from drnet_tf.sites import gate_sites

    if _CIV.value:
        return ChannelImportance.load(_CIV.value)
    generator = np.random.default_rng(_SEED.value)
    scores = {
        site.name: generator.random((2, site.channels))
        for site in gate_sites(model, "tied")
    }
    return ChannelImportance(scores, ("first", "second"), "random")


def _class_outputs(importance: ChannelImportance) -> list[int]:
    names = importance.class_names
    if not _ROWS.value:
        return list(range(len(names)))
    by_name = json.loads(Path(_ROWS.value).read_text("utf-8"))
    return [by_name[name] for name in names]


def _labels(model: keras.Model, importance: ChannelImportance) -> list[str]:
    labels = [f"class {x}" for x in range(model.outputs[0].shape[-1])]
    for name, output in zip(
        importance.class_names, _class_outputs(importance), strict=True
    ):
        labels[output] = name
    return labels


def _files(
    bundle: Bundle, model: keras.Model, classes: list[str], folder: Path
) -> dict[str, Path]:
    """All files that are timed, by what they are."""
    import numpy as np
    from drnet_tflite.bundles.selection import Selection
    from drnet_tflite.bundles.slicing import cut

    files = {"full": Path(bundle.path)}
    smallest = bundle.select(classes, **_request(_FRACTIONS.value[0]))
    everything = Selection(
        tuple(classes),
        smallest.outputs,
        tuple(np.arange(width) for width in bundle.plan.widths),
    )
    files["head cut"] = folder / "head.tflite"
    files["head cut"].write_bytes(cut(bundle.data, bundle.plan, everything))
    for fraction in _FRACTIONS.value:
        name = f"{float(fraction):.0%} of channels"
        files[name] = folder / f"{fraction}.tflite"
        content = bundle.extract(classes, **_request(fraction))
        files[name].write_bytes(content)
        if _TFMOT.value:
            from sparse_networks import sparse_file

            selection = bundle.select(classes, **_request(fraction))
            share = 1 - selection.parameters(bundle.plan) / _parameters(bundle)
            files[f"tfmot, {share:.0%} zeros"] = sparse_file(
                model, share, folder / f"tfmot_{fraction}.tflite"
            )
    return files


def _request(fraction: str) -> dict[str, Any]:
    return {"kept_fraction": float(fraction), "rule": _RULE.value}


def _parameters(bundle: Bundle) -> int:
    plan = bundle.plan
    return sum(plan.elements(x) for x in plan.vectors if x.is_parameter)


def _figures(files: dict[str, Path]) -> list[dict[str, Any]]:
    import drnet_tflite

    latencies = {
        threads: drnet_tflite.compare_latency(
            list(files.values()), runs=_ROUNDS.value, threads=threads
        )
        for threads in (1, 2)
    }
    rows: list[dict[str, Any]] = []
    for number, (name, path) in enumerate(files.items()):
        load, first = _load_and_first(path)
        dense, depthwise = _macs(path)
        row: dict[str, Any] = {
            "file": name,
            "bytes": path.stat().st_size,
            "macs": dense + depthwise,
            "depthwise_share": depthwise / (dense + depthwise),
            "load_ms": load,
            "first_ms": first,
            "ms": latencies[1][number].median_ms,
            "ms_2_threads": latencies[2][number].median_ms,
        }
        full = rows[0] if rows else row
        row["speedup"] = full["ms"] / row["ms"]
        row["speedup_2_threads"] = full["ms_2_threads"] / row["ms_2_threads"]
        row["ratio_of_macs"] = full["macs"] / row["macs"]
        row["speedup_of_macs"] = row["speedup"] / row["ratio_of_macs"]
        rows.append(row)
    return rows


def _load_and_first(path: Path) -> tuple[float, float]:
    """Milliseconds, the least of a few tries."""
    import numpy as np
    from drnet_tflite.loaded_model import LoadedModel

    loads, firsts = [], []
    for _ in range(5):
        start = time.perf_counter()
        model = LoadedModel(path)
        loads.append(time.perf_counter() - start)
        model.set_image(np.zeros(model.input.shape, model.input.dtype))
        start = time.perf_counter()
        model.invoke()
        firsts.append(time.perf_counter() - start)
    return 1e3 * min(loads), 1e3 * min(firsts)


def _macs(path: Path) -> tuple[int, int]:
    """Of convolutions and dense layers, and of depthwise convolutions."""
    from drnet_tflite.planning.file_model import FileModel

    file, dense, depthwise = FileModel(path.read_bytes()), 0, 0
    for operator in file.operators:
        if operator.kind in ("CONV_2D", "FULLY_CONNECTED"):
            _, *taps = file.shape(operator.inputs[1])
            places = math.prod(file.shape(operator.outputs[0]))
            dense += places * math.prod(taps)
        elif operator.kind == "DEPTHWISE_CONV_2D":
            _, *taps, _ = file.shape(operator.inputs[1])
            places = math.prod(file.shape(operator.outputs[0]))
            depthwise += places * math.prod(taps)
    return dense, depthwise


def _rates(rows: list[dict[str, Any]]) -> dict[str, float] | None:
    """10^9 MACs a second of each kind; None without depthwise convolutions.

    The errors are taken as shares, so that small networks count as much.
    """
    import numpy as np

    ms = np.array([x["ms"] for x in rows])
    macs = np.array([x["macs"] for x in rows])
    depthwise = macs * [x["depthwise_share"] for x in rows]
    if not depthwise.any():
        return None
    shares = np.stack([macs - depthwise, depthwise], 1) / ms[:, None]
    (dense, slow), *_ = np.linalg.lstsq(shares, np.ones(len(rows)))
    return {
        "dense": 1e-6 / dense,
        "depthwise": 1e-6 / slow,
        "worst_error": float(np.abs(shares @ [dense, slow] - 1).max()),
    }


def _show(found: dict[str, Any]) -> None:
    from drnet_tf.reporting.tables import Column, text

    columns = (
        Column("file", "File"),
        Column("bytes", "Bytes", ","),
        Column("macs", "MACs", ","),
        Column("depthwise_share", "Depthwise", ".1%"),
        Column("load_ms", "Load", ".1f", unit="ms"),
        Column("first_ms", "First", ".2f", unit="ms"),
        Column("ms", "One thread", ".2f", unit="ms"),
        Column("ms_2_threads", "Two", ".2f", unit="ms"),
        Column("speedup", "Speed-up", ".2f"),
        Column("ratio_of_macs", "Ratio of MACs", ".2f"),
        Column("speedup_of_macs", "of it", ".2f"),
    )
    print(text(found["files"], columns))
    print(
        json.dumps({x: found[x] for x in ("rates", "first_answer")}, indent=1)
    )


if __name__ == "__main__":
    app.run(main)
