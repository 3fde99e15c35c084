"""Figures: what they show, that they are SVG, and what they refuse."""

import dataclasses
import importlib.util
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from drnet_tf.masks import ChannelMask
from drnet_tf.reporting import figures, similarity_map, svg
from drnet_tf.reporting.figures import CurveSeries

SITES = {"conv1": 4, "conv2": 8}
NAME = "cat & <dog>"


def mask(kept: int, sites: dict[str, int] = SITES) -> ChannelMask:
    return ChannelMask(
        {site: np.arange(width) < kept for site, width in sites.items()}
    )


def texts(drawing: str) -> list[str]:
    """All texts of a figure; fails where it is not well-formed XML."""
    root = ElementTree.fromstring(drawing)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    return [
        "".join(element.itertext())
        for element in root.iter("{http://www.w3.org/2000/svg}text")
    ]


def panels():
    return figures.kept_channels({NAME: mask(3), "b": mask(4)})


def kept_map():
    return figures.kept_channels({f"{NAME} {n}": mask(n) for n in range(1, 8)})


def similarity():
    return figures.class_similarity(
        [[1, 0.4, 0.2], [0.4, 1, 0.31], [0.2, 0.31, 1]], [NAME, "b", "c"]
    )


def curve():
    return figures.accuracy_curve(
        [CurveSeries(NAME, [0.02, 1.0, 0.3], [0.6, 0.94, 0.9])],
        "Kept parameters",
        0.942,
    )


def histogram():
    return figures.iterate_histogram([20, 0, 30, 950], 0.02)


@pytest.mark.parametrize(
    "draw", [panels, kept_map, similarity, curve, histogram]
)
def test_every_figure_has_the_same_bytes_twice_and_no_date(draw):
    first = draw()
    assert first == draw()
    assert texts(first)
    assert not re.search(r"<dc:date>|Matplotlib|20\d\d-\d\d", first)


@pytest.mark.parametrize("draw", [panels, similarity, curve])
def test_names_are_escaped(draw):
    drawing = draw()
    assert "cat &amp; &lt;dog&gt;" in drawing
    assert any(NAME in text for text in texts(drawing))


def test_figures_are_the_same_under_any_settings_and_leave_them():
    import matplotlib
    from matplotlib import pyplot

    expected = panels()
    with matplotlib.rc_context({"font.size": 33, "svg.fonttype": "path"}):
        assert panels() == expected
        assert matplotlib.rcParams["font.size"] == 33
        assert matplotlib.rcParams["svg.fonttype"] == "path"
    assert pyplot.get_fignums() == []


def test_kept_channels_states_the_numbers_of_every_layer():
    shown = texts(panels())
    assert {"conv1", "conv2", NAME, "b"} <= set(shown)
    assert "6 of 12 channels (50.0%)" in shown
    assert "8 of 12 channels (66.7%)" in shown
    assert {"3/4", "3/8", "4/4", "4/8"} <= set(shown)


def test_bars_are_as_long_as_the_channels_are_many():
    drawing = figures.kept_channels({"a": mask(2, {"x": 4, "y": 8})})
    bars = [
        (style, _width(path))
        for path, style in re.findall(
            r'<path d="([^"]+)"[^>]*style="fill: ([^"]+)"', drawing
        )
    ]
    kept = [width for style, width in bars if svg.SERIES[0] in style]
    full = [width for style, width in bars if svg.THEME["muted"] in style]
    assert kept == pytest.approx([kept[0]] * 2, rel=1e-3)
    assert full == pytest.approx([2 * kept[0], 4 * kept[0]], rel=1e-3)


def _width(path: str) -> float:
    xs = [float(x) for x in re.findall(r"[ML] (-?[\d.]+)", path)]
    return max(xs) - min(xs)


def test_many_sub_tasks_become_a_heat_map_with_percentages():
    shown = texts(kept_map())
    assert "Kept channels (%)" in shown
    assert "all layers" in shown
    # One of 4, one of 8, two of 12 channels.
    row = shown.index("25")
    assert shown[row : row + 3] == ["25", "12", "17"]


def test_a_deep_network_has_colours_and_a_scale_instead_of_numbers():
    sites = {f"layer{n}": 4 for n in range(30)}
    shown = texts(
        figures.kept_channels({f"t{n}": mask(n % 4, sites) for n in range(9)})
    )
    assert "layer29" in shown
    assert "Kept channels (%)" in shown
    # The numbers of the scale alone.
    assert 2 <= sum(text.isdigit() for text in shown) <= 7


def test_kept_channels_of_an_empty_layer():
    assert "0/4" in texts(figures.kept_channels({"a": mask(0)}))


def test_a_long_name_is_broken_into_lines():
    name = ", ".join(["airplane"] * 9)
    shown = texts(figures.kept_channels({name: mask(1), "b": mask(1)}))
    assert name not in shown
    assert sum(text.count("airplane") for text in shown) == 9


def test_similarity_writes_numbers_of_few_classes_only():
    assert texts(similarity()).count("0.31") == 2
    names = [f"class{n}" for n in range(13)]
    values = np.full((13, 13), 0.5) + np.eye(13) / 2
    values[0, 1] = values[1, 0] = 0.125
    shown = texts(figures.class_similarity(values, names))
    assert set(names) <= set(shown)
    assert "0.12" not in shown and "0.13" not in shown


def test_similar_classes_stand_side_by_side_below_their_tree():
    values = np.eye(4) + 0.1 * (1 - np.eye(4))
    for pair, value in (((0, 3), 0.8), ((1, 2), 0.5)):
        values[pair] = values[pair[::-1]] = value
    drawing = figures.class_similarity(values, ["a", "b", "c", "d"])
    shown = texts(drawing)
    # Columns first, then rows, then the cells row by row.
    assert shown[:8] == ["a", "d", "b", "c"] * 2
    cells = [text for text in shown if text in ("1.00", "0.80", "0.50", "0.10")]
    assert cells[:16:4] == ["1.00", "0.80", "0.10", "0.10"]
    assert "1 − IoU" in shown
    assert drawing == figures.class_similarity(values, list("abcd"))


def test_the_tree_stays_above_the_map():
    values = np.full((3, 3), 0.2)
    values[0, 1] = values[1, 0] = 0.6
    with svg.style():
        figure = svg.new_figure()
        similarity_map.draw(figure, values, ["a", "b", "c"])
        _, tree = figure.axes
        low, high = tree.get_ylim()
        lines = [line.get_ydata() for line in tree.lines]
    assert 0 < low < 0.4 and 0.8 < high
    assert [max(line) for line in lines] == pytest.approx([0.4, 0.8])
    assert [min(line) for line in lines] == [low, low]


def test_classes_alike_in_everything_have_a_tree_without_height():
    shown = texts(figures.class_similarity(np.ones((3, 3)), ["a", "b", "c"]))
    assert not any(text.startswith(("-", "−")) for text in shown)


@pytest.mark.parametrize("count", [2, 13])
def test_similarity_of_equal_values(count):
    values = np.full((count, count), 0.25)
    names = [f"c{n}" for n in range(count)]
    assert "c1" in texts(figures.class_similarity(values, names))


def test_similarity_of_many_classes_names_every_nth():
    names = [f"c{n}" for n in range(100)]
    shown = texts(figures.class_similarity(np.eye(100), names))
    assert "c99" in shown
    assert "c1" not in shown


def test_names_in_any_script_are_drawn_without_a_warning():
    drawing = figures.class_similarity(np.eye(2), ["猫", "$犬$"])
    assert {"猫", "$犬$"} <= set(texts(drawing))


def test_curve_names_lines_axes_and_the_full_network():
    shown = texts(curve())
    assert {
        NAME,
        "Kept parameters (%)",
        "Accuracy (%)",
        "Full network, 94.2%",
    } <= set(shown)


def test_a_wide_range_of_shares_gets_a_logarithmic_axis():
    line = [CurveSeries("a", [0.02, 1.0], [0.5, 0.9])]
    log = figures.accuracy_curve(line, "Kept")
    assert log == figures.accuracy_curve(line, "Kept", log_x=True)
    assert log != figures.accuracy_curve(line, "Kept", log_x=False)
    assert {"2", "5", "10", "20", "50", "100"} <= set(texts(log))


def test_a_curve_is_drawn_in_the_order_of_its_shares():
    ordered = CurveSeries("a", [0.1, 0.5, 1.0], [0.5, 0.8, 0.9])
    shuffled = CurveSeries("a", [1.0, 0.1, 0.5], [0.9, 0.5, 0.8])
    assert figures.accuracy_curve([ordered], "x") == figures.accuracy_curve(
        [shuffled], "x"
    )


def test_lines_of_a_group_share_the_colour_and_differ_in_the_marker():
    lines = [
        CurveSeries(f"{group}, {name}", [0.1, 1.0], [0.5, 0.9], group=group)
        for group in ("a", "b")
        for name in ("hard", "repaired")
    ]
    drawn = figures.accuracy_curve(lines, "x")
    colours = [drawn.count(colour) for colour in svg.SERIES]
    assert colours[0] == colours[1] > 0 and not any(colours[2:])
    alone = [dataclasses.replace(line, group="") for line in lines]
    drawn = figures.accuracy_curve(alone, "x")
    assert all(drawn.count(colour) for colour in svg.SERIES[:4])


def test_histogram_states_the_fallback_rate():
    shown = texts(histogram())
    assert "Fallback for 2.0% of 1,000 images" in shown
    assert {"0", "3", "Images"} <= set(shown)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (
            lambda: figures.kept_channels({}),
            "kept_channels: got no masks, expected at least one.",
        ),
        (
            lambda: figures.kept_channels(
                {"a": mask(1), "b": mask(1, {"conv1": 4})}
            ),
            "kept_channels: the mask of 'b' has the sites {'conv1': 4}, that "
            "of 'a' has {'conv1': 4, 'conv2': 8}; draw masks of one network.",
        ),
        (
            lambda: figures.class_similarity(np.eye(3), ["a", "b"]),
            "class_similarity: got an array of shape (3, 3) and 2 class names, "
            "expected (K, K) and K >= 2 names.",
        ),
        (
            lambda: figures.class_similarity([[1]], ["a"]),
            "class_similarity: got an array of shape (1, 1) and 1 class names, "
            "expected (K, K) and K >= 2 names.",
        ),
        (
            lambda: figures.class_similarity([[1, 2], [2, 1]], ["a", "b"]),
            "class_similarity: similarity: got 2, expected fractions in "
            "[0, 1].",
        ),
        (
            lambda: figures.accuracy_curve([], "x"),
            "accuracy_curve: got no series, expected at least one.",
        ),
        (
            lambda: figures.accuracy_curve([CurveSeries("a", [], [])], "x"),
            "accuracy_curve: series 'a': got 0 shares and 0 accuracies, "
            "expected as many of both and one at least.",
        ),
        (
            lambda: figures.accuracy_curve([CurveSeries("a", [1], [])], "x"),
            "accuracy_curve: series 'a': got 1 shares and 0 accuracies, "
            "expected as many of both and one at least.",
        ),
        (
            lambda: figures.accuracy_curve([CurveSeries("a", [0], [1])], "x"),
            "accuracy_curve: series 'a': fraction_kept: got 0, expected shares "
            "above 0.",
        ),
        (
            lambda: figures.accuracy_curve([CurveSeries("a", [1], [97])], "x"),
            "accuracy_curve: series 'a': accuracy: got 97, expected fractions "
            "in [0, 1].",
        ),
        (
            lambda: figures.accuracy_curve(
                [CurveSeries("a", [1], [1])], "x", float("nan")
            ),
            "accuracy_curve: reference: got nan, expected fractions in [0, 1].",
        ),
        (
            lambda: figures.iterate_histogram([0, 0], 0.0),
            "iterate_histogram: expected one count of images for each of the "
            "updates 0 to T, not all zero, got array([0, 0]).",
        ),
        (
            lambda: figures.iterate_histogram([1, 2], 2.0),
            "iterate_histogram: fallback_rate: got 2, expected fractions in "
            "[0, 1].",
        ),
    ],
)
def test_bad_input_is_refused_in_one_sentence(draw, message):
    with pytest.raises(ValueError) as caught:
        draw()
    assert str(caught.value) == message


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'drnet_tf\[report\]'"):
        histogram()


def test_no_neutral_colour_is_a_colour_of_data():
    import matplotlib
    from matplotlib.colors import to_hex

    shades = {
        to_hex(color) for color in matplotlib.colormaps[svg.COLORMAP].colors
    }
    assert not set(svg.THEME.values()) & (shades | set(svg.SERIES))
