"""A contact sheet of filters: their strongest image patches, their classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from drnet_tf.filter_interpretation import ClassReductions, Patch
from drnet_tf.reporting import svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PATCH, _GAP = 56, 6
_ROW = 92
_NUMBER = 62  # width of the filter's number
_COLUMN = 220  # width of a column of classes
_POINTS, _NATS = 140, 190  # right ends of its numbers
_LINE = 16
_HEAD = 6  # between the heads and the first line
_LONGEST = 11  # letters of a class name below a patch
_MOST_PIXELS = 112  # of a patch in the file, along a side


@dataclasses.dataclass(frozen=True)
class FilterReading:
    """What is known of one filter.

    Attributes:
      channel: its number.
      patches: of `strongest_patches`, strongest first; there may be none.
      most, least: the classes that need it most and least, each with the
        accuracy that it loses, in [-1, 1], and the nats by which its
        cross-entropy rises.
    """

    channel: int
    patches: tuple[Patch, ...]
    most: tuple[tuple[str, float, float], ...]
    least: tuple[tuple[str, float, float], ...]


def read_filter(
    channel: int,
    patches: tuple[Patch, ...],
    reductions: ClassReductions,
    count: int,
) -> FilterReading:
    """Puts together what is known of a filter.

    Args:
      channel: its number.
      patches: of `strongest_patches`.
      reductions: of the same site.
      count: classes of both ends, at most half of all.
    """
    ranked = [
        (
            reductions.class_names[row],
            float(reductions.accuracy[row, channel]),
            float(reductions.cross_entropy[row, channel]),
        )
        for row in reductions.ranked(channel)
    ]
    count = max(1, min(count, len(ranked) // 2))
    least = tuple(reversed(ranked[-count:]))
    return FilterReading(channel, patches, tuple(ranked[:count]), least)


def filter_sheet(
    readings: Sequence[FilterReading],
    pixels: np.ndarray,
    names: Sequence[str],
    title: str,
) -> str:
    """Draws a row for each filter: patches, then classes.

    Args:
      readings: of `read_filter`, at least one.
      pixels: `(N, height, width, 1 or 3)` uint8, the images of the patches.
      names: N, the class of each image.
      title: what the filters are of.

    Returns:
      The SVG document; the patches are in it. The same bytes for the same
      readings.

    Raises:
      ValueError: no filter, or images of another kind.
      ImportError: matplotlib is not installed.
    """
    if not readings or pixels.dtype != np.uint8 or pixels.ndim != 4:
        raise ValueError(
            f"filter_sheet: got {len(readings)} filters and images of shape "
            f"{pixels.shape} and dtype {pixels.dtype}, expected one filter or "
            "more and uint8 images (N, height, width, channels)."
        )
    most = max(1, *(len(reading.patches) for reading in readings), 1)
    classes = _NUMBER + most * (_PATCH + _GAP) + 14
    width = classes + 2 * _COLUMN
    lines = max(len(x.most) for x in readings)
    row = max(_ROW, _LINE * lines + 14)
    with svg.style():
        figure = svg.new_figure()
        page = svg.add_panel(figure, 0, 0, width, row * len(readings) + _HEAD)
        page.set_xlim(0, width)
        page.set_ylim(row * len(readings) + _HEAD, 0)
        page.axis("off")
        _write_heads(page, title, classes)
        for number, reading in enumerate(readings):
            top = row * number + _HEAD
            page.plot(
                [0, width], [top, top], color=svg.THEME["line"], linewidth=0.8
            )
            svg.write(
                page, 0, top + 38, str(reading.channel), bold=True, size=13
            )
            _draw_patches(figure, page, reading, pixels, names, top)
            _write_classes(page, classes, top, reading.most)
            _write_classes(page, classes + _COLUMN, top, reading.least)
        return svg.to_svg(figure)


def describe_filters(readings: Sequence[FilterReading]) -> str:
    """What `filter_sheet` shows, for those who do not see it.

    Example:
      >>> one = FilterReading(3, (), (("cat", 0.25, 1.5),), (("dog", 0, 0),))
      >>> describe_filters([one])
      'Filter 3: most important for cat, least for dog.'
    """
    return " ".join(
        f"Filter {x.channel}: most important for "
        f"{', '.join(name for name, *_ in x.most)}, least for "
        f"{', '.join(name for name, *_ in x.least)}."
        for x in readings
    )


def _write_heads(page: Axes, title: str, classes: float) -> None:
    svg.write(page, 0, -40, title, bold=True)
    heads = (
        (0, "Filter"),
        (_NUMBER, "Strongest patches"),
        (classes, "Most important for"),
        (classes + _COLUMN, "Least important for"),
    )
    for left, text in heads:
        svg.write(page, left, -16, text, size=11, muted=True)
    for left in (classes, classes + _COLUMN):
        for right, unit in ((_POINTS, "points"), (_NATS, "nats")):
            svg.write(
                page, left + right, -3, unit, size=9, align="right", muted=True
            )


def _draw_patches(
    figure: Figure,
    page: Axes,
    reading: FilterReading,
    pixels: np.ndarray,
    names: Sequence[str],
    top: float,
) -> None:
    if not reading.patches:
        text = "excited by none of the images"
        svg.write(page, _NUMBER, top + 38, text, muted=True)
    for number, patch in enumerate(reading.patches):
        left = _NUMBER + number * (_PATCH + _GAP)
        panel = svg.add_panel(figure, left, top + 10, _PATCH, _PATCH)
        panel.imshow(
            _cut(pixels[patch.image], patch),
            interpolation="none",
            cmap="gray",
            vmin=0,
            vmax=255,
        )
        panel.axis("off")
        name = names[patch.image]
        if len(name) > _LONGEST:
            name = name[: _LONGEST - 1] + "…"
        svg.write(
            page,
            left + _PATCH / 2,
            top + _PATCH + 19,
            name,
            size=8.5,
            align="center",
            muted=True,
        )


def _cut(image: np.ndarray, patch: Patch) -> np.ndarray:
    """The patch's pixels, every n-th where there are many."""
    box = patch.box
    cut = image[box.top : box.bottom, box.left : box.right]
    step = -(-max(cut.shape[:2]) // _MOST_PIXELS)
    cut = cut[::step, ::step]
    # Readers that smooth pixels then blur their edges only.
    sharp = max(1, _PATCH // max(cut.shape[:2]))
    cut = cut.repeat(sharp, 0).repeat(sharp, 1)
    return cut[..., 0] if cut.shape[-1] == 1 else cut


def _write_classes(
    page: Axes,
    left: float,
    top: float,
    classes: Sequence[tuple[str, float, float]],
) -> None:
    for number, (name, points, nats) in enumerate(classes):
        middle = top + 20 + _LINE * number
        svg.write(page, left, middle, name, size=11)
        for right, value, digits in (
            (_POINTS, 100 * points, 1),
            (_NATS, nats, 2),
        ):
            text = f"{value:.{digits}f}"
            # A loss of nothing is no loss of less than nothing.
            text = text.removeprefix("-") if float(text) == 0 else text
            svg.write(page, left + right, middle, text, size=11, align="right")
