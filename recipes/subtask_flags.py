"""Flags that say which sub-tasks a recipe measures, and their channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags

_SIZES = flags.DEFINE_list("sizes", ["2"], "Classes of a sub-task.")
_STEP = flags.DEFINE_integer("every", 1, "Takes each n-th sub-task only.", 1)
FLAGS = (_SIZES, _STEP)
ALLOCATIONS = flags.DEFINE_list(
    "allocations",
    ["threshold", "layers", "reconstruction"],
    "How channels are chosen.",
)


def subtasks(names: Sequence[str]) -> list[tuple[str, ...]]:
    """The sub-tasks of some classes, size by size."""
    from drnet_tf.survey import all_subtasks

    return [
        classes
        for size in map(int, _SIZES.value)
        for classes in all_subtasks(names, size)[:: _STEP.value]
    ]


def without(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a run that its rows depend on."""
    own = {flag.name for flag in FLAGS}
    return {k: v for k, v in settings.items() if k not in own}
