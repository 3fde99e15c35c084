"""Kept out of all channels of every layer, by sub-task: bars or a heat map."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from drnet_tf.reporting import heatmap, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MAX_PANELS = 6
_MAX_NUMBERED_LAYERS = 20
_COLUMNS = {1: 1, 2: 2, 4: 2}
_BAR_LENGTHS = {1: 300, 2: 145, 3: 136}
_NUMBERS_WIDTH = 58
_GAP = 22
_ROW_HEIGHT = 18
_LINE_HEIGHT = 15


def draw(
    figure: Figure,
    names: Sequence[str],
    sites: Sequence[str],
    kept: np.ndarray,
    full: np.ndarray,
) -> None:
    """Draws a panel of bars for each of few sub-tasks, a heat map of many.

    Args:
      figure: an empty one from `svg.new_figure`.
      names: of the sub-tasks.
      sites: names of the layers, from input to output.
      kept: `(sub-tasks, sites)` int, kept channels.
      full: `(sites,)` int, all channels.
    """
    if len(names) <= _MAX_PANELS:
        _draw_panels(figure, names, sites, kept, full)
    else:
        _draw_heatmap(figure, names, sites, kept, full)


def _draw_heatmap(
    figure: Figure,
    names: Sequence[str],
    sites: Sequence[str],
    kept: np.ndarray,
    full: np.ndarray,
) -> None:
    """Kept share by sub-task and layer, and by sub-task in all."""
    percent = 100 * np.column_stack(
        [kept / full, kept.sum(axis=1) / full.sum()]
    )
    numbered = len(sites) <= _MAX_NUMBERED_LAYERS
    heatmap.draw(
        figure,
        percent,
        rows=names,
        columns=[*sites, "all layers"],
        cell=(34.0 if numbered else 13.0, 18.0),
        texts=[[f"{value:.0f}" for value in row] for row in percent]
        if numbered
        else None,
        label="Kept channels (%)",
        bar_format=".0f",
    )


def _draw_panels(
    figure: Figure,
    names: Sequence[str],
    sites: Sequence[str],
    kept: np.ndarray,
    full: np.ndarray,
) -> None:
    """One panel for each sub-task, at most three side by side."""
    columns = _COLUMNS.get(len(names), 3)
    bar = _BAR_LENGTHS[columns]
    width, height = bar + _NUMBERS_WIDTH, _ROW_HEIGHT * len(sites)
    # A bold character is about 8 pixels wide.
    titles = [textwrap.wrap(name, width // 8) or [""] for name in names]
    top = _LINE_HEIGHT * (max(map(len, titles)) + 1) + 30
    for number, title in enumerate(titles):
        row, column = divmod(number, columns)
        panel = svg.add_panel(
            figure, column * (width + _GAP), row * (height + top), width, height
        )
        panel.set_xlim(0, full.max() * width / bar)
        panel.set_ylim(len(sites) - 0.5, -0.5)
        _draw_bars(panel, kept[number], full)
        _write_title(panel, title, kept[number].sum(), full.sum())
        panel.set_yticks(range(len(sites)), [] if column else list(sites))


def _draw_bars(panel: Axes, kept: np.ndarray, full: np.ndarray) -> None:
    rows = np.arange(len(full))
    panel.barh(rows, kept, 0.66, color=svg.SERIES[0])
    panel.barh(
        rows,
        full,
        0.66,
        edgecolor=svg.THEME["muted"],
        facecolor="none",
        linewidth=0.8,
    )
    for row, (some, every) in enumerate(zip(kept, full, strict=True)):
        panel.text(
            panel.get_xlim()[1],
            row,
            f"{some}/{every}",
            color=svg.THEME["muted"],
            fontsize=11,
            ha="right",
            va="center_baseline",
        )
    panel.set_xticks([])
    panel.tick_params(axis="y", length=0)
    panel.spines[:].set_visible(False)


def _write_title(panel: Axes, lines: list[str], kept: int, full: int) -> None:
    """The name of the sub-task, and below it what it keeps in all."""
    panel.set_title("\n".join(lines), pad=_LINE_HEIGHT + 6)
    panel.annotate(
        f"{kept:,} of {full:,} channels ({kept / full:.1%})",
        (0, 1),
        color=svg.THEME["muted"],
        fontsize=11,
        textcoords="offset points",
        xycoords="axes fraction",
        xytext=(0, 6),
    )
