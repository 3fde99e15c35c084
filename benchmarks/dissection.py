"""How fast gates are learned, held against the machine and against loops.

In one process, interleaved and repeated, so that a machine that is now faster,
now slower moves all alike; ratios are medians over the repeats:

* forward: the network alone, compiled, in float32;
* learning: `GateLearner` in float32. T updates cost 2 T forward passes: one for
  the target, T - 1 forward and backward (no gradient of weights is needed, so
  backward costs as much as forward), one for the last state. FLOP/s are 2 MACs
  of `count_costs` times the passes; at a ratio of 1 learning is as fast as the
  machine runs the network;
* bfloat16: the same under `mixed_bfloat16`: its speed, and how far gates and
  masks agree with those of float32;
* loops: one image at a time, eager, in TensorFlow and, where torch is
  installed and the network is a plain chain, in PyTorch; with the greatest
  difference of their gates, which shows that all do the same work.

Reads: with `--model` a .keras file (default: an untrained VGG16), with
`--images` a .npy file of images as it expects them (default: noise; speed does
not depend on it, the agreement of masks does). Writes: with `--output` a JSON
file. Prints tables.

Example: python benchmarks/dissection.py --output=results/dissection_speed.json

A quick look: --batch_sizes=16,64 --iterations=4 --repeats=1. The defaults take
about an hour on 2 cores.
"""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags

_ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_ROOT), str(_ROOT / "benchmarks")]  # runs uninstalled, too

_MODEL = flags.DEFINE_string("model", None, "A .keras file; default: VGG16.")
_IMAGES = flags.DEFINE_string("images", None, "A .npy file; default: noise.")
_BATCH_SIZES = flags.DEFINE_list(
    "batch_sizes", ["16", "32", "64", "128", "256"], "Images at a time."
)
_ITERATIONS = flags.DEFINE_integer("iterations", 30, "T, updates.", 2)
_REPEATS = flags.DEFINE_integer("repeats", 3, "Rounds of everything.", 1)
_FORWARDS = flags.DEFINE_integer("forwards", 5, "Forward passes timed.", 1)
_LOOPS = flags.DEFINE_bool("compare_loops", True, "Time loops as well.")
_LOOP_IMAGES = flags.DEFINE_integer("loop_images", 3, "Images of a loop.", 1)
_SEED = flags.DEFINE_integer("seed", 0, "Of noise and weights.")
_OUTPUT = flags.DEFINE_string("output", None, "The .json file to write.")

_FLAGS_OF_INTEREST = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def main(_: list[str]) -> None:
    import keras
    from dissection_timers import Timers

    from drnet_tf.artifacts import check_writable, write_json
    from drnet_tf.costs import count_costs

    if _OUTPUT.value:
        check_writable(_OUTPUT.value)
    keras.utils.set_random_seed(_SEED.value)
    model = _load_model()
    sizes = sorted({int(size) for size in _BATCH_SIZES.value})
    images = _load_images(model, max(sizes))
    macs = count_costs(model).macs
    print(f"{model.name}: {macs:,} MACs an image, T = {_ITERATIONS.value}")
    timers = Timers(
        model,
        images,
        iterations=_ITERATIONS.value,
        forwards=_FORWARDS.value,
        loop_images=_LOOP_IMAGES.value if _LOOPS.value else 0,
    )
    rounds = []
    for number in range(_REPEATS.value):
        rounds.append(timers.run(sizes))
        print(f"round {number + 1} of {_REPEATS.value} done", flush=True)
    report = _report(model.name, macs, rounds, timers, images)
    _print(report)
    if _OUTPUT.value:
        write_json(_OUTPUT.value, report)


def _report(
    name: str,
    macs: int,
    rounds: list[dict[str, Any]],
    timers: Any,
    images: np.ndarray,
) -> dict[str, Any]:
    sizes = list(rounds[0]["learning"])
    return {
        "model": name,
        "macs": macs,
        "iterations": _ITERATIONS.value,
        "repeats": _REPEATS.value,
        "noise": not _IMAGES.value,
        "seed": _SEED.value,
        "machine": _machine(),
        "by_batch_size": [_row(rounds, size, macs) for size in sizes],
        "best": _best(rounds, macs),
        "bfloat16": {
            "speed_ratio": _median(
                r["bfloat16"] / r["learning"][r["best"]] for r in rounds
            ),
            **timers.agreement(images[: max(8, min(sizes))]),
        },
        "loops": _loop_rows(rounds, timers),
    }


def _row(rounds: list[dict[str, Any]], size: int, macs: int) -> dict[str, Any]:
    passes = 2 * _ITERATIONS.value
    return {
        "batch_size": size,
        "forward_gflops": _median(
            r["forward"][size] * 2 * macs / 1e9 for r in rounds
        ),
        "learning_gflops": _median(
            r["learning"][size] * passes * 2 * macs / 1e9 for r in rounds
        ),
        "ratio": _median(
            r["learning"][size] * passes / r["forward"][size] for r in rounds
        ),
        "images_per_second": _median(r["learning"][size] for r in rounds),
    }


def _best(rounds: list[dict[str, Any]], macs: int) -> dict[str, float]:
    """Each at its own best batch size."""
    passes = 2 * _ITERATIONS.value
    return {
        "forward_gflops": _median(
            max(r["forward"].values()) * 2 * macs / 1e9 for r in rounds
        ),
        "learning_gflops": _median(
            max(r["learning"].values()) * passes * 2 * macs / 1e9
            for r in rounds
        ),
        "ratio": _median(
            max(r["learning"].values()) * passes / max(r["forward"].values())
            for r in rounds
        ),
    }


def _loop_rows(rounds: list[dict[str, Any]], timers: Any) -> list[Any]:
    rows: list[dict[str, Any]] = [
        {
            "loop": name,
            "images_per_second": _median(r["loops"][name] for r in rounds),
            "library_is_faster": _median(
                r["learning"][r["best"]] / r["loops"][name] for r in rounds
            ),
            "largest_difference_of_gates": timers.differences[name],
        }
        for name in timers.loops
    ]
    return rows + [
        {"loop": name, "skipped": why} for name, why in timers.skipped.items()
    ]


def _median(values: Any) -> float:
    return float(np.median(list(values)))


def _load_model() -> Any:
    import keras

    from drnet_tf.models import vgg16

    if _MODEL.value is None:
        return vgg16()
    return keras.models.load_model(_MODEL.value, compile=False)


def _load_images(model: Any, count: int) -> np.ndarray:
    if _IMAGES.value:
        images = np.load(_IMAGES.value)
        if len(images) < count:
            sys.exit(f"--images holds {len(images)} images, expected {count}.")
        return images[:count].astype(np.float32)
    random = np.random.default_rng(_SEED.value)
    noise = random.normal(size=(count, *model.input_shape[1:]))
    if _MODEL.value is None:  # raw pixels in
        noise = np.clip(128 + 60 * noise, 0, 255)
    return noise.astype(np.float32)


def _machine() -> dict[str, Any]:
    """What of the machine decides; no names."""
    import keras

    versions = {}
    for package in ("tensorflow", "keras", "numpy", "torch"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    cpu = Path("/proc/cpuinfo")
    known = cpu.read_text().split() if cpu.exists() else []
    return {
        "cores": os.cpu_count(),
        "gpus": len(keras.distribution.list_devices("gpu")),
        "architecture": platform.machine(),
        "instructions": [x for x in _FLAGS_OF_INTEREST if x in known],
        "system": platform.system(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        **versions,
    }


def _print(report: dict[str, Any]) -> None:
    print("batch size  forward GFLOP/s  learning GFLOP/s  ratio  images/s")
    for row in report["by_batch_size"]:
        print(
            f"{row['batch_size']:10d}  {row['forward_gflops']:15.1f}  "
            f"{row['learning_gflops']:16.1f}  {row['ratio']:5.2f}  "
            f"{row['images_per_second']:8.2f}"
        )
    best = report["best"]
    print(
        f"      best  {best['forward_gflops']:15.1f}  "
        f"{best['learning_gflops']:16.1f}  {best['ratio']:5.2f}"
    )
    rough = report["bfloat16"]
    print(
        f"bfloat16: {rough['speed_ratio']:.2f} x as fast; zero and non-zero "
        f"gates agree on {rough['zero_gates_agree']:.2%}; masks agree on "
        + ", ".join(f"{v:.2%} ({k})" for k, v in rough["masks_agree"].items())
    )
    for row in report["loops"]:
        if "skipped" in row:
            print(f"{row['loop']} loop: left out, {row['skipped']}")
            continue
        apart = row["largest_difference_of_gates"]
        print(
            f"{row['loop']} loop: {row['images_per_second']:.3f} images/s, the "
            f"library is {row['library_is_faster']:.1f} x as fast; gates "
            + (
                "not compared, all lost their class"
                if apart is None
                else f"differ by {apart:.1e} at most"
            )
        )


if __name__ == "__main__":
    app.run(main)
