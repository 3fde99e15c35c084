"""The look of all figures, and their way to SVG text.

Figures are drawn in pixels of a page: one unit is one CSS pixel. They use the
four neutral colours of `THEME` for everything that is not data, so that a page
can replace those four in dark mode; on their own they suit a white page.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

THEME = {
    "ink": "#1f2328",
    "muted": "#59636e",
    "line": "#d1d9e0",
    "paper": "#fffffe",
}
"""Neutral colours by their role. Paper is not pure white, which is the colour
of text on dark cells and must stay what it is."""

SERIES = ("#0072b2", "#d55e00", "#009e73", "#b65f93", "#3f9bd1", "#c98500")
"""Colours of data that the colour-blind can tell apart, after Okabe and Ito;
the light ones darkened to be seen on white."""

_DARK = {"ink": "#e6edf3", "muted": "#9da7b1", "line": "#3d444d"}

MARKERS = "osD^vPX"

COLORMAP = "viridis"
"""Perceptually uniform, and told apart by the colour-blind."""

_PIXELS_PER_INCH = 72

_STYLE = {
    "font.family": ["DejaVu Sans"],
    "font.size": 12,
    "axes.edgecolor": THEME["muted"],
    "axes.labelcolor": THEME["ink"],
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": THEME["ink"],
    "axes.titlelocation": "left",
    "axes.labelsize": 12,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.unicode_minus": True,
    "figure.dpi": _PIXELS_PER_INCH,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "grid.color": THEME["line"],
    "grid.linewidth": 0.8,
    "legend.fontsize": 12,
    "legend.frameon": False,
    "savefig.facecolor": "none",
    "text.color": THEME["ink"],
    "text.parse_math": False,
    "xtick.color": THEME["muted"],
    "ytick.color": THEME["muted"],
    "xtick.labelcolor": THEME["ink"],
    "xtick.labelsize": 12,
    "ytick.labelcolor": THEME["ink"],
    "ytick.labelsize": 12,
    # Text stays text, so that it can be searched and read aloud.
    "svg.fonttype": "none",
    # The ids within a figure hash this instead of a random number.
    "svg.hashsalt": "drnet_tf",
}


def check_matplotlib() -> None:
    """Refuses to draw where matplotlib is missing.

    Raises:
      ImportError: matplotlib is not installed; the message names the extra.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise ImportError(
            "drnet_tf.reporting.figures draws with matplotlib, which is not "
            "installed; install the extra: pip install 'drnet_tf[report]'."
        )


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Within it matplotlib has the look of this package; it is put back after.

    The user's own matplotlibrc has no say, so figures are the same everywhere.

    Raises:
      ImportError: see `check_matplotlib`.

    Example:
      >>> with style():
      ...     text = to_svg(new_figure())
      >>> "<svg" in text
      True
    """
    check_matplotlib()
    import matplotlib.style

    with matplotlib.style.context(["default", _STYLE]):
        yield


def new_figure() -> Figure:
    """An empty figure that is not registered with pyplot.

    Its size is of no account: `to_svg` cuts it to what was drawn.
    """
    from matplotlib.figure import Figure

    return Figure(figsize=(1, 1), dpi=_PIXELS_PER_INCH)


def add_panel(
    figure: Figure, left: float, top: float, width: float, height: float
) -> Axes:
    """Adds axes at a place given in pixels from the top left corner.

    Args:
      figure: one from `new_figure`.
      left, top: corner of the data area, pixels; any origin will do.
      width, height: size of the data area, pixels.
    """
    # The figure measures one inch, and its axis points upwards.
    unit = _PIXELS_PER_INCH
    return figure.add_axes(
        (left / unit, 1 - (top + height) / unit, width / unit, height / unit)
    )


def write(
    page: Axes,
    left: float,
    middle: float,
    text: str,
    *,
    bold: bool = False,
    muted: bool = False,
    size: float = 12,
    align: str = "left",
) -> None:
    """Writes a line of text.

    Args:
      page: axes in the figure's own points, of `add_panel`.
      left, middle: where it starts (or ends, by `align`), and its height.
      text: the line.
      bold, muted: its weight and colour.
      size: of the letters in points.
      align: "left", "center" or "right".
    """
    page.text(
        left,
        middle,
        text,
        color=THEME["muted" if muted else "ink"],
        fontsize=size,
        fontweight="bold" if bold else "normal",
        ha=align,
        va="center_baseline",
    )


def to_svg(figure: Figure) -> str:
    """Writes a figure as an SVG document, cut to what was drawn.

    Args:
      figure: a matplotlib figure; call this within `style`.

    Returns:
      The document; the same bytes for the same figure and matplotlib.
    """
    buffer = io.StringIO()
    with warnings.catch_warnings():
        # Text is drawn by the reader's fonts, which know more scripts.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(
            buffer,
            format="svg",
            bbox_inches="tight",
            pad_inches=4 / _PIXELS_PER_INCH,
            metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")),
        )
    return buffer.getvalue()


def with_dark_mode(drawing: str) -> str:
    """An SVG document whose neutral colours follow the reader's dark mode.

    For documents that stand on their own: a page has its own colours, and
    leaves this style sheet out.

    Args:
      drawing: of `to_svg`.

    Example:
      >>> with style():
      ...     text = with_dark_mode(to_svg(new_figure()))
      >>> "prefers-color-scheme: dark" in text
      True
    """
    rules = "".join(
        f'[style*="{key}: {THEME[role]}"]{{{key}:{color}!important}}'
        for role, color in _DARK.items()
        for key in ("fill", "stroke")
    )
    sheet = f"<style>@media (prefers-color-scheme: dark){{{rules}}}</style>"
    end = drawing.index(">", drawing.index("<svg")) + 1
    return f"{drawing[:end]}\n {sheet}{drawing[end:]}"
