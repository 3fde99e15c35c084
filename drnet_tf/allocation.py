"""How many channels each site gets: what they cost against what they tell.

Starting from the whole network, channels are taken, some at a time, from the
site where the loss rises least for what is saved, until the limit is met. The
loss of a network is

    - sum over sites of log(1 - r_l(k_l)),

r_l(k) being the share of its readers' outputs that site l loses with k channels
(`repair.redundancy`): what is left of the outputs is multiplied along the
network, so that no layer may lose nearly all.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping

import numpy as np

_NOTHING = 1e-6  # of the outputs that is left: log(0) has no value


def width_path(
    losses: Mapping[str, np.ndarray],
    cost: Callable[[Mapping[str, int]], float],
    *,
    steps: int = 32,
    round_to: int = 1,
) -> Iterator[tuple[dict[str, int], float]]:
    """All networks on the way from the full one to one channel a site.

    Args:
      losses: `(C_l + 1,)` by site: r_l(k) for k = 0 to C_l.
      cost: of a network with given widths, whatever is to be saved; a channel
        must cost no more where other sites are narrower.
      steps: parts in which a site's channels are taken.
      round_to: widths are multiples of it, or the site's own.

    Yields:
      Widths by site and their cost, falling; the full network first.

    Example:
      >>> losses = {"a": np.array([1.0, 0.5, 0.0]), "b": np.array([1.0, 0, 0])}
      >>> for widths, cost in width_path(losses, lambda x: x["a"] + x["b"]):
      ...     print(widths, cost)
      {'a': 2, 'b': 2} 4
      {'a': 2, 'b': 1} 3
      {'a': 1, 'b': 1} 2
    """
    told = {
        site: -np.log(np.maximum(1 - np.minimum(x, 1), _NOTHING))
        for site, x in losses.items()
    }
    widths = {site: len(x) - 1 for site, x in losses.items()}
    parts = {
        site: max(round_to, width // steps // round_to * round_to)
        for site, width in widths.items()
    }
    now = cost(widths)
    yield dict(widths), now

    def step(site: str) -> tuple[float, float] | None:
        """Price of the site's next step, and the cost after it."""
        less = _narrower(widths[site], parts[site], round_to)
        if less == widths[site]:
            return None
        after = cost({**widths, site: less})
        lost = told[site][less] - told[site][widths[site]]
        return lost / max(now - after, 1e-12), after

    # What a step saves shrinks while others narrow, so prices only rise: the
    # cheapest known one is asked for again before it is paid.
    prices = [(0.0, number, site) for number, site in enumerate(widths)]
    while prices:
        _, number, site = heapq.heappop(prices)
        found = step(site)
        if found is None:
            continue
        price, after = found
        if prices and price > prices[0][0]:
            heapq.heappush(prices, (price, number, site))
            continue
        widths[site] = _narrower(widths[site], parts[site], round_to)
        now = after
        yield dict(widths), now
        heapq.heappush(prices, (0.0, number, site))


def widths_within(
    losses: Mapping[str, np.ndarray],
    cost: Callable[[Mapping[str, int]], float],
    limit: float,
    *,
    steps: int = 32,
    round_to: int = 1,
) -> dict[str, int]:
    """The first network of `width_path` that costs no more than a limit.

    Raises:
      ValueError: even the last one costs more.
    """
    least = float("inf")
    for widths, spent in width_path(
        losses, cost, steps=steps, round_to=round_to
    ):
        if spent <= limit:
            return widths
        least = spent
    raise ValueError(
        f"budget: the limit is {limit:g}, the smallest network costs "
        f"{least:g}; pass a higher limit."
    )


def _narrower(width: int, part: int, round_to: int) -> int:
    """The next width below, a multiple of `round_to`; the same if none is."""
    if width <= round_to:
        return width
    return max(-(-(width - part) // round_to) * round_to, round_to)
