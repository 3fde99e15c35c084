from __future__ import annotations

import numpy as np
import pytest

from drnet_tf.paired_differences import (
    differences,
    differences_at_equal_macs,
    winners,
)


def _row(**accuracies):
    selections = {
        name: {"parameters": 0.5, "macs": 0.5, "accuracy": {"hard": value}}
        for name, value in accuracies.items()
    }
    return {
        "classes": ["a", "b"],
        "full_accuracy": 1.0,
        "points": [{"budget": 0.5, "selections": selections}],
    }


ROWS = [
    _row(cdrp=0.8, taylor=0.9, random=0.5),
    _row(cdrp=0.6, taylor=0.8, random=0.5),
    _row(cdrp=0.9, taylor=0.9, random=0.6),
]


def test_differences_are_of_pairs():
    found = {x["method"]: x for x in differences(ROWS, "cdrp")}
    assert list(found) == ["taylor", "cdrp", "random"]
    assert found["taylor"]["difference"] == pytest.approx(0.1)
    assert found["taylor"]["standard_error"] == pytest.approx(
        np.std([0.1, 0.2, 0.0], ddof=1) / 3**0.5
    )
    assert found["taylor"]["better"] == 2
    assert found["cdrp"]["difference"] == 0


def test_as_good_is_what_two_standard_errors_do_not_tell_apart():
    (found,) = winners(ROWS)
    assert found["best"] == "taylor"
    assert found["accuracy"] == pytest.approx(2.6 / 3)
    assert found["as_good"] == ["cdrp"]  # behind by 0.1 ± 0.058


def _of_two_budgets(large, small):
    """Rows whose networks are (macs, accuracy) by selection."""
    return {
        "classes": ["a", "b"],
        "full_accuracy": 1.0,
        "points": [
            {
                "budget": budget,
                "selections": {
                    name: {"macs": macs, "accuracy": {"hard": accuracy}}
                    for name, (macs, accuracy) in networks.items()
                },
            }
            for budget, networks in ((0.5, large), (0.1, small))
        ],
    }


def test_at_equal_macs_the_reference_lies_between_two_of_its_budgets():
    rows = [
        _of_two_budgets(
            {"civ": (0.6, 0.9), "layers": (0.9, 0.95)},
            {"civ": (0.2, 0.5), "layers": (0.3, 0.7)},  # on the line: 0.6
        ),
        _of_two_budgets(
            {"civ": (0.5, 0.8), "layers": (0.4, 0.8)},
            {"civ": (0.1, 0.6), "layers": (0.5, 0.6)},  # on the line: 0.8
        ),
    ]
    found = differences_at_equal_macs(rows, "civ")
    # At a budget of 0.5 the first row has more MACs than any of the reference.
    assert list(found) == [(0.1, "hard", "layers")]
    mean, error = found[0.1, "hard", "layers"]
    assert mean == pytest.approx((0.1 - 0.2) / 2)
    assert error == pytest.approx(np.std([0.1, -0.2], ddof=1) / 2**0.5)


def test_a_selection_may_lack_a_treatment():
    rows = [_row(cdrp=0.8, random=0.5), _row(cdrp=0.6, random=0.7)]
    for row in rows:
        own = row["points"][0]["selections"]["cdrp"]["accuracy"]
        own["norms"] = own["hard"] + 0.1
    found = {(x["treatment"], x["method"]) for x in differences(rows, "cdrp")}
    assert found == {
        ("hard", "cdrp"),
        ("hard", "random"),
        ("norms", "cdrp"),
    }
