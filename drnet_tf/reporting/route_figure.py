"""Pictures of decision routes, as SVG: one route, or two over each other.

Layers stand from left to right. At each, the grey column is all its channels
and the band the share of them that matters; between layers the band is only
drawn on. Channels of one layer are put in an order that makes the band
readable, so its place within the column says nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from drnet_tf.reporting import svg
from drnet_tf.reporting.route_bands import (
    HEIGHT,
    Layout,
    draw_band,
    draw_boxes,
    draw_columns,
    draw_scale,
    draw_strengths,
    name_layers,
    write_numbers,
)
from drnet_tf.routes import Meeting, Route, meetings

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FIRST, BOTH, SECOND = svg.SERIES[0], svg.SERIES[2], svg.SERIES[1]
_OVERLAP_HEIGHT = 70
_BELOW = 44
_LINE_HEIGHT = 17
_LINE = 2.0  # percent, as thick as a line of 1.4 pixels


def draw_route(route: Route) -> str:
    """Draws the route of an image or class.

    Colour tells how much a channel of the route matters next to the greatest
    of its layer; the strongest lie in the middle of the band.

    Args:
      route: see `routes.class_route` and `routes.image_routes`.

    Returns:
      The SVG document, the same bytes for the same route.

    Raises:
      ImportError: matplotlib is not installed.

    Example:
      >>> drawn = draw_route(Route("cat", {"relu": np.array([0.9, 0.0])}))
      >>> ">1 of 2 channels (50.0%), with an importance" in drawn
      True
    """
    layout = Layout(len(route.importance))
    used = route.channels
    shares = np.array([x.mean() for x in used.values()])
    with svg.style():
        figure = svg.new_figure()
        panel = svg.add_panel(figure, 0, 0, layout.width, HEIGHT)
        draw_columns(panel, layout)
        draw_band(panel, layout, -shares / 2, shares / 2, svg.SERIES[0])
        draw_strengths(
            panel,
            layout,
            [x[used[site]] for site, x in route.importance.items()],
            shares,
        )
        draw_scale(figure, layout)
        write_numbers(panel, layout, [_percent(x) for x in shares])
        name_layers(panel, layout, list(route.importance))
        counted = (
            f"{route.used:,} of {route.total:,} channels "
            f"({route.used / route.total:.1%}), {_rule(route)}"
        )
        title = [f"Route of {route.name}", counted]
        _title(panel, title, _above(layout))
        return svg.to_svg(figure)


def draw_routes(first: Route, second: Route) -> str:
    """Draws two routes over each other, and how much they share at each layer.

    The band holds, from above, the channels of the first route only, those of
    both and those of the second only. Below it bars give the common channels as
    a share of those of either; a line across each bar tells what two routes as
    wide would share by chance.

    Args:
      first, second: of one network, at one threshold.

    Returns:
      The SVG document, the same bytes for the same routes.

    Raises:
      ValueError: see `routes.meetings`.
      ImportError: matplotlib is not installed.
    """
    met = meetings(first, second)
    layout = Layout(len(met))
    middle, above, below = (
        np.array([getattr(x, part) / x.channels for x in met])
        for part in ("both", "first", "second")
    )
    # The whole band stands in the middle of its column.
    top = (middle + above + below) / 2
    edges = [top, top - above, top - above - middle, -top]
    with svg.style():
        figure = svg.new_figure()
        panel = svg.add_panel(figure, 0, 0, layout.width, HEIGHT)
        draw_columns(panel, layout)
        for color, upper, lower in zip(
            (FIRST, BOTH, SECOND), edges, edges[1:], strict=False
        ):
            draw_band(panel, layout, lower, upper, color, solid=True)
        write_numbers(panel, layout, [_percent(x) for x in 2 * top])
        name_layers(panel, layout, None)
        title = [f"Routes of {first.name} and {second.name}"]
        title.append(f"Channels {_rule(first)}")
        _title(panel, title, _above(layout) + _LINE_HEIGHT + 4)
        _legend(panel, first, second, met, _above(layout))
        overlap = svg.add_panel(
            figure, 0, HEIGHT + _BELOW, layout.width, _OVERLAP_HEIGHT
        )
        _draw_overlap(overlap, layout, met)
        return svg.to_svg(figure)


def describe_route(route: Route) -> str:
    """What `draw_route` shows, for those who do not see it.

    Example:
      >>> describe_route(Route("cat", {"relu": np.array([0.9, 0.0])}))
      'Route of cat: 1 of 2 channels matter; widest at relu (50%), narrowest \
at relu (50%).'
    """
    shares = {site: float(x.mean()) for site, x in route.channels.items()}
    widest = max(shares, key=lambda site: shares[site])
    narrowest = min(shares, key=lambda site: shares[site])
    return (
        f"Route of {route.name}: {route.used:,} of {route.total:,} channels "
        f"matter; widest at {widest} ({shares[widest]:.0%}), narrowest at "
        f"{narrowest} ({shares[narrowest]:.0%})."
    )


def describe_routes(first: Route, second: Route) -> str:
    """What `draw_routes` shows, for those who do not see it.

    Example:
      >>> cat = Route("cat", {"relu": np.array([0.9, 0.8])})
      >>> dog = Route("dog", {"relu": np.array([0.0, 0.8])})
      >>> describe_routes(cat, dog)
      'Routes of cat and dog: 1 channel of cat only, 1 of both, 0 of dog only; \
they share 50% at the first layer and 50% at the last.'
    """
    met = meetings(first, second)
    own, both, other = _sums(met)
    return (
        f"Routes of {first.name} and {second.name}: {own:,} "
        f"channel{'' if own == 1 else 's'} of {first.name} only, {both:,} of "
        f"both, {other:,} of {second.name} only; they share "
        f"{met[0].overlap:.0%} at the first layer and {met[-1].overlap:.0%} at "
        "the last."
    )


def _sums(met: Sequence[Meeting]) -> tuple[int, int, int]:
    return (
        sum(x.first for x in met),
        sum(x.both for x in met),
        sum(x.second for x in met),
    )


def _above(layout: Layout) -> float:
    """Pixels from the columns to the text above them and their numbers."""
    return 28.0 if layout.numbered else 12.0


def _rule(route: Route) -> str:
    return f"with an importance above {route.threshold:g}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f}"


def _title(panel: Axes, lines: Sequence[str], above: float) -> None:
    """Writes a bold line and muted ones, the last `above` the columns."""
    for number, line in enumerate(reversed(lines)):
        bold = number + 1 == len(lines)
        panel.annotate(
            line,
            (0, 1),
            color=svg.THEME["ink" if bold else "muted"],
            fontsize=12 if bold else 11,
            fontweight="bold" if bold else "normal",
            textcoords="offset points",
            xycoords="axes fraction",
            xytext=(0, above + _LINE_HEIGHT * number),
        )


def _legend(
    panel: Axes,
    first: Route,
    second: Route,
    met: Sequence[Meeting],
    above: float,
) -> None:
    from matplotlib.patches import Patch

    names = f"only {first.name}", "both", f"only {second.name}"
    colors = FIRST, BOTH, SECOND
    panel.legend(
        handles=[
            Patch(color=color, label=f"{name} ({count:,})")
            for color, name, count in zip(
                colors, names, _sums(met), strict=True
            )
        ],
        loc="lower left",
        bbox_to_anchor=(0, 1 + above / HEIGHT),
        bbox_transform=panel.transAxes,
        borderaxespad=0,
        borderpad=0,
        columnspacing=1.6,
        handlelength=1.1,
        ncols=3,
    )


def _draw_overlap(panel: Axes, layout: Layout, met: Sequence[Meeting]) -> None:
    percent = 100 * np.array([x.overlap for x in met])
    chance = 100 * np.array([x.chance for x in met])
    draw_boxes(panel, layout, np.zeros(len(met)), percent, BOTH)
    wider = dataclasses.replace(layout, spread=1.5)
    ink = svg.THEME["ink"]
    draw_boxes(panel, wider, chance - _LINE / 2, chance + _LINE / 2, ink)
    panel.set_xlim(0, layout.width)
    panel.set_ylim(0, 100)
    panel.set_yticks([0, 50, 100])
    panel.set_ylabel("Shared (%)")
    panel.annotate(
        "Channels of both as a share of those of either; line: by chance",
        (0, 1),
        color=svg.THEME["muted"],
        fontsize=11,
        textcoords="offset points",
        xycoords="axes fraction",
        xytext=(0, 7),
    )
    panel.grid(axis="y", zorder=0)
    panel.set_axisbelow(True)
    name_layers(panel, layout, [x.site for x in met])
