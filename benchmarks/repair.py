"""Seconds and memory of a repair, beside an epoch of fine-tuning.

Each network is cut to some classes and repaired by least squares, and the cut
network is trained for one epoch by distillation on the same images. Each runs
in a process of its own, whose peak of resident memory is told beside that of
the same process before the work (the network loaded, run once).

Reads: networks (`--networks`, `.keras` files), or, without any, networks of
`keras.applications` with random weights; images are random: neither seconds nor
bytes depend on them.
Writes: `--output`, a JSON with one row for each network; prints a table.

Example: python benchmarks/repair.py --output=results/repair/speed.json

Takes about 15 minutes on 2 cores.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from absl import app, flags

_ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_ROOT), str(_ROOT / "tflite")]  # runs uninstalled, too

_NETWORKS = flags.DEFINE_list(
    "networks",
    ["ResNet50", "MobileNetV2", "EfficientNetB0"],
    "`.keras` files, or names of keras.applications.",
)
_KEPT = flags.DEFINE_float("kept", 0.5, "Share of the channels of every site.")
_IMAGES = flags.DEFINE_integer("images", 400, "Their number.", 1)
_CLASSES = flags.DEFINE_integer("classes", 2, "Of the sub-task.", 1)
_SEED = flags.DEFINE_integer("seed", 0, "Of masks and images.")
_OUTPUT = flags.DEFINE_string("output", None, "The .json file to write.")
_STEP = flags.DEFINE_enum(
    "step", None, ["least_squares", "norms", "epoch"],
    "For the program's own use: measures this step of the one network here.",
)  # fmt: skip
_STEPS = ("norms", "least_squares", "epoch")


def main(_: list[str]) -> None:
    if _STEP.value:
        print(json.dumps(_measure(_NETWORKS.value[0], _STEP.value)))
        return
    from drnet_tf.artifacts import check_writable, write_json

    if _OUTPUT.value:
        check_writable(_OUTPUT.value)
    rows = []
    for network in _NETWORKS.value:
        row: dict[str, Any] = {"network": Path(network).stem}
        for step in _STEPS:
            row[step] = _run_apart(network, step)
        rows.append(row)
        told = ", ".join(
            f"{step} {row[step]['seconds']:.0f} s and "
            f"{row[step]['gigabytes']:.1f} GB"
            for step in _STEPS
        )
        print(f"{row['network']}: {told}", flush=True)
    settings = {
        "kept": _KEPT.value,
        "images": _IMAGES.value,
        "classes": _CLASSES.value,
        "seed": _SEED.value,
    }
    if _OUTPUT.value:
        write_json(_OUTPUT.value, {"settings": settings, "rows": rows})


def _run_apart(network: str, step: str) -> dict[str, float]:
    done = subprocess.run(
        [
            *(sys.executable, __file__, f"--step={step}"),
            f"--networks={network}",
            f"--kept={_KEPT.value}",
            f"--images={_IMAGES.value}",
            f"--classes={_CLASSES.value}",
            f"--seed={_SEED.value}",
        ],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def _measure(network: str, step: str) -> dict[str, float]:
    """Seconds of one step, and the process' peak of memory."""
    import warnings

    import numpy as np

    from drnet_tf.finetuning import finetune
    from drnet_tf.masks import ChannelMask
    from drnet_tf.pruning import prune
    from drnet_tf.repair.repair import repair
    from drnet_tf.sites import gate_sites

    warnings.simplefilter("ignore")
    model = _network(network)
    generator = np.random.default_rng(_SEED.value)
    shape = (_IMAGES.value, *model.input_shape[1:])
    images = generator.normal(size=shape).astype("float32")
    keep = {
        site.name: generator.random(site.channels) < _KEPT.value
        for site in gate_sites(model)
    }
    classes = tuple(range(_CLASSES.value))
    pruned = prune(model, ChannelMask(keep), classes=classes)
    pruned.model(images[:1], training=False)
    before = _peak()
    start = time.monotonic()
    if step == "epoch":
        finetune(pruned, model, images, progress=False, batch_size=32)
    else:
        repair(pruned, model, images, step, progress=False)
    return {
        "seconds": time.monotonic() - start,
        "gigabytes": _peak(),
        "gigabytes_before": before,
    }


def _network(name: str) -> Any:
    import keras
    from random_networks import randomise

    keras.utils.set_random_seed(_SEED.value)
    if name.endswith(".keras"):
        return keras.models.load_model(name, compile=False)
    make = getattr(keras.applications, name)
    return randomise(
        make(weights=None, classifier_activation=None), _SEED.value
    )


def _peak() -> float:
    # In KiB on Linux.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    app.run(main)
