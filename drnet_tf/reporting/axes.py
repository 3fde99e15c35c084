"""Axes of the figures: percentages and counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def show_percent(panel: Axes, shares: np.ndarray, log: bool) -> None:
    """Makes both axes ones of percent.

    Args:
      panel: axes to which the data were added, in percent.
      shares: all horizontal values as fractions, above 0.
      log: a logarithmic horizontal axis instead of a linear one from 0.
    """
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    panel.yaxis.set_major_formatter(ScalarFormatter(useOffset=False))
    if log:
        panel.set_xscale("log")
        # Ticks at 1, 2 and 5 would touch each other over many decades.
        decades = np.log10(shares.max() / shares.min())
        subs = (1, 2, 5) if decades < 2.5 else (1,)
        panel.xaxis.set_major_locator(LogLocator(subs=subs))
        panel.xaxis.set_major_formatter(lambda percent, _: f"{percent:.4g}")
        panel.xaxis.set_minor_formatter(NullFormatter())
    else:
        panel.set_xlim(left=0)
    _show_grid(panel)


def show_counts(panel: Axes) -> None:
    """Makes both axes ones of whole numbers."""
    from matplotlib.ticker import MaxNLocator

    panel.xaxis.set_major_locator(
        MaxNLocator(10, steps=[1, 2, 5, 10], integer=True)
    )
    panel.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    panel.yaxis.set_major_formatter(lambda count, _: f"{count:,.0f}")
    _show_grid(panel)


def _show_grid(panel: Axes) -> None:
    """Horizontal lines instead of a vertical axis."""
    panel.grid(axis="y")
    panel.set_axisbelow(True)
    panel.tick_params(axis="y", length=0)
    panel.spines["left"].set_visible(False)
