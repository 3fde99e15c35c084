"""How ways to choose channels differ, sub-task by sub-task.

Rows are those of `MethodStudy.row` and `RepairStudy.row`: of each sub-task
"points", for every "budget" by "selections" (the ways to choose channels) what
`SubtaskTrials.run` gives. A selection stands as "method" in what is found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np


def differences(
    rows: Sequence[Mapping[str, Any]], reference: str
) -> list[dict[str, Any]]:
    """By how much selections differ from one of them, on the same sub-tasks.

    Args:
      rows: of sub-tasks, as above.
      reference: the selection that others are compared with.

    Returns:
      Rows with "budget", "treatment" ("hard", "norms", "least_squares"),
      "method", "accuracy" (the mean), "difference" (its mean minus the
      reference's, a fraction), "standard_error" of that over the sub-tasks and
      "better", on how many of them the method is better than the reference.
      Those of one budget and treatment stand together, the best first. Not
      every selection needs to have every treatment.
    """
    found: dict[tuple[float, str], list[dict[str, Any]]] = {}
    for budget, treatment, values in _accuracies(rows):
        for method, own in values.items():
            pairs = own - values[reference]
            found.setdefault((budget, treatment), []).append(
                {
                    "budget": budget,
                    "treatment": treatment,
                    "method": method,
                    "accuracy": float(own.mean()),
                    "difference": float(pairs.mean()),
                    "standard_error": _standard_error(pairs),
                    "better": int((pairs > 0).sum()),
                }
            )
    return [
        row
        for group in found.values()
        for row in sorted(group, key=lambda x: x["accuracy"], reverse=True)
    ]


def differences_at_equal_macs(
    rows: Sequence[Mapping[str, Any]], reference: str
) -> dict[tuple[float, str, str], tuple[float, float]]:
    """The same where budgets are of parameters, and MACs go as they will.

    What the reference would have at the MACs of another selection lies on the
    straight line between two of its own budgets, sub-task by sub-task.

    Args:
      rows, reference: as for `differences`.

    Returns:
      By budget, treatment and selection: difference and standard error. Those
      that have more MACs than the reference's largest network, or fewer than
      its smallest one, on any sub-task, are left out, and the reference is.

    Example:
      >>> def selection(macs, accuracy):
      ...     return {"macs": macs, "accuracy": {"hard": accuracy}}
      >>> row = {"points": [
      ...     {"budget": 0.4, "selections": {
      ...         "a": selection(0.6, 0.9), "b": selection(0.8, 0.95)}},
      ...     {"budget": 0.2, "selections": {
      ...         "a": selection(0.2, 0.5), "b": selection(0.4, 0.75)}},
      ... ]}
      >>> found = differences_at_equal_macs([row], "a")
      >>> {key: round(x[0], 6) for key, x in found.items()}
      {(0.2, 'hard', 'b'): 0.05}
    """
    macs = {
        (point["budget"], method): np.array(
            [row["points"][n]["selections"][method]["macs"] for row in rows]
        )
        for n, point in enumerate(rows[0]["points"])
        for method in point["selections"]
    }
    lines: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for budget, treatment, values in _accuracies(rows):
        line = lines.setdefault(treatment, [])
        line.append((macs[budget, reference], values[reference]))
    found = {}
    for budget, treatment, values in _accuracies(rows):
        for method, own in values.items():
            line = lines[treatment]
            wanted = macs[budget, method]
            pairs = own - [
                _on_line(wanted[row], [(x[row], y[row]) for x, y in line])
                for row in range(len(rows))
            ]
            if method != reference and not np.isnan(pairs).any():
                key = budget, treatment, method
                found[key] = float(pairs.mean()), _standard_error(pairs)
    return found


def _on_line(at: float, points: Sequence[tuple[float, float]]) -> float:
    """Between points of any order; not a number outside them."""
    x, y = np.array(sorted(points)).T
    return float(np.interp(at, x, y, left=np.nan, right=np.nan))


def _standard_error(values: np.ndarray) -> float:
    """Of the mean; 0 for one value."""
    spread = values.std(ddof=1) if len(values) > 1 else 0.0
    return float(spread / np.sqrt(len(values)))


def winners(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Which method is best at every budget, and which are as good.

    Args:
      rows: of sub-tasks, as above.

    Returns:
      Rows with "budget", "treatment", "best", its mean "accuracy" and
      "as_good": the methods whose mean is less than two standard errors of the
      differences over the sub-tasks below it.

    Example:
      >>> def selection(accuracy):
      ...     return {"accuracy": {"hard": accuracy}}
      >>> rows = [
      ...     {"points": [{"budget": 0.5, "selections": {
      ...         "a": selection(x), "b": selection(x - 0.1)}}]}
      ...     for x in (0.8, 0.9, 0.95)
      ... ]
      >>> [(x["best"], x["as_good"]) for x in winners(rows)]
      [('a', [])]
    """
    found = []
    for budget, treatment, values in _accuracies(rows):
        best = max(values, key=lambda name: values[name].mean())
        as_good = []
        for name, own in values.items():
            gaps = values[best] - own
            if name != best and gaps.mean() <= 2 * _standard_error(gaps):
                as_good.append(name)
        found.append(
            {
                "budget": budget,
                "treatment": treatment,
                "best": best,
                "accuracy": float(values[best].mean()),
                "as_good": as_good,
            }
        )
    return found


def _accuracies(
    rows: Sequence[Mapping[str, Any]],
) -> Iterator[tuple[float, str, dict[str, np.ndarray]]]:
    """Yields budget, treatment and by method the sub-tasks' accuracies."""
    for number, point in enumerate(rows[0]["points"]):
        first = next(iter(point["selections"].values()))
        for treatment in first["accuracy"]:
            yield (
                point["budget"],
                treatment,
                {
                    method: np.array(
                        [
                            row["points"][number]["selections"][method][
                                "accuracy"
                            ][treatment]
                            for row in rows
                        ]
                    )
                    for method, tried in point["selections"].items()
                    if treatment in tried["accuracy"]
                },
            )
