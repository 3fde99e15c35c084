"""The rules that turn the importances of classes into scores of a sub-task."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from drnet_tf.importance import ChannelImportance

RULES = ("union", "xor", "mean")


def subtask_scores(
    importance: ChannelImportance, classes: Sequence[str], rule: str = "union"
) -> dict[str, np.ndarray]:
    """What a rule compares with the threshold: `(C_l,)` float32 for each site.

    Args:
      importance: the CIVs λ^c.
      classes: the sub-task.
      rule: "union" (the maximum over the classes, Eq. 3 of DRNet), "xor" (the
        absolute difference of two, Eq. 4) or "mean" (the mean over the classes:
        not DRNet's; of two masks of one size it keeps channels that serve
        several classes a little before those that serve one only).

    Raises:
      ValueError: an unknown class or rule, or "xor" for other than two classes.

    Example:
      >>> importance = ChannelImportance(
      ...     {"relu": np.array([[0.75, 0.0, 0.5], [0.5, 0.0, 1.0]])},
      ...     class_names=("cat", "dog"),
      ...     method="by hand",
      ... )
      >>> subtask_scores(importance, ("cat", "dog"), "xor")["relu"].tolist()
      [0.25, 0.0, 0.5]
      >>> subtask_scores(importance, ("cat", "dog"), "mean")["relu"].tolist()
      [0.625, 0.0, 0.75]
    """
    check_rule(rule, classes)
    rows = importance.class_rows(classes)
    if rule == "xor":
        a, b = rows
        return {s: np.abs(x[a] - x[b]) for s, x in importance.scores.items()}
    combine = np.max if rule == "union" else np.mean
    return {s: combine(x[rows], axis=0) for s, x in importance.scores.items()}


def check_rule(rule: str, classes: Sequence[str]) -> None:
    """Refuses an unknown rule, and "xor" for other than two classes.

    Raises:
      ValueError: see above.
    """
    if rule not in RULES:
        raise ValueError(
            f"rule: got {rule!r}, expected one of {', '.join(RULES)}."
        )
    if rule == "xor" and len(classes) != 2:
        raise ValueError(
            f"rule 'xor': got {len(classes)} classes, expected two; use "
            "'union' for other sub-tasks."
        )
