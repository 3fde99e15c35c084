"""Decision routes: the channels of every layer that an image or class needs.

A route holds, layer by layer, the channels whose importance is above a
threshold: those that a mask at this threshold would keep for the class alone.
Two routes laid over each other tell where two classes part.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from drnet_tf.importance import Cdrps, ChannelImportance

THRESHOLD = 0.1
"""Of CDRP's gates, which start at 1: what fell to a tenth does not matter."""


@dataclasses.dataclass(frozen=True, eq=False)
class Route:
    """The channels that matter to an image or to a class.

    Attributes:
      name: of the image or class.
      importance: `(C_l,)` float32 of every site, in the network's order.
      threshold: channels above it belong to the route.

    Raises:
      ValueError: no site, values that are no finite vector, a threshold that
        is below 0 or not finite, or an empty name.

    Example:
      >>> route = Route("cat", {"relu": np.array([0.9, 0.0, 0.3])}, 0.5)
      >>> route.channels["relu"].tolist(), route.used, route.total
      ([True, False, False], 1, 3)
    """

    name: str
    importance: Mapping[str, np.ndarray]
    threshold: float = THRESHOLD

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("Route: name is empty, expected a class or image.")
        if not (np.isfinite(self.threshold) and self.threshold >= 0):
            raise ValueError(
                f"Route '{self.name}': threshold: got {self.threshold!r}, "
                "expected a finite number of 0 or more."
            )
        if not self.importance:
            raise ValueError(
                f"Route '{self.name}': got no site, expected the importance of "
                "the channels of at least one."
            )
        found = {}
        for site, values in self.importance.items():
            vector = np.array(values, np.float32)
            if vector.ndim != 1 or not vector.size:
                raise ValueError(
                    f"Route '{self.name}', site '{site}': got an array of "
                    f"shape {vector.shape}, expected (channels,)."
                )
            if not np.isfinite(vector).all():
                raise ValueError(
                    f"Route '{self.name}', site '{site}': got NaN or infinite "
                    "values, expected finite numbers."
                )
            vector.setflags(write=False)
            found[site] = vector
        object.__setattr__(self, "importance", found)

    @property
    def channels(self) -> dict[str, np.ndarray]:
        """`(C_l,)` bool of every site: which channels belong to the route."""
        return {
            site: values > self.threshold
            for site, values in self.importance.items()
        }

    @property
    def used(self) -> int:
        """Channels of the route, of all sites."""
        return sum(int(x.sum()) for x in self.channels.values())

    @property
    def total(self) -> int:
        """Channels of the network."""
        return sum(len(x) for x in self.importance.values())


@dataclasses.dataclass(frozen=True)
class Meeting:
    """How two routes meet at one site, in numbers of channels.

    Attributes:
      site: its name.
      channels: all of them.
      first, both, second: only the first route's, common ones, only the
        second's.
    """

    site: str
    channels: int
    first: int
    both: int
    second: int

    @property
    def overlap(self) -> float:
        """Common channels as a share of those of either, in [0, 1] (Eq. 5).

        0 where neither route has a channel.
        """
        return _share(self.both, self.first + self.both + self.second)

    @property
    def chance(self) -> float:
        """The overlap of two routes as wide whose channels were drawn by lot.

        Of C channels, a and b of them drawn, a b / C are expected in common.
        """
        a, b = self.first + self.both, self.second + self.both
        both = a * b / self.channels
        return _share(both, a + b - both)


def class_route(
    importance: ChannelImportance, name: str, threshold: float = THRESHOLD
) -> Route:
    """The route of a class.

    Args:
      importance: the CIVs.
      name: of the class.
      threshold: see `Route`.

    Raises:
      ValueError: the class is unknown; see `Route`.
    """
    (row,) = importance.class_rows((name,))
    values = {site: x[row] for site, x in importance.scores.items()}
    return Route(name, values, threshold)


def image_routes(
    cdrps: Cdrps, names: Sequence[str], threshold: float = THRESHOLD
) -> tuple[Route, ...]:
    """The routes of images; those of one name share the mean of their gates.

    Args:
      cdrps: of `learn_cdrps`, N images.
      names: N, of an image of its own or of its class.
      threshold: see `Route`.

    Returns:
      One route for each name, in their order.

    Raises:
      ValueError: not one name for each image; see `Route`.
    """
    if len(names) != len(cdrps):
        raise ValueError(
            f"image_routes: got {len(names)} names for {len(cdrps)} images, "
            "expected one each."
        )
    rows = {
        name: [i for i, own in enumerate(names) if own == name]
        for name in names
    }
    return tuple(
        Route(
            name,
            {site: x[own].mean(0) for site, x in cdrps.gates.items()},
            threshold,
        )
        for name, own in rows.items()
    )


def meetings(first: Route, second: Route) -> tuple[Meeting, ...]:
    """Lays two routes over each other.

    Args:
      first, second: of one network, at one threshold.

    Returns:
      One entry for each site, in the network's order.

    Raises:
      ValueError: routes of different networks or thresholds.

    Example:
      >>> cat = Route("cat", {"relu": np.array([0.9, 0.8, 0.0, 0.0])}, 0.5)
      >>> dog = Route("dog", {"relu": np.array([0.0, 0.7, 0.6, 0.0])}, 0.5)
      >>> (met,) = meetings(cat, dog)
      >>> met.first, met.both, met.second, round(met.overlap, 2)
      (1, 1, 1, 0.33)
    """
    widths = [
        {site: len(x) for site, x in route.importance.items()}
        for route in (first, second)
    ]
    if widths[0] != widths[1] or list(widths[0]) != list(widths[1]):
        raise ValueError(
            f"Routes '{first.name}' and '{second.name}': their sites and "
            "widths differ, expected two routes of one network."
        )
    if first.threshold != second.threshold:
        raise ValueError(
            f"Routes '{first.name}' and '{second.name}': got the thresholds "
            f"{first.threshold:g} and {second.threshold:g}, expected one."
        )
    found = []
    others = second.channels
    for site, own in first.channels.items():
        both = int((own & others[site]).sum())
        counts = int(own.sum()), int(others[site].sum())
        found.append(
            Meeting(site, len(own), counts[0] - both, both, counts[1] - both)
        )
    return tuple(found)


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
