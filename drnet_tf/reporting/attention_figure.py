"""Images beside what two networks look at in them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from drnet_tf.reporting import svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEADS = ("Image", "Full network", "Sub-network")
_SIDE, _GAP, _APART = 72, 4, 22
_SHOWN = _SIDE * len(HEADS) + _GAP * (len(HEADS) - 1)
_ROW = _SIDE + 30
_TITLE, _LABELS = 30, 102
_MOST_PIXELS = 144  # of an image in the file, along a side
_STRENGTH = 0.72  # how much of the image the strongest colour covers
_COLORS = "inferno"
_LONGEST = 12  # letters of a class name


@dataclasses.dataclass(frozen=True, eq=False)
class ShownImage:
    """An image and the maps of two networks.

    Attributes:
      pixels: `(height, width, 1 or 3)` uint8.
      maps: two of `(rows, columns)`, 0 or more: full and sub-network.
      probabilities: that both give to the image's own class, in [0, 1].
    """

    pixels: np.ndarray
    maps: tuple[np.ndarray, np.ndarray]
    probabilities: tuple[float, float]


@dataclasses.dataclass(frozen=True)
class ShownClass:
    """Images of one class of a sub-task.

    Attributes:
      subtask: its name, a title; the same for classes that follow each other.
      name: of the class.
      images: as many for each class.
    """

    subtask: str
    name: str
    images: tuple[ShownImage, ...]


def attention_sheet(classes: Sequence[ShownClass]) -> str:
    """Draws a row for each class: image, full network, sub-network.

    The brighter a place, the more of the map lies there, next to the strongest
    place of the same map; below stands the probability p of the class.

    Args:
      classes: at least one, each with an image at least.

    Returns:
      The SVG document; the images are in it. The same bytes for the same input.

    Raises:
      ValueError: no class, or one without images.
      ImportError: matplotlib is not installed.
    """
    if not classes or not all(own.images for own in classes):
        raise ValueError(
            f"attention_sheet: got {len(classes)} classes, expected one or "
            "more, each with images."
        )
    count = max(len(own.images) for own in classes)
    width = _LABELS + count * (_SHOWN + _APART)
    with svg.style():
        figure = svg.new_figure()
        height = _heights(classes)
        page = svg.add_panel(figure, 0, 0, width, height)
        page.set_xlim(0, width)
        page.set_ylim(height, 0)
        page.axis("off")
        top, subtask = 0.0, None
        for own in classes:
            if own.subtask != subtask:
                _write_title(page, own.subtask, top, count, width)
                top, subtask = top + 2 * _TITLE, own.subtask
            svg.write(page, 0, top + _SIDE / 2, _short(own.name))
            for number, shown in enumerate(own.images):
                left = _LABELS + number * (_SHOWN + _APART)
                _draw_image(figure, page, shown, left, top)
            top += _ROW
        return svg.to_svg(figure)


def describe_sheet(classes: Sequence[ShownClass]) -> str:
    """What `attention_sheet` shows, for those who do not see it."""
    return "; ".join(
        f"{own.subtask}, {len(own.images)} images of {own.name}, to which the "
        "full network gives a mean probability of "
        f"{np.mean([x.probabilities[0] for x in own.images]):.2f} and the "
        f"sub-network {np.mean([x.probabilities[1] for x in own.images]):.2f}"
        for own in classes
    )


def overlaid(pixels: np.ndarray, attention: np.ndarray) -> np.ndarray:
    """An image in grey with a map over it.

    Args:
      pixels: `(height, width, 1 or 3)` uint8.
      attention: `(rows, columns)`, 0 or more; it is stretched over the image.

    Returns:
      `(height, width, 3)` uint8. A map of zeros leaves the grey image.
    """
    import matplotlib
    from keras import ops

    strongest = attention.max()
    shares = attention / strongest if strongest > 0 else attention
    resized = ops.image.resize(
        shares[..., None].astype("float32"),
        pixels.shape[:2],
        interpolation="bilinear",
        data_format="channels_last",
    )
    found = ops.convert_to_numpy(resized).clip(0, 1)
    grey = pixels.mean(axis=-1, keepdims=True).repeat(3, -1)
    colors = 255 * matplotlib.colormaps[_COLORS](found[..., 0])[..., :3]
    cover = _STRENGTH * found
    return (grey * (1 - cover) + colors * cover).round().astype(np.uint8)


def _heights(classes: Sequence[ShownClass]) -> float:
    changes = 1 + sum(
        a.subtask != b.subtask
        for a, b in zip(classes, classes[1:], strict=False)
    )
    return len(classes) * _ROW + changes * 2 * _TITLE


def _write_title(
    page: Axes, text: str, top: float, count: int, width: float
) -> None:
    """The name of a sub-task, a line, and the heads of its columns."""
    page.plot(
        [0, width - _APART], [top, top], color=svg.THEME["line"], linewidth=0.8
    )
    svg.write(page, 0, top + 20, text, bold=True)
    for number in range(count):
        for column, head in enumerate(HEADS):
            middle = _LABELS + number * (_SHOWN + _APART) + _SIDE / 2
            svg.write(
                page,
                middle + column * (_SIDE + _GAP),
                top + 2 * _TITLE - 10,
                head,
                align="center",
                muted=True,
                size=10,
            )


def _draw_image(
    figure: Figure, page: Axes, shown: ShownImage, left: float, top: float
) -> None:
    step = -(-max(shown.pixels.shape[:2]) // _MOST_PIXELS)
    pixels = shown.pixels[::step, ::step]
    # Readers that smooth pixels then blur their edges only.
    sharp = max(1, 2 * _SIDE // max(pixels.shape[:2]))
    pixels = pixels.repeat(sharp, 0).repeat(sharp, 1)
    if pixels.shape[-1] == 1:
        pixels = pixels.repeat(3, -1)
    pictures = [pixels, *(overlaid(pixels, own) for own in shown.maps)]
    for column, picture in enumerate(pictures):
        at = left + column * (_SIDE + _GAP)
        panel = svg.add_panel(figure, at, top, _SIDE, _SIDE)
        panel.imshow(picture, interpolation="none")
        panel.axis("off")
        if column:
            value = shown.probabilities[column - 1]
            svg.write(
                page,
                at + _SIDE / 2,
                top + _SIDE + 11,
                f"p = {value:.2f}",
                align="center",
                muted=True,
                size=10,
            )


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
