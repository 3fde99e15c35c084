"""The parts of a route's picture: columns of layers, bands, names, numbers."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from drnet_tf.reporting import svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

_CURVE = np.linspace(0, 1, 9)
_SMOOTH = _CURVE**2 * (3 - 2 * _CURVE)
_WIDTH = 720
HEIGHT = 220
"""Of a column: all channels of a layer, pixels."""
_MOST_CELLS = 32  # of a band's colours, so that few pixels do not hold many
_SHARP = 12  # pixels of an image for one of its cells, along both axes
_FEWEST_SHOWN = 5e-3  # narrower bands are drawn as a thread of this share
_LABEL_HEIGHT = 12


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where the layers stand, in pixels.

    Attributes:
      layers: how many.
      spread: columns are this much wider than usual.
    """

    layers: int
    spread: float = 1.0

    @property
    def step(self) -> float:
        """From layer to layer."""
        return min(max(_WIDTH / self.layers, 13.0), 56.0)

    @property
    def column(self) -> float:
        """Width of a layer's column."""
        return self.spread * min(0.45 * self.step, 16.0)

    @property
    def width(self) -> float:
        """Of the whole picture."""
        return self.step * self.layers

    @property
    def centers(self) -> np.ndarray:
        """`(layers,)` the middle of each column."""
        return self.step * (np.arange(self.layers) + 0.5)

    @property
    def numbered(self) -> bool:
        """Whether there is room for a number at each layer."""
        return self.step >= 26


def draw_columns(panel: Axes, layout: Layout) -> None:
    """Draws all channels of every layer as a grey column, and the scale."""
    ends = np.full(layout.layers, 0.5)
    draw_boxes(panel, layout, -ends, ends, svg.THEME["line"], alpha=0.55)
    panel.set_xlim(0, layout.width)
    panel.set_ylim(-0.5, 0.5)
    # A band from the tick above to the same one below is that wide.
    panel.set_yticks(
        [-0.5, -0.25, 0, 0.25, 0.5], ["100", "50", "0", "50", "100"]
    )
    panel.set_ylabel("Width of the band (%)")
    panel.spines[:].set_visible(False)


def draw_band(
    panel: Axes,
    layout: Layout,
    lower: np.ndarray,
    upper: np.ndarray,
    color: str,
    *,
    solid: bool = False,
) -> None:
    """Draws a band through all layers, paler between them.

    Args:
      panel: of `draw_columns`.
      layout: of the layers.
      lower, upper: `(layers,)` its edges as shares of a column, in [-0.5, 0.5].
      color: of the band.
      solid: whether the columns are filled with the colour, too.
    """
    x, low, high = (_through(layout, values) for values in (None, lower, upper))
    panel.fill_between(x, low, high, color=color, alpha=0.4, linewidth=0)
    if solid:
        draw_boxes(panel, layout, lower, upper, color)


def draw_boxes(
    panel: Axes,
    layout: Layout,
    lower: np.ndarray,
    upper: np.ndarray,
    color: str,
    *,
    alpha: float = 1.0,
) -> None:
    """Fills every layer's column from one height to another.

    They are one path of the drawing, as a path each makes large files.

    Args:
      panel: where to draw.
      layout: of the layers.
      lower, upper: `(layers,)` in the units of the panel.
      color: of all.
      alpha: 1 hides what lies below.
    """
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    half = layout.column / 2
    boxes = [
        Path([(x, a), (x, b), (z, b), (z, a), (x, a)], closed=True)
        for x, z, a, b in zip(
            layout.centers - half,
            layout.centers + half,
            lower,
            upper,
            strict=True,
        )
        if b > a
    ]
    if boxes:
        whole = Path.make_compound_path(*boxes)
        panel.add_patch(PathPatch(whole, color=color, alpha=alpha, linewidth=0))


def _through(layout: Layout, values: np.ndarray | None) -> np.ndarray:
    """A smooth line through the columns; None: its places from the left."""
    half = layout.column / 2
    parts = []
    for i, center in enumerate(layout.centers):
        ends = np.array([center - half, center + half])
        parts.append(ends if values is None else np.repeat(values[i], 2))
        if i + 1 == layout.layers:
            break
        if values is None:
            gap = layout.step - layout.column
            parts.append(ends[1] + gap * _CURVE[1:-1])
        else:
            rise = values[i + 1] - values[i]
            parts.append(values[i] + rise * _SMOOTH[1:-1])
    return np.concatenate(parts)


def draw_strengths(
    panel: Axes,
    layout: Layout,
    strengths: Sequence[np.ndarray],
    shares: np.ndarray,
) -> None:
    """Colours the channels of a route, the strongest in the middle.

    Args:
      panel: of `draw_columns`.
      layout: of the layers.
      strengths: of each layer's channels that belong to the route, in any
        order; there may be none.
      shares: `(layers,)` of the channels of each layer.
    """
    scale = _colors()
    for center, values, share in zip(
        layout.centers, strengths, shares, strict=True
    ):
        if not len(values):
            continue
        percent = 100 * _from_the_middle(values) / max(values.max(), 1e-12)
        half, edge = layout.column / 2, max(share, _FEWEST_SHOWN) / 2
        cells = scale.to_rgba(_thinned(percent)[:, None])
        panel.imshow(
            # Readers that smooth pixels then blur their edges only.
            cells.repeat(_SHARP, 0).repeat(_SHARP, 1),
            aspect="auto",
            extent=(center - half, center + half, -edge, edge),
            interpolation="none",
            zorder=3,
        )
    panel.set_xlim(0, layout.width)
    panel.set_ylim(-0.5, 0.5)


def _colors() -> ScalarMappable:
    """Of percentages of a layer's greatest importance."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    return ScalarMappable(Normalize(0, 100), svg.COLORMAP)


def _from_the_middle(values: np.ndarray) -> np.ndarray:
    """Sorts so that values fall from the middle to both ends.

    Example:
      >>> _from_the_middle(np.array([1.0, 5.0, 3.0, 4.0])).tolist()
      [3.0, 5.0, 4.0, 1.0]
    """
    falling = np.sort(values)[::-1]
    return np.concatenate([falling[2::2][::-1], falling[:1], falling[1::2]])


def _thinned(values: np.ndarray) -> np.ndarray:
    """At most `_MOST_CELLS` means over equal parts of the values' length."""
    if len(values) <= _MOST_CELLS:
        return values
    fine = values.repeat(_MOST_CELLS).reshape(_MOST_CELLS, len(values))
    thinned: np.ndarray = fine.mean(1)
    return thinned


def draw_scale(figure: Figure, layout: Layout) -> None:
    """Draws what the colours of `draw_strengths` mean, beside the layers."""
    bar = svg.add_panel(figure, layout.width + 14, 0, 12, 120)
    scale = _colors()
    shades = scale.to_rgba(np.linspace(0, 100, 64)[:, None])
    bar.imshow(
        shades,
        aspect="auto",
        extent=(0, 1, 0, 100),
        interpolation="none",
        origin="lower",
    )
    bar.set_xticks([])
    bar.yaxis.tick_right()
    bar.yaxis.set_label_position("right")
    bar.set_yticks([0, 50, 100])
    bar.set_ylabel("Importance (% of\nthe layer's greatest)")
    bar.spines[:].set_visible(False)


def write_numbers(panel: Axes, layout: Layout, numbers: Sequence[str]) -> None:
    """Writes a number above each column, where there is room."""
    if not layout.numbered:
        return
    for center, number in zip(layout.centers, numbers, strict=True):
        panel.annotate(
            number,
            (center, 0.5),
            color=svg.THEME["muted"],
            fontsize=11,
            ha="center",
            textcoords="offset points",
            xytext=(0, 4),
        )


def name_layers(
    panel: Axes, layout: Layout, names: Sequence[str] | None
) -> None:
    """Names the layers below their columns; None: leaves the names out."""
    panel.tick_params(axis="x", length=0)
    if names is None:
        panel.set_xticks([])
        return
    every = math.ceil(_LABEL_HEIGHT / layout.step)
    slanted = layout.step >= 26
    panel.set_xticks(
        layout.centers[::every],
        list(names)[::every],
        rotation=45 if slanted else 90,
        ha="right" if slanted else "center",
        va="center_baseline" if slanted else "top",
        rotation_mode="anchor" if slanted else "default",
    )
    panel.tick_params(axis="x", labelsize=11 if slanted else 9)
