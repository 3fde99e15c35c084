"""Times `prune` against Keras' own copy of the same model, and its memory.

For ResNet50, MobileNetV2, EfficientNetB0 and DenseNet121 of
`keras.applications` with random weights and a mask that silences half of all
channels: seconds of `prune(model, mask)` as a multiple of
`keras.models.clone_model(model)` with `set_weights`, both in the same process,
in turn; and the peak memory of the process while it prunes, as a multiple of
what the model itself takes there.

Reads: nothing. Writes: `--output`, a JSON file with every round. Prints one row
a network: the smallest, the median and the largest ratio, and the memory.

Example: python benchmarks/pruning_speed.py --output=results/pruning_speed.json

Takes about 2 minutes on 2 cores. Ends with an error if a median ratio, or a
peak, exceeds 2.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags

_ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_ROOT), str(_ROOT / "tflite")]  # runs uninstalled, too

_NETWORKS = flags.DEFINE_list(
    "networks",
    ["ResNet50", "MobileNetV2", "EfficientNetB0", "DenseNet121"],
    "Names in keras.applications.",
)
_ROUNDS = flags.DEFINE_integer("rounds", 7, "Of each network.", 1)
_SEED = flags.DEFINE_integer("seed", 0, "Of the masks.")
_OUTPUT = flags.DEFINE_string("output", None, "The .json file to write.")
_MEASURE = flags.DEFINE_enum(
    "measure", None, ["seconds", "memory"], "Of one network, in this process."
)

_LIMIT = 2.0
_MIB = 1 << 20


def main(_: list[str]) -> None:
    from drnet_tf.artifacts import check_writable, write_json

    if _MEASURE.value:
        measure = _seconds if _MEASURE.value == "seconds" else _memory
        print(json.dumps(measure(_NETWORKS.value[0])))
        return
    if _OUTPUT.value:
        check_writable(_OUTPUT.value)
    print("network          min  median     max   peak memory / model")
    rows = []
    for name in _NETWORKS.value:
        row = {
            "network": name,
            **_in_a_process(name, "seconds"),
            **_in_a_process(name, "memory"),
        }
        ratios = np.array(row["prune_s"]) / np.array(row["clone_s"])
        row["ratio_median"] = float(np.median(ratios))
        rows.append(row)
        print(
            f"{name:15}{ratios.min():5.2f}{row['ratio_median']:8.2f}"
            f"{ratios.max():8.2f}{row['memory_ratio']:10.2f} "
            f"({row['peak_mib']:.0f} / {row['model_mib']:.0f} MiB)",
            flush=True,
        )
    if _OUTPUT.value:
        settings = {"seed": _SEED.value, "rounds": _ROUNDS.value}
        write_json(_OUTPUT.value, {"settings": settings, "rows": rows})
    if any(max(x["ratio_median"], x["memory_ratio"]) > _LIMIT for x in rows):
        sys.exit(f"a ratio is above {_LIMIT:g}")


def _in_a_process(name: str, measure: str) -> dict[str, Any]:
    """A process for each figure: what one leaves behind spoils the next."""
    done = subprocess.run(
        [
            sys.executable,
            __file__,
            f"--networks={name}",
            f"--measure={measure}",
            f"--rounds={_ROUNDS.value}",
            f"--seed={_SEED.value}",
        ],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def _model_and_mask(name: str) -> tuple[Any, Any]:
    import keras

    from drnet_tf.masks import ChannelMask
    from drnet_tf.sites import gate_sites

    model = getattr(keras.applications, name)(weights=None)
    generator = np.random.default_rng(_SEED.value)
    sites = gate_sites(model)
    keep = {s.name: generator.random(s.channels) >= 0.5 for s in sites}
    return model, ChannelMask(keep)


def _seconds(name: str) -> dict[str, Any]:
    import keras

    from drnet_tf.pruning import prune

    model, mask = _model_and_mask(name)

    def clone() -> None:
        keras.models.clone_model(model).set_weights(model.get_weights())

    clone_s: list[float] = []
    prune_s: list[float] = []
    for number in range(_ROUNDS.value + 1):
        for run, seconds in (
            (clone, clone_s),
            (lambda: prune(model, mask), prune_s),
        ):
            start = time.perf_counter()
            run()
            if number:  # the first round warms up
                seconds.append(time.perf_counter() - start)
    return {"clone_s": clone_s, "prune_s": prune_s}


def _memory(name: str) -> dict[str, Any]:
    """Resident memory, above that of a process that has pruned a small net."""
    import keras

    from drnet_tf.masks import ChannelMask
    from drnet_tf.pruning import prune

    layers = keras.layers
    small = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, name="conv"),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    norm = ChannelMask({small.layers[1].name: np.arange(4) < 2})
    prune(small, norm)
    before = _resident("VmRSS")
    model, mask = _model_and_mask(name)
    with_model = _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # starts VmHWM anew
    prune(model, mask)
    peak = _resident("VmHWM")
    return {
        "model_mib": (with_model - before) / _MIB,
        "peak_mib": (peak - before) / _MIB,
        "memory_ratio": (peak - before) / (with_model - before),
    }


def _resident(field: str) -> int:
    """Bytes of this process, as Linux counts them."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {field}; this needs Linux.")


if __name__ == "__main__":
    app.run(main)
