"""Which channels a sub-task keeps, by the scores in a bundle."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np

from drnet_tflite.bundles.errors import BundleError
from drnet_tflite.bundles.plan import FIXED, FLOAT16, Plan

RULES = ("union", "xor", "mean")


@dataclasses.dataclass(frozen=True)
class Limit:
    """How much is kept; one of the three is given.

    Attributes:
      threshold: the least score, > 0.
      kept_fraction: of the channels of all groups, in (0, 1].
      max_parameters: of the sub-network's file.
    """

    threshold: float | None = None
    kept_fraction: float | None = None
    max_parameters: int | None = None

    def __post_init__(self) -> None:
        given = {k: v for k, v in vars(self).items() if v is not None}
        if len(given) != 1:
            raise BundleError(
                f"extract: got {', '.join(given) or 'no limit'}, expected one "
                "of threshold, kept_fraction and max_parameters."
            )
        ((name, value),) = given.items()
        limit = float("inf") if name != "kept_fraction" else 1.0
        with np.errstate(over="ignore", under="ignore"):
            single = np.float32(value) if name == "threshold" else value
        if not 0 < single <= limit or not math.isfinite(single):
            raise BundleError(
                f"extract: {name} is {value}, expected a finite number above 0"
                f"{' and at most 1' if name == 'kept_fraction' else ''}."
            )


@dataclasses.dataclass(frozen=True, eq=False)
class Selection:
    """The channels of a sub-task.

    Attributes:
      class_names: as asked for.
      outputs: the model's outputs of these classes, in their order.
      kept: by group the kept channels, rising.
    """

    class_names: tuple[str, ...]
    outputs: np.ndarray
    kept: tuple[np.ndarray, ...]

    def of_axis(self, plan: Plan, axis: int) -> np.ndarray:
        """The kept positions of an axis, in the order of the sub-network."""
        parts, offset = [], 0
        for segment in plan.axes[axis]:
            if segment.group == FIXED:
                part = np.arange(segment.length)
            elif segment.group == len(self.kept):
                part = self.outputs
            else:
                kept = self.kept[segment.group]
                low, high = np.searchsorted(
                    kept, (segment.start, segment.start + segment.length)
                )
                part = kept[low:high] - segment.start
            parts.append(part + offset)
            offset += segment.length
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def parameters(self, plan: Plan) -> int:
        """Elements of all vectors of parameters that are left."""
        lengths = [len(self.of_axis(plan, x)) for x in range(len(plan.axes))]
        return sum(
            math.prod(lengths[x] for x in vector.axes)
            for vector in plan.vectors
            if vector.is_parameter
        )


def select(
    plan: Plan, classes: Sequence[str], rule: str, limit: Limit, round_to: int
) -> Selection:
    """Chooses the channels of a sub-task; the format's text has the rules.

    Raises:
      BundleError: the request does not fit the bundle.
    """
    rows = _class_rows(plan, classes)
    if round_to != int(round_to) or round_to < 1:
        raise BundleError(
            f"extract: round_to is {round_to}, expected a whole number, 1 or "
            "more."
        )
    scores = _subtask_scores(plan, rows, rule)
    flat = np.concatenate(scores)
    order = np.argsort(-flat, kind="stable")
    order = order[: np.count_nonzero(flat > 0)]
    group_of = np.repeat(np.arange(len(scores)), plan.widths)
    ranks = [np.argsort(-x, kind="stable") for x in scores]
    outputs = np.array([plan.class_outputs[row] for row in rows])

    def chosen(count: int) -> Selection:
        wanted = np.bincount(group_of[order[:count]], minlength=len(scores))
        kept = [
            np.sort(rank[: math.ceil(max(n, 1) / round_to) * round_to])
            for rank, n in zip(ranks, wanted.tolist(), strict=True)
        ]
        return Selection(tuple(classes), outputs, tuple(kept))

    if limit.threshold is not None:
        least = np.float32(limit.threshold)
        count = int(np.count_nonzero(flat[order] >= least))
        if not count:
            raise BundleError(
                f"extract: no {rule} score of {', '.join(classes)} reaches the "
                f"threshold {limit.threshold:g}, the greatest is "
                f"{flat.max(initial=0):.6g}; pass a lower one."
            )
        return chosen(count)
    return chosen(_greatest_count(plan, limit, len(order), chosen))


def _greatest_count(
    plan: Plan, limit: Limit, most: int, chosen: Callable[[int], Selection]
) -> int:
    def cost(count: int) -> int:
        selection = chosen(count)
        if limit.max_parameters is not None:
            return selection.parameters(plan)
        return sum(map(len, selection.kept))

    what, allowed = "parameters", float(limit.max_parameters or 0)
    if limit.kept_fraction is not None:
        what, allowed = "channels", limit.kept_fraction * sum(plan.widths)
    low, high = 0, most  # `low` fits, as far as it is known
    while low < high:
        middle = (low + high + 1) // 2
        if cost(middle) <= allowed:
            low = middle
        else:
            high = middle - 1
    if not low:
        raise BundleError(
            f"extract: at most {allowed:g} {what} are allowed, but the "
            + (
                f"smallest sub-network has {cost(1)}; allow more."
                if most
                else "classes have no score above 0; dissect them again with "
                "a weaker sparsity."
            )
        )
    return low


def _class_rows(plan: Plan, classes: Sequence[str]) -> list[int]:
    if isinstance(classes, str) or not classes:
        raise BundleError(
            f"extract: got classes={classes!r}, expected a list of class names."
        )
    row_of = {name: row for row, name in enumerate(plan.class_names)}
    for name in classes:
        if name not in row_of:
            known = ", ".join(plan.class_names[:10])
            more = ", ..." if len(row_of) > 10 else ""
            raise BundleError(
                f"extract: unknown class {name!r}, the bundle has "
                f"{known}{more}."
            )
    if len(set(classes)) < len(classes):
        raise BundleError(
            f"extract: a class stands twice in {', '.join(classes)}; name each "
            "once."
        )
    return [row_of[name] for name in classes]


def _subtask_scores(
    plan: Plan, rows: Sequence[int], rule: str
) -> list[np.ndarray]:
    """By group, `(width,)` float32."""
    if rule not in RULES:
        raise BundleError(
            f"extract: rule is {rule!r}, expected one of {', '.join(RULES)}."
        )
    if rule == "xor" and len(rows) != 2:
        raise BundleError(
            f"extract: rule 'xor' needs two classes, got {len(rows)}; use "
            "'union'."
        )
    return [
        _combined(_decoded(plan, group, rows), rule)
        for group in range(len(plan.scores))
    ]


def _decoded(plan: Plan, group: int, rows: Sequence[int]) -> np.ndarray:
    raw = plan.scores[group][list(rows)].astype(np.float32)
    return raw if plan.encoding == FLOAT16 else raw * plan.steps[group]


def _combined(scores: np.ndarray, rule: str) -> np.ndarray:
    if rule == "union":
        return scores.max(0)
    if rule == "xor":
        return np.abs(scores[0] - scores[1])
    total = np.zeros(scores.shape[1])
    for row in scores:  # one after the other, as other readers add them
        total += row
    return (total / len(scores)).astype(np.float32)
