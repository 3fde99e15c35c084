"""Tables as Markdown, HTML or plain text, from rows that hold raw values.

Rows keep their numbers as they were measured (a fraction stays a fraction); the
columns alone say how these are shown.
"""

from __future__ import annotations

import dataclasses
import html as html_escapes
import numbers
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

ALIGNMENTS = ("left", "center", "right")

_MISSING = "–"


@dataclasses.dataclass(frozen=True)
class Column:
    """How one value of every row is shown.

    Attributes:
      key: name of the value: a key of the mapping, or an attribute or property
        of the dataclass, that a row is.
      header: title of the column.
      format: format specification of Python: `".1%"` shows the fraction 0.123
        as "12.3%", `","` the number 14730000 as "14,730,000". None is always
        shown as "–", and a tuple or list as its items with commas between.
      unit: unit of the values, e.g. "ms"; it stands once, in the header.
      align: "left", "center" or "right"; by default numbers stand right.

    Example:
      >>> Column("latency", "Latency", ".2f", unit="ms").title
      'Latency (ms)'
    """

    key: str
    header: str
    format: str = ""
    unit: str = ""
    align: str | None = None

    def __post_init__(self) -> None:
        if self.align is not None and self.align not in ALIGNMENTS:
            raise ValueError(
                f"Column '{self.key}': align: got {self.align!r}, expected one "
                f"of {ALIGNMENTS} or None."
            )

    @property
    def title(self) -> str:
        """The header with the unit."""
        return f"{self.header} ({self.unit})" if self.unit else self.header


@dataclasses.dataclass(frozen=True)
class _Grid:
    """All texts of a table: header, body (one list a row), alignments."""

    header: list[str]
    body: list[list[str]]
    aligns: list[str]


def markdown(rows: Sequence[Any], columns: Sequence[Column]) -> str:
    """Formats rows as a table of GitHub's Markdown.

    Args:
      rows: mappings or dataclasses, at least one.
      columns: what to show of each, from left to right.

    Returns:
      The lines of the table, the last one ended too.

    Raises:
      ValueError: no rows or columns, a row without a column's value, or a value
        that the column's format cannot show.

    Example:
      >>> rows = [{"pair": ("cat", "dog"), "kept": 0.123}]
      >>> columns = [Column("pair", "Sub-task"), Column("kept", "Kept", ".1%")]
      >>> print(markdown(rows, columns), end="")
      | Sub-task |  Kept |
      | :------- | ----: |
      | cat, dog | 12.3% |
    """
    grid = _map_cells(_grid(rows, columns), _escape_markdown)
    widths = [max(width, 3) for width in _widths(grid)]
    rule = [
        (":" if align != "right" else "-")
        + "-" * (width - 2)
        + (":" if align != "left" else "-")
        for width, align in zip(widths, grid.aligns, strict=True)
    ]
    lines = [
        _pad(grid.header, widths, grid.aligns),
        rule,
        *(_pad(row, widths, grid.aligns) for row in grid.body),
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def text(rows: Sequence[Any], columns: Sequence[Column]) -> str:
    """Formats rows as a table for a terminal.

    Args:
      rows: mappings or dataclasses, at least one.
      columns: what to show of each, from left to right.

    Returns:
      The lines of the table, the last one ended too.

    Raises:
      ValueError: see `markdown`.

    Example:
      >>> rows = [{"pair": ("cat", "dog"), "kept": 0.123}]
      >>> columns = [Column("pair", "Sub-task"), Column("kept", "Kept", ".1%")]
      >>> print(text(rows, columns), end="")
      Sub-task   Kept
      --------  -----
      cat, dog  12.3%
    """
    grid = _map_cells(_grid(rows, columns), _one_line)
    widths = _widths(grid)
    lines = [
        _pad(grid.header, widths, grid.aligns),
        ["-" * width for width in widths],
        *(_pad(row, widths, grid.aligns) for row in grid.body),
    ]
    return "".join("  ".join(line).rstrip() + "\n" for line in lines)


def html(rows: Sequence[Any], columns: Sequence[Column]) -> str:
    """Formats rows as an HTML table; the first column heads the rows.

    Args:
      rows: mappings or dataclasses, at least one.
      columns: what to show of each, from left to right.

    Returns:
      One `<table>` element; every text in it is escaped.

    Raises:
      ValueError: see `markdown`.

    Example:
      >>> print(html([{"kept": 0.123}], [Column("kept", "Kept", ".1%")]))
      <table>
      <thead><tr><th scope="col" style="text-align:right">Kept</th></tr></thead>
      <tbody>
      <tr><th scope="row" style="text-align:right">12.3%</th></tr>
      </tbody>
      </table>
    """
    grid = _map_cells(_grid(rows, columns), html_escapes.escape)
    head = "".join(
        f'<th scope="col" style="text-align:{align}">{cell}</th>'
        for cell, align in zip(grid.header, grid.aligns, strict=True)
    )
    lines = ["<table>", f"<thead><tr>{head}</tr></thead>", "<tbody>"]
    for row in grid.body:
        tags = ['th scope="row"'] + ["td"] * (len(row) - 1)
        cells = "".join(
            f'<{tag} style="text-align:{align}">{cell}</{tag[:2]}>'
            for tag, cell, align in zip(tags, row, grid.aligns, strict=True)
        )
        lines.append(f"<tr>{cells}</tr>")
    return "\n".join([*lines, "</tbody>", "</table>"])


def _grid(rows: Sequence[Any], columns: Sequence[Column]) -> _Grid:
    if not columns:
        raise ValueError("Table: got no columns, expected at least one.")
    if not rows:
        raise ValueError("Table: got no rows, expected at least one.")
    values = [
        [_value(row, number, column) for column in columns]
        for number, row in enumerate(rows)
    ]
    return _Grid(
        header=[column.title for column in columns],
        body=[
            [
                _show(value, number, column)
                for value, column in zip(row, columns, strict=True)
            ]
            for number, row in enumerate(values)
        ],
        aligns=[
            column.align or _natural_alignment(column_values)
            for column, column_values in zip(
                columns, zip(*values, strict=True), strict=True
            )
        ],
    )


def _value(row: Any, number: int, column: Column) -> Any:
    """The raw value of a column in row `number`."""
    if isinstance(row, Mapping):
        if column.key in row:
            return row[column.key]
        known = f"its keys are {[str(key) for key in row]}"
    else:
        if hasattr(row, column.key):
            return getattr(row, column.key)
        known = f"it is a {type(row).__name__}"
    raise ValueError(
        f"Table, row {number}: there is no value for column "
        f"'{column.key}'; {known}."
    )


def _show(value: Any, number: int, column: Column) -> str:
    if value is None:
        return _MISSING
    if isinstance(value, (tuple, list)):
        return ", ".join(_show(item, number, column) for item in value)
    try:
        return format(value, column.format)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Table, row {number}: column '{column.key}': the format "
            f"{column.format!r} cannot show {value!r}; change the column's "
            "format."
        ) from error


def _natural_alignment(values: Sequence[Any]) -> str:
    present = [value for value in values if value is not None]
    if present and all(isinstance(v, numbers.Number) for v in present):
        return "right"
    return "left"


def _map_cells(grid: _Grid, change: Callable[[str], str]) -> _Grid:
    return _Grid(
        header=[change(cell) for cell in grid.header],
        body=[[change(cell) for cell in row] for row in grid.body],
        aligns=grid.aligns,
    )


def _widths(grid: _Grid) -> list[int]:
    lines = [grid.header, *grid.body]
    return [max(map(len, column)) for column in zip(*lines, strict=True)]


def _pad(row: list[str], widths: list[int], aligns: list[str]) -> list[str]:
    signs = {"left": "<", "center": "^", "right": ">"}
    return [
        format(cell, f"{signs[align]}{width}")
        for cell, width, align in zip(row, widths, aligns, strict=True)
    ]


def _one_line(cell: str) -> str:
    return " ".join(cell.split())


def _escape_markdown(cell: str) -> str:
    return re.sub(r"([\\`*|<])", r"\\\1", _one_line(cell))
