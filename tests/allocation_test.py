from __future__ import annotations

import itertools

import numpy as np
import pytest

from drnet_tf.allocation import width_path, widths_within


def _losses(seed=0, widths=(8, 6, 5)):
    generator = np.random.default_rng(seed)
    return {
        f"site{i}": np.concatenate(
            [[1.0], np.sort(generator.random(width - 1))[::-1], [0.0]]
        )
        for i, width in enumerate(widths)
    }


def _parameters(widths):
    """Of three convolutions in a row."""
    a, b, c = widths.values()
    return 3 * a + a * b + b * c + c


def test_costs_fall_and_widths_shrink_one_site_at_a_time():
    path = list(width_path(_losses(), _parameters))
    assert path[0] == (
        {"site0": 8, "site1": 6, "site2": 5},
        8 * 3 + 48 + 30 + 5,
    )
    assert path[-1][0] == {"site0": 1, "site1": 1, "site2": 1}
    for (before, cost), (after, less) in itertools.pairwise(path):
        assert less < cost and less == _parameters(after)
        assert sum(before[x] != after[x] for x in before) == 1


def test_a_site_that_loses_nothing_goes_first():
    losses = {
        "told": np.linspace(1, 0, 9),
        "redundant": np.array([1.0, 0, 0, 0, 0, 0, 0, 0, 0]),
    }
    widths = widths_within(losses, lambda x: sum(x.values()), 9)
    assert widths == {"told": 8, "redundant": 1}


def test_no_site_may_lose_nearly_all_while_others_have_much():
    """Of two equal sites none is emptied, as left shares are multiplied."""
    losses = {"a": np.linspace(1, 0, 17), "b": np.linspace(1, 0, 17)}
    widths = widths_within(losses, lambda x: sum(x.values()), 16)
    assert widths == {"a": 8, "b": 8}


def test_what_costs_more_goes_before_what_costs_less():
    losses = {"a": np.linspace(1, 0, 9), "b": np.linspace(1, 0, 9)}
    widths = widths_within(losses, lambda x: 10 * x["a"] + x["b"], 50)
    assert widths["a"] < widths["b"]


@pytest.mark.parametrize("round_to", [2, 4])
def test_widths_are_multiples(round_to):
    losses = _losses(1, (32, 20, 7))
    for widths, _ in width_path(losses, _parameters, round_to=round_to):
        for width, full in zip(widths.values(), (32, 20, 7), strict=True):
            assert width % round_to == 0 or width == full


def test_a_limit_that_cannot_be_met_is_refused():
    with pytest.raises(ValueError, match="the limit is 3, the smallest"):
        widths_within(_losses(), _parameters, 3)


@pytest.mark.parametrize("seed", range(5))
def test_the_cheapest_step_is_taken_each_time(seed):
    """The same by asking for all prices at every step."""
    losses = _losses(seed, (9, 12, 7))
    told = {k: -np.log(np.maximum(1 - x, 1e-6)) for k, x in losses.items()}
    path = [widths for widths, _ in width_path(losses, _parameters)]
    for before, after in itertools.pairwise(path):
        prices = {}
        for site, width in before.items():
            if width > 1:
                narrower = {**before, site: width - 1}
                saved = _parameters(before) - _parameters(narrower)
                lost = told[site][width - 1] - told[site][width]
                prices[site] = lost / saved
        (taken,) = (x for x in before if before[x] != after[x])
        assert prices[taken] == pytest.approx(min(prices.values()))
