"""The flags that ask for a sub-network, and the images that they need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import data_flags
from absl import flags

if TYPE_CHECKING:
    import keras

    from drnet_tf.importance import ChannelImportance
    from drnet_tf.labeled_images import LabeledImages

_THRESHOLD = flags.DEFINE_float("threshold", None, "On the importance, > 0.")
_PARAMETERS = flags.DEFINE_string(
    "max_parameters", None, "A number, or a fraction of the full ones: 0.3."
)
_MACS = flags.DEFINE_string("max_macs", None, "As --max_parameters.")
_BYTES = flags.DEFINE_string(
    "max_bytes", None, "Of the .tflite file, as --max_parameters."
)
_MILLISECONDS = flags.DEFINE_float(
    "max_milliseconds", None, "Of one image in LiteRT on this CPU."
)
_MAX_DROP = flags.DEFINE_float("max_drop", None, "Of accuracy, in points.")
_RULE = flags.DEFINE_string("rule", "union", "union, xor (pairs) or mean.")
_ROUND_TO = flags.DEFINE_integer("round_to", 1, "Channels come in multiples.")
_SPLIT = flags.DEFINE_string("split", "train", "Split for --max_drop.")
_IMAGES = flags.DEFINE_integer(
    "validation_images", 150, "Images a class for --max_drop, at most."
)
_ALLOCATION = flags.DEFINE_enum(
    "allocation", "threshold", ["threshold", "layers", "reconstruction"],
    "One threshold for all layers, or channels where they tell most.",
)  # fmt: skip
_REPAIR = flags.DEFINE_enum(
    "repair", "none", ["none", "norms", "least_squares", "best"],
    "How the small network is made to reproduce the full one.",
)  # fmt: skip
_REPAIR_IMAGES = flags.DEFINE_integer(
    "repair_images", 200, "Images a class for --repair, others than those."
)
_SEED = flags.DEFINE_integer("seed", 0, "Decides which images are drawn.")
_CRITERIA = (
    _THRESHOLD, _PARAMETERS, _MACS, _BYTES, _MILLISECONDS, _MAX_DROP,
)  # fmt: skip
_FLAGS = (
    *_CRITERIA, _ALLOCATION, _RULE, _ROUND_TO, _SPLIT, _IMAGES, _REPAIR,
    _REPAIR_IMAGES, _SEED,
)  # fmt: skip


def settings() -> dict[str, Any]:
    """The values of the flags, for the result's JSON."""
    return {f.name: f.value for f in _FLAGS}


def limits() -> dict[str, Any]:
    """The criteria, as `DRNet.subtask` takes them: one is not None."""
    return {
        "threshold": _THRESHOLD.value,
        "max_parameters": _limit("max_parameters", _PARAMETERS.value),
        "max_macs": _limit("max_macs", _MACS.value),
        "max_bytes": _limit("max_bytes", _BYTES.value),
        "max_milliseconds": _MILLISECONDS.value,
        "max_drop": _MAX_DROP.value,
    }


def manner() -> dict[str, Any]:
    """How any sub-network is made, as `DRNet.subtask` takes it."""
    return {
        "rule": _RULE.value,
        "round_to": _ROUND_TO.value,
        "allocation": _ALLOCATION.value,
        "repair": _REPAIR.value,
    }


def asked() -> dict[str, Any]:
    """The criterion and the manner, in a few words."""
    given = {f.name: f.value for f in _CRITERIA if f.value is not None}
    return given | manner()


def _limit(name: str, text: str | None) -> int | float | None:
    """A count from digits alone, a fraction from any other number."""
    if text is None:
        return None
    try:
        return int(text) if text.strip().isdigit() else float(text)
    except ValueError as error:
        raise ValueError(
            f"--{name}: got '{text}', expected a whole number such as 100000, "
            "or a fraction of the full network such as 0.3."
        ) from error


def images(
    model: keras.Model, importance: ChannelImportance, classes: Sequence[str]
) -> tuple[LabeledImages | None, LabeledImages | None]:
    """Images of some classes for `--max_drop` and others for `--repair`.

    Each is None where it is not needed, or where `--data` is not given and the
    CIVs hold images.
    """
    from drnet_tf.reporting.samples import sample

    validates = _MAX_DROP.value is not None
    # Both want images without labels.
    repairs = _REPAIR.value != "none" or _ALLOCATION.value != "threshold"
    if not flags.FLAGS.data:
        _check_no_data(validates, repairs and importance.images is None)
        return None, None
    if not validates and not repairs:
        return None, None
    stream, names = data_flags.open_split(model, _SPLIT.value)
    data_flags.check_names(names, importance.class_names)
    count = _IMAGES.value * validates + _REPAIR_IMAGES.value * repairs
    drawn = sample(stream, classes, names, count, seed=_SEED.value)
    if not validates:
        return None, drawn
    if not repairs:
        return drawn, None
    # A class may have fewer images than both want: they share.
    least = min(filter(None, drawn.counts().values()))
    share = _REPAIR_IMAGES.value / count
    part, rest = drawn.split(max(1, int(least * share)), seed=_SEED.value)
    return rest, part


def _check_no_data(validates: bool, repairs: bool) -> None:
    if validates:
        raise ValueError(
            "--max_drop: got no --data, expected the images on which "
            "accuracy is measured; pass --data and, if the network needs "
            "it, --preprocessing."
        )
    if repairs:
        raise ValueError(
            "--repair, --allocation: got no --data, and the CIVs hold no "
            "images; pass --data and, if the network needs it, "
            "--preprocessing."
        )
