"""Pictures of routes: bands as wide as shares, the same bytes, alike names."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from drnet_tf.reporting import svg
from drnet_tf.reporting.route_bands import Layout
from drnet_tf.reporting.route_figure import (
    BOTH,
    FIRST,
    SECOND,
    describe_routes,
    draw_route,
    draw_routes,
)
from drnet_tf.reporting.route_page import write_routes
from drnet_tf.routes import Route

NAME = "cat & <dog>"
CAT = Route(NAME, {"conv1": [1, 1, 0, 0], "conv2": [0.5, 0.9, 0, 0.2]}, 0.3)
DOG = Route("dog", {"conv1": [0, 1, 1, 0], "conv2": [0.1, 0.9, 0.4, 1]}, 0.3)


def texts(drawing):
    """All texts of a figure; fails where it is not well-formed XML."""
    root = ElementTree.fromstring(drawing)
    return [
        "".join(element.itertext())
        for element in root.iter("{http://www.w3.org/2000/svg}text")
    ]


def deep(name, layers=55, width=64):
    random = np.random.default_rng(len(name))
    return Route(
        name,
        {
            f"layer{n}": random.random(width) * (n % 3 > 0)
            for n in range(layers)
        },
        0.5,
    )


@pytest.mark.parametrize(
    "draw",
    [
        lambda: draw_route(CAT),
        lambda: draw_routes(CAT, DOG),
        lambda: draw_route(deep("a")),
        lambda: draw_routes(deep("a"), deep("bb")),
    ],
)
def test_the_same_routes_give_the_same_bytes(draw):
    first = draw()
    assert first == draw()
    assert texts(first)
    # A document that is committed, and of a network of 55 layers, too.
    assert len(first) < 150_000


def test_a_route_names_layers_and_shares():
    shown = texts(draw_route(CAT))
    assert {f"Route of {NAME}", "conv1", "conv2"} <= set(shown)
    assert "4 of 8 channels (50.0%), with an importance above 0.3" in shown
    assert shown.count("50") >= 2


def boxes(drawing, color):
    """Heights of the boxes filled with a colour, from left to right."""
    found = re.findall(
        rf'<path d="([^"]+)"[^>]*style="fill: {color}(?:; opacity: 1)?"',
        drawing,
    )
    heights = []
    for part in "".join(found).split("M ")[1:]:
        ys = [float(y) for y in re.findall(r"-?[\d.]+ (-?[\d.]+)", part)]
        heights.append(max(ys) - min(ys))
    return heights


def test_the_bands_of_two_routes_are_as_wide_as_their_shares():
    drawing = draw_routes(CAT, DOG)
    whole = 220.0
    # One, one and one of 4 channels; one, one and two.
    assert boxes(drawing, FIRST) == pytest.approx([whole / 4] * 2, abs=0.1)
    assert boxes(drawing, SECOND)[:2] == pytest.approx(
        [whole / 4, whole / 2], abs=0.1
    )
    assert boxes(drawing, BOTH)[:2] == pytest.approx([whole / 4] * 2, abs=0.1)
    shown = texts(drawing)
    assert {f"only {NAME} (2)", "both (2)", "only dog (3)"} <= set(shown)
    assert {"75", "100"} <= set(shown)
    assert "Channels with an importance above 0.3" in shown


def test_colours_of_two_routes_differ_and_are_none_of_the_page():
    colors = {FIRST, BOTH, SECOND}
    assert len(colors) == 3
    assert colors <= set(svg.SERIES)


def test_deep_networks_have_names_but_no_numbers():
    shown = texts(draw_routes(deep("a"), deep("bb")))
    assert {f"layer{n}" for n in range(55)} <= set(shown)
    assert not any(text.isdigit() and int(text) > 100 for text in shown)
    assert Layout(55).step >= 13


def test_a_route_without_channels_is_drawn():
    empty = Route("a", {"conv1": np.zeros(4), "conv2": np.zeros(4)}, 0.3)
    assert any(
        text.startswith("0 of 8 channels (0.0%)")
        for text in texts(draw_route(empty))
    )
    assert "only a (0)" in texts(draw_routes(empty, DOG))


def test_one_layer_is_drawn():
    one = Route("a", {"conv": np.array([1.0, 0.0])})
    assert "conv" in texts(draw_route(one))


def test_the_text_instead_of_the_picture_has_its_numbers():
    assert describe_routes(CAT, DOG) == (
        f"Routes of {NAME} and dog: 2 channels of {NAME} only, 2 of both, 3 of "
        "dog only; they share 33% at the first layer and 25% at the last."
    )


def test_a_drawing_follows_dark_mode_and_a_page_does_not_notice():
    from drnet_tf.reporting.inline import inline_svg

    plain = draw_route(CAT)
    adapted = svg.with_dark_mode(plain)
    assert texts(adapted) == texts(plain)
    assert f'[style*="fill: {svg.THEME["ink"]}"]' in adapted
    assert inline_svg(adapted, "x", "p") == inline_svg(plain, "x", "p")


def test_a_folder_holds_each_route_each_pair_and_the_channels(tmp_path):
    third = Route("cow", {"conv1": [0] * 4, "conv2": [1] * 4}, 0.3)
    cat = Route("cat", CAT.importance, 0.3)
    files = write_routes(tmp_path / "out", [cat, DOG, third], {"seed": 3})
    assert set(files) == {
        *("cat.svg", "dog.svg", "cow.svg"),
        *("cat-dog.svg", "cat-cow.svg", "dog-cow.svg"),
        *("index.html", "routes.json"),
    }
    assert {x.name for x in (tmp_path / "out").iterdir()} == set(files)
    written = json.loads((tmp_path / "out/routes.json").read_text("utf-8"))
    assert written["settings"] == {"seed": 3}
    assert written["routes"][0]["channels"] == {
        "conv1": [0, 1],
        "conv2": [0, 1],
    }
    page = (tmp_path / "out/index.html").read_text("utf-8")
    assert page.count('role="img"') == 6
    assert "Routes of cat and dog: 2 channels of cat only" in page


def test_routes_of_one_name_are_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(ValueError, match="expected one or more, each once"):
        write_routes(tmp_path / "out", [DOG, DOG], {})
    with pytest.raises(ValueError, match="their sites and widths differ"):
        write_routes(tmp_path / "out", [DOG, deep("a")], {})
    assert list(tmp_path.iterdir()) == []
