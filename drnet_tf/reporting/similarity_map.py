"""Class similarities as a heat map in the order of a tree of clusters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from drnet_tf.clustering import ClusterTree, average_linkage
from drnet_tf.reporting import heatmap, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MAX_NUMBERED_CLASSES = 12
_TREE_HEIGHT = 76
_GAP = 6


def draw(figure: Figure, values: np.ndarray, names: Sequence[str]) -> None:
    """Draws the map with the tree above it.

    Args:
      figure: an empty one from `svg.new_figure`.
      values: `(K, K)` symmetric similarities in [0, 1].
      names: of the K classes.
    """
    count = len(names)
    tree = average_linkage(1 - values)
    order = tree.members()[-1]
    ordered = values[np.ix_(order, order)]
    named = [names[i] for i in order]
    side = max(min(460 / count, 36.0), 4.0)
    label = "Intersection over union"
    numbered = count <= _MAX_NUMBERED_CLASSES
    panel = heatmap.draw(
        figure,
        np.where(np.eye(count, dtype=bool), np.nan, ordered),
        rows=named,
        columns=named,
        cell=(side, side),
        texts=[[f"{value:.2f}" for value in row] for row in ordered]
        if numbered
        else None,
        label=label,
        bar_format=".2f",
    )
    panel.set_title("")
    above = svg.add_panel(
        figure, 0, -_TREE_HEIGHT - _GAP, side * count, _TREE_HEIGHT
    )
    _draw_tree(above, tree)
    if numbered:
        above.set_title(label)


def _draw_tree(panel: Axes, tree: ClusterTree) -> None:
    """Draws each merge as a bracket at its height, over the places it joins."""
    from matplotlib.ticker import MaxNLocator

    place = {thing: i for i, thing in enumerate(tree.members()[-1])}
    middle = [float(place[thing]) for thing in range(tree.size)]
    low, high = tree.heights[0], tree.heights[-1]
    margin = 0.1 * (high - low) or 0.05
    # Below the lowest merge there is nothing to tell apart.
    bottom = max(low - 2 * margin, 0.0)
    height = [bottom] * tree.size
    for (left, right), top in zip(tree.merges, tree.heights, strict=True):
        a, b = middle[left], middle[right]
        panel.plot(
            [a, a, b, b],
            [height[left], top, top, height[right]],
            color=svg.THEME["muted"],
            linewidth=1.2,
            clip_on=False,
            solid_joinstyle="miter",
        )
        middle.append((a + b) / 2)
        height.append(top)
    panel.set_xlim(-0.5, tree.size - 0.5)
    panel.set_ylim(bottom, high + margin)
    panel.set_xticks([])
    panel.spines["bottom"].set_visible(False)
    panel.yaxis.set_major_locator(MaxNLocator(3))
    panel.yaxis.set_major_formatter(lambda value, _: f"{value:.2f}")
    panel.set_ylabel("1 − IoU")
