"""The heat map behind the figures: a labelled matrix with a colour bar."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from drnet_tf.reporting import svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

_LABEL_HEIGHT = 12.0
# Grey that lets some of the page through, light or dark.
_NO_VALUE = (0.5, 0.5, 0.5, 0.18)
_LIGHT, _DARK = "#ffffff", "#111111"
_BAR_HEIGHT = 150


def draw(
    figure: Figure,
    values: np.ndarray,
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    cell: tuple[float, float],
    texts: Sequence[Sequence[str]] | None,
    label: str,
    bar_format: str,
    origin: tuple[float, float] = (0.0, 0.0),
    limits: tuple[float, float] | None = None,
) -> Axes:
    """Draws a matrix as coloured cells into a figure.

    Args:
      figure: one from `svg.new_figure`.
      values: `(rows, columns)` float; NaN leaves a cell without colour, and the
        colours span the other values.
      rows, columns: names of both.
      cell: width and height of one cell, pixels.
      texts: what to write into each cell, or None for a colour bar instead.
      label: what the values are.
      bar_format: format specification of the colour bar's numbers.
      origin: left and top of the cells, pixels.
      limits: what the colours span instead, so that two maps can share them.

    Returns:
      The axes of the cells; with `texts` the label is their title.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    width, height = cell[0] * len(columns), cell[1] * len(rows)
    known = values[~np.isnan(values)]
    span = limits or (known.min(), known.max())
    scale = ScalarMappable(Normalize(*span), svg.COLORMAP)
    colors = scale.to_rgba(values)
    colors[np.isnan(values)] = _NO_VALUE
    panel = svg.add_panel(figure, *origin, width, height)
    panel.imshow(colors, aspect="auto", interpolation="none")
    _label(panel, rows, columns, cell)
    _separate(panel, values.shape, cell)
    if texts is None:
        bar = svg.add_panel(
            figure, origin[0] + width + 18, origin[1], 14, _BAR_HEIGHT
        )
        _draw_bar(bar, scale, bar_format, label)
    else:
        _write(panel, texts, colors, min(11.0, cell[0] / 3.2))
        panel.set_title(label)
    return panel


def _label(
    panel: Axes,
    rows: Sequence[str],
    columns: Sequence[str],
    cell: tuple[float, float],
) -> None:
    """Names rows and columns, only every n-th where cells are too small."""
    steps = [math.ceil(_LABEL_HEIGHT / side) for side in cell]
    slanted = cell[0] >= 2 * _LABEL_HEIGHT
    panel.set_xticks(
        range(0, len(columns), steps[0]),
        list(columns)[:: steps[0]],
        rotation=45 if slanted else 90,
        ha="right" if slanted else "center",
        va="top" if not slanted else "center_baseline",
        rotation_mode="anchor" if slanted else "default",
    )
    panel.set_yticks(range(0, len(rows), steps[1]), list(rows)[:: steps[1]])
    panel.tick_params(axis="x", length=0, labelsize=_label_size(cell[0]))
    panel.tick_params(axis="y", length=0, labelsize=_label_size(cell[1]))
    panel.spines[:].set_visible(False)


def _label_size(side: float) -> float:
    return 12.0 if side >= 14 else 9.5


def _separate(
    panel: Axes, shape: tuple[int, ...], cell: tuple[float, float]
) -> None:
    """Draws gaps between cells in the colour of the page."""
    if min(cell) < 10:
        return
    rows, columns = shape
    columns_at = np.arange(1, columns) - 0.5
    rows_at = np.arange(1, rows) - 0.5
    paper = svg.THEME["paper"]
    panel.vlines(columns_at, -0.5, rows - 0.5, color=paper, linewidth=1)
    panel.hlines(rows_at, -0.5, columns - 0.5, color=paper, linewidth=1)
    panel.set_xlim(-0.5, columns - 0.5)
    panel.set_ylim(rows - 0.5, -0.5)


def _write(
    panel: Axes,
    texts: Sequence[Sequence[str]],
    colors: np.ndarray,
    size: float,
) -> None:
    # Relative luminance of sRGB; at 0.18 black and white contrast alike.
    bright = colors[..., :3] ** 2.2 @ (0.2126, 0.7152, 0.0722) > 0.18
    for row, line in enumerate(texts):
        for column, text in enumerate(line):
            if colors[row, column, 3] < 1:
                color = svg.THEME["muted"]
            else:
                color = _DARK if bright[row, column] else _LIGHT
            panel.text(
                column,
                row,
                text,
                ha="center",
                va="center_baseline",
                color=color,
                fontsize=size,
            )


def _draw_bar(
    bar: Axes, scale: ScalarMappable, number_format: str, label: str
) -> None:
    from matplotlib.ticker import MaxNLocator

    low, high = scale.get_clim()
    if low == high:
        bar.set_visible(False)
        return
    shades = scale.to_rgba(np.linspace(low, high, 256)[:, None])
    bar.imshow(
        shades,
        aspect="auto",
        extent=(0, 1, low, high),
        interpolation="none",
        origin="lower",
    )
    bar.set_xticks([])
    bar.yaxis.tick_right()
    bar.yaxis.set_label_position("right")
    bar.yaxis.set_major_locator(MaxNLocator(5))
    bar.yaxis.set_major_formatter(lambda value, _: format(value, number_format))
    bar.set_ylabel(label)
    bar.spines[:].set_visible(False)
