"""The flags of the recipes that dissect, and what they write alike."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import data_flags
from absl import flags

if TYPE_CHECKING:
    from drnet_tf.dissection.cdrp import CDRP
    from drnet_tf.importance import ChannelImportance

MODEL = flags.DEFINE_string("model", None, "The .keras file.", required=True)
OUTPUT = flags.DEFINE_string(
    "output", None, "The .safetensors file to write.", required=True
)
SPLIT = flags.DEFINE_string("split", "train", "Split that is dissected.")
IMAGES = flags.DEFINE_integer("images_per_class", 100, "Images of each class.")
SEED = flags.DEFINE_integer("seed", 0, "Decides which images are drawn.")
BATCH = flags.DEFINE_integer("batch_size", None, "Images at a time.")
COUPLING = flags.DEFINE_enum(
    "coupling", "free", ["free", "tied"],
    "free: a gate at every activation; tied: one for what only goes together.",
)  # fmt: skip
WORK_DIR = flags.DEFINE_string("work_dir", None, "Folder of finished batches.")
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
    MODEL, OUTPUT, SPLIT, IMAGES, SEED, BATCH, COUPLING, WORK_DIR,
    _BALANCE, _ON_FLIP, _GAMMA, _ITERATIONS, _POLICY,
)  # fmt: skip


def method() -> CDRP:
    """The settings of the dissection."""
    from drnet_tf.dissection.cdrp import CDRP

    balance = _BALANCE.value
    return CDRP(
        iterations=_ITERATIONS.value,
        gamma=_GAMMA.value,
        on_flip=_ON_FLIP.value,
        balance=balance if balance == "auto" else float(balance),
        dtype_policy=_POLICY.value,
    )


def summary_path(*, remote: bool = False) -> Path:
    """The .json file beside the CIVs.

    Args:
      remote: whether the CIVs may be written to a place such as gs://...; then
        the .json file is written to the current folder.

    Raises:
      ValueError: it or the CIVs cannot be written, or `--output` is named
        otherwise.
    """
    from drnet_tf.artifacts import check_writable

    if Path(OUTPUT.value).suffix != ".safetensors":
        raise ValueError(
            f"--output: got '{OUTPUT.value}', expected a file that ends in "
            ".safetensors; beside it goes a .json of the same name."
        )
    path = Path(OUTPUT.value).with_suffix(".json")
    if remote and "://" in OUTPUT.value:
        path = Path(path.name)
    else:
        check_writable(OUTPUT.value)
    check_writable(path)
    return path


def write_summary(
    path: Path,
    importance: ChannelImportance,
    seconds: float,
    **settings: Any,
) -> None:
    """Writes settings and figures, and prints the most important ones.

    Args:
      path: of `summary_path`.
      importance: that was written to `--output`.
      seconds: that the dissection took.
      **settings: those that other recipes do not have.
    """
    from drnet_tf.artifacts import write_json

    own = data_flags.portable_settings(_FLAGS, ("model", "output"))
    found = importance.diagnostics
    figures = {
        "fingerprint": importance.fingerprint,
        "classes": importance.class_names,
        "diagnostics": found,
        "seconds": seconds,
    }
    write_json(path, {"settings": own | settings, **figures})
    print(f"{importance} in {seconds:.0f} s")
    print(
        f"  balance {found['balance']:g}, fallbacks "
        f"{found['fallback_rate']:.1%}, gates at zero "
        f"{found['zero_gates']:.1%}, median KL "
        f"{found['kl']['median']:.3f} nats"
    )
    print(f"  CIVs in {OUTPUT.value}, settings and figures in {path}")
