"""Pictures of masks, class similarities, accuracies and dissections, as SVG.

Every function takes plain data and returns the text of one SVG document, the
same bytes for the same data. They need matplotlib (`pip install
'drnet_tf[report]'`), which is imported when the first figure is drawn.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from drnet_tf.reporting import axes, layers, similarity_map, svg

if TYPE_CHECKING:
    from drnet_tf.masks import ChannelMask

_WIDE_RANGE = 20.0


@dataclasses.dataclass(frozen=True)
class CurveSeries:
    """One line of `accuracy_curve`.

    Attributes:
      name: what the legend says.
      fraction_kept: kept channels (or parameters) as fractions of the full
        network's, in (0, 1], in any order.
      accuracy: the accuracy at each, in [0, 1].
      group: lines of one have one colour, and in each the first has the same
        marker, the second the same, and so on; by default all differ.
    """

    name: str
    fraction_kept: Sequence[float]
    accuracy: Sequence[float]
    group: str = ""


def kept_channels(masks: Mapping[str, ChannelMask]) -> str:
    """Draws how many channels of every layer each sub-task keeps.

    Up to six sub-tasks get a panel each: per layer a bar for the kept channels
    inside the outline of all channels (DRNet, figure 7). More become a heat map
    of the kept share, sub-tasks by layers.

    Args:
      masks: mask of each sub-task by its name, all of one network.

    Returns:
      The SVG document.

    Raises:
      ValueError: no masks, or masks of different networks.
      ImportError: matplotlib is not installed.

    Example:
      >>> from drnet_tf.masks import ChannelMask
      >>> mask = ChannelMask({"conv1": np.array([True, False])})
      >>> "cat, dog" in kept_channels({"cat, dog": mask})
      True
    """
    widths = _widths(masks)
    kept = np.array(
        [
            [np.count_nonzero(mask.keep[site]) for site in widths]
            for mask in masks.values()
        ]
    )
    full = np.array(list(widths.values()))
    with svg.style():
        figure = svg.new_figure()
        layers.draw(figure, list(masks), list(widths), kept, full)
        return svg.to_svg(figure)


def class_similarity(similarity: ArrayLike, class_names: Sequence[str]) -> str:
    """Draws how similar the channels of every two classes are (figure 8).

    Classes stand in the order of a clustering of 1 - similarity, by average
    linkage, whose tree is drawn above. The diagonal, a class with itself, has
    no colour, so that the colours spread over the values that differ. Up to 12
    classes have their numbers written in.

    Args:
      similarity: `(K, K)` intersection over union, in [0, 1], as from
        `ChannelImportance.similarity`.
      class_names: K names.

    Returns:
      The SVG document.

    Raises:
      ValueError: fewer than two classes, another shape, or values outside
        [0, 1], or not symmetric.
      ImportError: matplotlib is not installed.

    Example:
      >>> drawn = class_similarity([[1, 0.4], [0.4, 1]], ["cat", "dog"])
      >>> ">0.40<" in drawn
      True
    """
    values = np.asarray(similarity, dtype=np.float64)
    count = len(class_names)
    if count < 2 or values.shape != (count, count):
        raise ValueError(
            f"class_similarity: got an array of shape {values.shape} and "
            f"{count} class names, expected (K, K) and K >= 2 names."
        )
    _check_fractions("class_similarity: similarity", values)
    with svg.style():
        figure = svg.new_figure()
        similarity_map.draw(figure, values, class_names)
        return svg.to_svg(figure)


def accuracy_curve(
    series: Sequence[CurveSeries],
    x_label: str,
    reference: float | None = None,
    *,
    log_x: bool | None = None,
) -> str:
    """Draws accuracy against the share of channels or parameters kept.

    Args:
      series: the lines, at least one.
      x_label: what is kept, e.g. "Kept parameters".
      reference: accuracy of the full network in [0, 1], a dashed line.
      log_x: logarithmic axis of the share; by default where the largest share
        is at least 20 times the smallest.

    Returns:
      The SVG document.

    Raises:
      ValueError: no series, one without points or of two lengths, or values
        that are no fractions.
      ImportError: matplotlib is not installed.

    Example:
      >>> line = CurveSeries("cat, dog", [0.1, 0.5, 1.0], [0.8, 0.93, 0.94])
      >>> "Kept channels" in accuracy_curve([line], "Kept channels", 0.94)
      True
    """
    _check_series(series, reference)
    shares = np.concatenate([line.fraction_kept for line in series])
    if log_x is None:
        log_x = bool(shares.max() >= _WIDE_RANGE * shares.min())
    with svg.style():
        figure = svg.new_figure()
        panel = svg.add_panel(figure, 0, 0, 400, 260)
        for line, (colour, marker) in zip(series, _looks(series), strict=True):
            order = np.argsort(line.fraction_kept, kind="stable")
            panel.plot(
                100 * np.asarray(line.fraction_kept)[order],
                100 * np.asarray(line.accuracy)[order],
                color=svg.SERIES[colour % len(svg.SERIES)],
                marker=svg.MARKERS[marker % len(svg.MARKERS)],
                label=line.name,
                linewidth=1.8,
                markersize=5,
            )
        if reference is not None:
            panel.axhline(
                100 * reference,
                color=svg.THEME["muted"],
                label=f"Full network, {reference:.1%}",
                linestyle=(0, (5, 3)),
                linewidth=1.2,
                zorder=1,
            )
        panel.set_xlabel(f"{x_label} (%)")
        panel.set_ylabel("Accuracy (%)")
        axes.show_percent(panel, shares, log_x)
        panel.legend(
            loc="upper left",
            bbox_to_anchor=(0, -0.19),
            borderaxespad=0,
            borderpad=0,
            ncols=2,
        )
        return svg.to_svg(figure)


def iterate_histogram(counts: ArrayLike, fallback_rate: float) -> str:
    """Draws after how many updates images last kept their class.

    Args:
      counts: `(T + 1,)` images whose last state with an unchanged class is the
        one after 0, 1, ..., T updates of the gates.
      fallback_rate: fraction of the images whose gates fell back, in [0, 1].

    Returns:
      The SVG document.

    Raises:
      ValueError: not one count at least, all zero, negative ones, or a rate
        outside [0, 1].
      ImportError: matplotlib is not installed.

    Example:
      >>> drawn = iterate_histogram([1, 0, 3], 0.25)
      >>> ">Fallback for 25.0% of 4 images<" in drawn
      True
    """
    images = np.asarray(counts, dtype=np.float64)
    if images.ndim != 1 or not images.sum() > 0 or (images < 0).any():
        raise ValueError(
            "iterate_histogram: expected one count of images for each of the "
            f"updates 0 to T, not all zero, got {np.asarray(counts)!r}."
        )
    _check_fractions("iterate_histogram: fallback_rate", fallback_rate)
    with svg.style():
        figure = svg.new_figure()
        panel = svg.add_panel(figure, 0, 0, 400, 200)
        panel.bar(np.arange(len(images)), images, 0.8, color=svg.SERIES[0])
        panel.set_xlim(-0.6, len(images) - 0.4)
        panel.set_title(
            f"Fallback for {fallback_rate:.1%} of {images.sum():,.0f} images"
        )
        panel.set_xlabel("Updates after which the class was last unchanged")
        panel.set_ylabel("Images")
        axes.show_counts(panel)
        return svg.to_svg(figure)


def _widths(masks: Mapping[str, ChannelMask]) -> dict[str, int]:
    """Channels of every site, the same for all masks."""
    if not masks:
        raise ValueError("kept_channels: got no masks, expected at least one.")
    found = {
        name: {site: len(keep) for site, keep in mask.keep.items()}
        for name, mask in masks.items()
    }
    first, expected = next(iter(found.items()))
    for name, widths in found.items():
        if widths != expected or not widths:
            raise ValueError(
                f"kept_channels: the mask of '{name}' has the sites {widths}, "
                f"that of '{first}' has {expected}; draw masks of one network."
            )
    return expected


def _check_fractions(where: str, values: ArrayLike) -> None:
    array = np.asarray(values, dtype=np.float64)
    outside = array[~((array >= 0) & (array <= 1))]
    if outside.size:
        raise ValueError(
            f"{where}: got {outside.flat[0]:g}, expected fractions in [0, 1]."
        )


def _looks(series: Sequence[CurveSeries]) -> list[tuple[int, int]]:
    """Numbers of the colour and the marker of each line."""
    groups = list(dict.fromkeys(line.group for line in series))
    if groups == [""]:
        return [(number, number) for number in range(len(series))]
    seen = dict.fromkeys(groups, -1)
    found = []
    for line in series:
        seen[line.group] += 1
        found.append((groups.index(line.group), seen[line.group]))
    return found


def _check_series(
    series: Sequence[CurveSeries], reference: float | None
) -> None:
    if not series:
        raise ValueError(
            "accuracy_curve: got no series, expected at least one."
        )
    for line in series:
        where = f"accuracy_curve: series '{line.name}'"
        sizes = len(line.fraction_kept), len(line.accuracy)
        if sizes[0] != sizes[1] or not sizes[0]:
            raise ValueError(
                f"{where}: got {sizes[0]} shares and {sizes[1]} accuracies, "
                "expected as many of both and one at least."
            )
        _check_fractions(f"{where}: fraction_kept", line.fraction_kept)
        _check_fractions(f"{where}: accuracy", line.accuracy)
        if min(line.fraction_kept) == 0:
            raise ValueError(
                f"{where}: fraction_kept: got 0, expected shares above 0."
            )
    if reference is not None:
        _check_fractions("accuracy_curve: reference", reference)
