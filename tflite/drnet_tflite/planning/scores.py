"""The importances of a Keras model as the scores of a bundle."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from drnet_tf.importance import ChannelImportance
from drnet_tflite.bundles.plan import FLOAT16, UINT8

ENCODINGS = {"uint8": UINT8, "float16": FLOAT16}


@dataclasses.dataclass(frozen=True, eq=False)
class Scores:
    """Scores by group, as they are stored.

    Attributes:
      steps: `(groups,)` float32.
      stored: by group `(classes, width)` uint8 or float16.
      loss: the greatest difference to the importances.
    """

    steps: np.ndarray
    stored: list[np.ndarray]
    loss: float


def store_scores(
    importance: ChannelImportance,
    entries: Mapping[str, Sequence[tuple[int, int] | None]],
    widths: Sequence[int],
    encoding: str,
) -> Scores:
    """Stores importances by group; tied channels share the greatest.

    A score above 0 stays above 0: in uint8 it is at least one step, in float16
    at least the smallest number.

    Args:
      importance: the CIVs.
      entries: by site, for each gate its (group, channel).
      widths: by group.
      encoding: "uint8" (a step is the group's greatest score / 255) or
        "float16".
    """
    classes = len(importance.class_names)
    scores = [np.zeros((classes, width), np.float32) for width in widths]
    for site, gates in entries.items():
        rows = importance.scores[site]
        for gate, entry in enumerate(gates):
            if entry is not None:
                group, channel = entry
                column = scores[group][:, channel]
                np.maximum(column, rows[:, gate], out=column)
    if encoding == "float16":
        small = np.finfo(np.float16).smallest_subnormal
        big = np.finfo(np.float16).max
        steps = np.zeros(len(widths), np.float32)
        stored = [
            np.where(x > 0, np.clip(x, small, big), 0).astype(np.float16)
            for x in scores
        ]
        read = [x.astype(np.float32) for x in stored]
    else:
        steps = np.array([x.max() / 255 for x in scores], np.float32)
        stored = [
            np.where(
                x > 0, np.clip(np.rint(x / (step or 1)), 1, 255), 0
            ).astype(np.uint8)
            for x, step in zip(scores, steps, strict=True)
        ]
        read = [x * step for x, step in zip(stored, steps, strict=True)]
    loss = max(
        float(np.abs(a - b).max()) for a, b in zip(scores, read, strict=True)
    )
    return Scores(steps, stored, loss)
