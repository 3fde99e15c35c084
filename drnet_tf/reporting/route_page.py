"""Decision routes as a folder: a page, its pictures, the channels as JSON."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from drnet_tf.artifacts import write_json, write_text
from drnet_tf.reporting.output_folder import folder_names, staged
from drnet_tf.reporting.page import Blocks, Page
from drnet_tf.reporting.route_figure import (
    describe_route,
    describe_routes,
    draw_route,
    draw_routes,
)
from drnet_tf.reporting.svg import with_dark_mode
from drnet_tf.reporting.tables import Column
from drnet_tf.routes import Route

_NAMED = 5  # strongest channels that a table names
_LAYERS = (
    Column("site", "Layer"),
    Column("channels", "Channels", ","),
    Column("used", "In the route", ","),
    Column("share", "Share", ".1%"),
    Column("strongest", "Strongest, by number"),
)
_READING = (
    "Layers stand from left to right, and a grey column is all channels of "
    "one. The band is the share of them that matters: whose importance is "
    "above {threshold:g}. Channels of a layer are put in an order that makes "
    "the band readable, so its height within the column says nothing."
)


def write_routes(
    folder: str | os.PathLike[str],
    routes: Sequence[Route],
    settings: Mapping[str, Any],
) -> list[str]:
    """Writes the pictures of routes and of every two of them.

    Args:
      folder: made if it is missing; after an error nothing in it has changed.
      routes: of one network, at one threshold, each of another name.
      settings: kept in `routes.json`, with the channels of every route.

    Returns:
      Names of the files written: `index.html`, `routes.json`, and an SVG for
      each route and for each two.

    Raises:
      ValueError: no route, two of one name, routes that do not fit together,
        or a folder that cannot be written.
      ImportError: matplotlib is not installed.
    """
    names = [route.name for route in routes]
    if not names or len(set(names)) < len(names):
        raise ValueError(
            f"Routes: got the names {names}, expected one or more, each once."
        )
    pairs = list(itertools.combinations(routes, 2))
    shown = [(route,) for route in routes] + pairs
    files = folder_names([[route.name for route in some] for some in shown])
    page = Page(f"Decision routes: {', '.join(names)}")
    page.paragraph(_READING.format(threshold=routes[0].threshold))
    with staged(folder) as draft:
        for some, name in zip(shown, files, strict=True):
            drawing = _add(page, some)
            write_text(draft / f"{name}.svg", with_dark_mode(drawing))
        page.write(draft / "index.html")
        write_json(
            draft / "routes.json",
            {"settings": settings, "routes": [_as_dict(x) for x in routes]},
        )
        return sorted(file.name for file in draft.iterdir())


def _add(page: Page, some: tuple[Route, ...]) -> str:
    """Adds one route or two to the page, and gives their drawing."""
    if len(some) == 1:
        (route,) = some
        drawing = draw_route(route)
        caption = (
            f"The route of {route.name}. Numbers: channels that matter, in "
            "percent of the layer's; the strongest lie in the middle."
        )
        page.figure(drawing, caption, describe_route(route))
        rows = _rows(route)
        table = Blocks().table(rows, _LAYERS, f"The route of {route.name}.")
        page.details("Layer by layer", table)
        return drawing
    first, second = some
    drawing = draw_routes(first, second)
    caption = (
        f"The routes of {first.name} and {second.name} over each other. Below: "
        "channels of both as a share of those of either, and a line where two "
        "routes as wide would be whose channels were drawn by lot."
    )
    page.figure(drawing, caption, describe_routes(first, second))
    return drawing


def _rows(route: Route) -> list[dict[str, Any]]:
    rows = []
    for site, used in route.channels.items():
        falling = np.argsort(-route.importance[site], kind="stable")
        strongest = [int(x) for x in falling[:_NAMED] if used[x]]
        rows.append(
            {
                "site": site,
                "channels": len(used),
                "used": int(used.sum()),
                "share": float(used.mean()),
                "strongest": strongest or None,
            }
        )
    return rows


def _as_dict(route: Route) -> dict[str, Any]:
    return {
        "name": route.name,
        "threshold": route.threshold,
        "channels": {
            site: np.flatnonzero(used).tolist()
            for site, used in route.channels.items()
        },
    }
