"""Dissects a trained network: one importance vector (CIV) for each class.

Reads: a `.keras` classifier (`--model`) and its training images (`--data`,
`--split`, `--preprocessing`).
Writes: the CIVs (`--output`, safetensors) and, beside them, `<name>.json` with
the settings and figures: the balance found, rate of fallbacks, histogram of the
iterates that were kept, sparsity, seconds. With `--work_dir` finished batches
are kept, and a stopped run goes on there.

Reproduces section 3.1 of DRNet. Example:
  python recipes/build_civ.py --model=vgg16.keras --data=cifar10 \
    --preprocessing=cifar10 --output=vgg16_civ.safetensors

VGG16, 100 images for each of CIFAR-10's 10 classes: 4 minutes on 2 cores.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import data_flags
import running
from absl import flags

if TYPE_CHECKING:
    from drnet_tf.dissection.cdrp import CDRP
    from drnet_tf.importance import ChannelImportance

_MODEL = flags.DEFINE_string("model", None, "The .keras file.", required=True)
_OUTPUT = flags.DEFINE_string(
    "output", None, "The .safetensors file to write.", required=True
)
_SPLIT = flags.DEFINE_string("split", "train", "Split that is dissected.")
_IMAGES = flags.DEFINE_integer("images_per_class", 100, "Images of each class.")
_SEED = flags.DEFINE_integer("seed", 0, "Decides which images are drawn.")
_BATCH = flags.DEFINE_integer("batch_size", None, "Images at a time.")
_COUPLING = flags.DEFINE_enum(
    "coupling", "free", ["free", "tied"],
    "free: a gate at every activation; tied: one for what only goes together.",
)  # fmt: skip
_KEEP = flags.DEFINE_integer(
    "keep_images", 0, "Images of each class kept with the CIVs, for repairs."
)
_WORK_DIR = flags.DEFINE_string("work_dir", None, "Folder of finished batches.")
_BALANCE = flags.DEFINE_string("balance", "auto", "auto or a number; 1: paper")
_ON_FLIP = flags.DEFINE_string(
    "on_flip", "best_iterate", "best_iterate, ones, exclude or reset."
)
_GAMMA = flags.DEFINE_float("gamma", 0.05, "Weight of the L1 term.")
_ITERATIONS = flags.DEFINE_integer("iterations", 30, "Updates per image.")
_POLICY = flags.DEFINE_string(
    "dtype_policy", None, "e.g. mixed_bfloat16; by default the model's own."
)
_FLAGS = (
    _MODEL, _OUTPUT, _SPLIT, _IMAGES, _SEED, _BATCH, _COUPLING, _KEEP,
    _WORK_DIR, _BALANCE, _ON_FLIP, _GAMMA, _ITERATIONS, _POLICY,
)  # fmt: skip


def main() -> None:
    import keras

    from drnet_tf.artifacts import check_writable, write_json
    from drnet_tf.dissection.dissect import dissect

    summary = Path(_OUTPUT.value).with_suffix(".json")
    check_writable(_OUTPUT.value)
    check_writable(summary)
    method = _method()
    model = keras.models.load_model(_MODEL.value, compile=False)
    images, class_names = data_flags.open_split(model, _SPLIT.value)
    start = time.monotonic()
    importance = dissect(
        model,
        images,
        method,
        class_names=class_names,
        images_per_class=_IMAGES.value,
        seed=_SEED.value,
        batch_size=_BATCH.value,
        coupling=_COUPLING.value,
        keep_images=_KEEP.value,
        work_dir=_WORK_DIR.value,
    )
    seconds = time.monotonic() - start
    importance.save(_OUTPUT.value)
    settings = {f.name: f.value for f in _FLAGS} | data_flags.settings()
    settings.pop("data_dir")  # like folders, a matter of this machine only
    for name in ("model", "output"):
        settings[name] = Path(settings[name]).name
    figures = {
        "fingerprint": importance.fingerprint,
        "classes": importance.class_names,
        "diagnostics": importance.diagnostics,
        "seconds": seconds,
    }
    write_json(summary, {"settings": settings, **figures})
    _print_summary(importance, seconds)
    print(f"  CIVs in {_OUTPUT.value}, settings and figures in {summary}")


def _method() -> CDRP:
    from drnet_tf.dissection.cdrp import CDRP

    balance = _BALANCE.value
    return CDRP(
        iterations=_ITERATIONS.value,
        gamma=_GAMMA.value,
        on_flip=_ON_FLIP.value,
        balance=balance if balance == "auto" else float(balance),
        dtype_policy=_POLICY.value,
    )


def _print_summary(importance: ChannelImportance, seconds: float) -> None:
    found = importance.diagnostics
    print(f"{importance} in {seconds:.0f} s")
    print(
        f"  balance {found['balance']:g}, fallbacks "
        f"{found['fallback_rate']:.1%}, gates at zero "
        f"{found['zero_gates']:.1%}, median KL "
        f"{found['kl']['median']:.3f} nats"
    )


if __name__ == "__main__":
    running.run(main)
