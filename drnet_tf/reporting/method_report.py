"""The comparison of methods as Markdown, curves and an HTML page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from drnet_tf.reporting.figures import CurveSeries, accuracy_curve
from drnet_tf.reporting.page import Page
from drnet_tf.reporting.tables import Column, markdown

Results = Mapping[str, Any]
Table = tuple[str, list[dict[str, Any]], list[Column]]

# By the name of a treatment: what it is called, and what it is.
_TREATMENTS = {
    "hard": ("Hard masks", "the mask alone, no repair"),
    "norms": (
        "Norms estimated anew",
        "statistics of the batch norms from unlabelled images",
    ),
    "least_squares": (
        "Least squares",
        "layers refitted to the full network's outputs, from unlabelled images",
    ),
}
_LINES_OF_A_FIGURE = 6  # as many as there are colours to tell apart


def method_tables(title: str, results: Results) -> str:
    """The comparison as Markdown.

    Args:
      title: of the page.
      results: of `recipes/compare_methods.py`: "means" of
        `subtask_trials.summarise`, "differences" and "winners" of
        `paired_differences`, "dissection", "rules", "reference" and
        "classifier_only".
    """
    parts = [f"# {title}", _introduction(results)]
    for heading, rows, columns in _tables(results):
        parts += [f"## {heading}", markdown(rows, columns).rstrip()]
        if heading in _verdicts(results):
            parts.append(_verdicts(results)[heading])
    return "\n\n".join(parts) + "\n"


def method_page(title: str, results: Results) -> Page:
    """The comparison as one HTML page, with its curves."""
    page = Page(title).paragraph(_introduction(results))
    curves = method_curves(results)
    verdicts = _verdicts(results)
    for heading, rows, columns in _tables(results):
        page.heading(heading)
        if heading in verdicts:
            page.paragraph(verdicts[heading])
        page.table(rows, columns, heading)
        for treatment, (name, _) in _TREATMENTS.items():
            if name != heading:
                continue
            for part, drawing in enumerate(curves[treatment], 1):
                page.figure(
                    drawing,
                    f"{name}: accuracy over the MACs that are left, part "
                    f"{part} of {len(curves[treatment])}.",
                    f"Lines of accuracy over MACs, one a method; {heading}",
                )
    return page


def method_curves(results: Results) -> dict[str, list[str]]:
    """SVGs of accuracy over the MACs left, by treatment.

    The methods with the highest mean accuracy come first; the reference is on
    each of a treatment's pictures.
    """
    found: dict[str, list[str]] = {}
    for treatment in _treatments(results):
        lines: dict[str, list[Mapping[str, Any]]] = {}
        for row in _of_smallest(results["means"]):
            if row["method"] == treatment:
                lines.setdefault(row["selection"], []).append(row)
        others = sorted(
            (name for name in lines if name != results["reference"]),
            key=lambda name: -sum(row["accuracy"] for row in lines[name]),
        )
        step = _LINES_OF_A_FIGURE - 1
        found[treatment] = [
            _curve(
                {
                    name: lines[name]
                    for name in [results["reference"], *others[i : i + step]]
                }
            )
            for i in range(0, len(others), step)
        ]
    return found


def _curve(lines: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    series = [
        CurveSeries(
            name,
            [row["macs"] for row in rows],
            [row["accuracy"] for row in rows],
        )
        for name, rows in lines.items()
    ]
    full = next(iter(lines.values()))[0]["full_accuracy"]
    return accuracy_curve(series, "MACs left", full)


def _introduction(results: Results) -> str:
    means = results["means"]
    subtasks = {row["classes"]: row["subtasks"] for row in means}
    sizes = " and ".join(
        f"{count} sub-tasks of {classes} classes"
        for classes, count in subtasks.items()
    )
    cut = results["classifier_only"]
    full = _of_smallest(means)[0]["full_accuracy"]
    return (
        f"Means over {sizes}, test images, accuracy under the softmax over the "
        "sub-task's classes alone. Every method keeps its best channels over "
        "all sites, as many as the MACs allow. Tables and curves are of the "
        "smallest sub-tasks. The full network reaches "
        f"{full:.2%}; so does the one of which only the classifier is cut, "
        f"with {cut['parameters']:.1%} of the parameters and "
        f"{cut['macs']:.1%} of the MACs."
    )


def _tables(results: Results) -> Iterator[Table]:
    for treatment in _treatments(results):
        yield _accuracy_table(results, treatment)
    yield _difference_table(results)
    yield _dissection_table(results)


def _accuracy_table(results: Results, treatment: str) -> Table:
    """Methods by budgets, the best on average first."""
    own = [
        row
        for row in _of_smallest(results["means"])
        if row["method"] == treatment
    ]
    budgets = dict.fromkeys(f"{row['budget']}" for row in own)
    rows: dict[str, dict[str, Any]] = {}
    for row in own:
        line = rows.setdefault(row["selection"], {"method": row["selection"]})
        line[f"{row['budget']}"] = row["accuracy"]
    columns = [Column("method", "Method")]
    columns += [
        Column(name, f"{float(name):.0%} of MACs", ".2%") for name in budgets
    ]
    return (
        _TREATMENTS[treatment][0],
        sorted(rows.values(), key=lambda x: -sum(x[name] for name in budgets)),
        columns,
    )


def _difference_table(results: Results) -> Table:
    reference = results["reference"]
    rows = [
        {
            **row,
            "difference": 100 * row["difference"],
            "standard_error": 100 * row["standard_error"],
        }
        for row in results["differences"]
        if row["method"] != reference
    ]
    columns = [
        Column("treatment", "Then"),
        Column("budget", "MACs", ".0%"),
        Column("method", "Method"),
        Column("accuracy", "Accuracy", ".2%"),
        Column("difference", "Difference", "+.2f", "points"),
        Column("standard_error", "± s.e.", ".2f", "points"),
        Column("better", "Better on", ",", "sub-tasks"),
    ]
    return f"Differences from {reference} on the same sub-tasks", rows, columns


def _dissection_table(results: Results) -> Table:
    rows = [
        {**own, "method": name, "rule": next(iter(results["rules"][name]))}
        for name, own in results["dissection"].items()
    ]
    columns = [
        Column("method", "Method"),
        Column("images_per_class", "Images of each class", ","),
        Column("seconds", "Time", ",.1f", "s"),
        Column("rule", "Classes combined by"),
    ]
    return "Dissecting", rows, columns


def _verdicts(results: Results) -> dict[str, str]:
    """By heading: who wins where, and where the reference does not."""
    found = {}
    reference = results["reference"]
    for treatment in _treatments(results):
        title, meaning = _TREATMENTS[treatment]
        own = [x for x in results["winners"] if x["treatment"] == treatment]
        won = "; ".join(
            f"at {x['budget']:.0%} {x['best']} ({x['accuracy']:.2%}"
            + (f", as good: {', '.join(x['as_good'])}" if x["as_good"] else "")
            + ")"
            for x in own
        )
        behind = [
            f"{x['budget']:.0%}"
            for x in own
            if reference not in (x["best"], *x["as_good"])
        ]
        where = f"at {', '.join(behind)}" if behind else "nowhere"
        found[title] = (
            f"{title}, {meaning}: the best are {won}. As good is what is less "
            "than two standard errors of the differences below the best. "
            f"{reference} is beaten {where}."
        )
    return found


def _treatments(results: Results) -> list[str]:
    present = {row["method"] for row in results["means"]}
    return [name for name in _TREATMENTS if name in present]


def _of_smallest(means: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    size = min(row["classes"] for row in means)
    return [row for row in means if row["classes"] == size]
