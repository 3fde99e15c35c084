"""Tests of drnet_tf/dissection/balance.py, with learners made up by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from absl import logging

from drnet_tf.dissection.balance import (
    CANDIDATES,
    BalanceTrial,
    calibrate_balance,
)
from drnet_tf.importance import Cdrps

IMAGES = np.zeros((20, 4, 4, 3), "float32")


class FakeLearner:
    """Gives what a table says: balance -> (images that flip, KL of all)."""

    def __init__(self, table, opens=()):
        self._table = table
        self._opens = opens  # balances at which no gate closes
        self.asked = []

    def __call__(self, images, balance):
        self.asked.append(balance)
        flips, kl = self._table[balance]
        count = len(images)
        gates = np.ones((count, 4), "float32")
        gates[:, 0] = balance in self._opens
        return Cdrps(
            {"a": gates, "b": np.ones((count, 6))},
            flipped=np.arange(count) < flips,
            kl=np.full(count, kl),
            iteration=np.full(count, 30),
        )


@pytest.fixture
def warnings(monkeypatch):
    found = []
    monkeypatch.setattr(
        logging, "warning", lambda text, *args: found.append(text % args)
    )
    return found


def test_the_smallest_balance_that_suits_is_taken(warnings):
    learner = FakeLearner(
        # 1 image in 20 may flip; the KL decides between 2 and 4.
        {1.0: (9, 2.0), 2.0: (1, 0.06), 4.0: (1, 0.04), 8.0: (0, 0.0)}
    )
    balance, trials = calibrate_balance(learner, IMAGES, (1.0, 2.0, 4.0, 8.0))
    assert balance == 4.0
    assert learner.asked == [1.0, 2.0, 4.0]  # and no further
    assert [t.balance for t in trials] == [1.0, 2.0, 4.0]
    assert [t.suits for t in trials] == [False, False, True]
    assert [t.share_kept for t in trials] == pytest.approx([0.55, 0.95, 0.95])
    assert trials[0].median_kl == 2.0
    assert trials[0].zero_share == pytest.approx(0.1)  # 1 of 10 gates
    assert warnings == []


def test_images_that_flip_outweigh_a_small_kl():
    learner = FakeLearner({1.0: (2, 0.0), 2.0: (0, 0.0)})
    assert calibrate_balance(learner, IMAGES, (1.0, 2.0))[0] == 2.0


def test_a_balance_that_closes_no_gate_is_the_last_resort():
    table = {1.0: (0, 0.5), 2.0: (0, 0.4), 4.0: (0, 0.3)}
    learner = FakeLearner(table, opens=(4.0,))
    assert calibrate_balance(learner, IMAGES, (1.0, 2.0, 4.0))[0] == 2.0
    learner = FakeLearner(table, opens=(1.0, 2.0, 4.0))
    assert calibrate_balance(learner, IMAGES, (1.0, 2.0, 4.0))[0] == 4.0


def test_candidates_rise_and_hold_the_papers_setting():
    assert 1.0 in CANDIDATES and list(CANDIDATES) == sorted(CANDIDATES)
    learner = FakeLearner({CANDIDATES[0]: (0, 0.01)})
    balance, trials = calibrate_balance(learner, IMAGES)
    assert balance == CANDIDATES[0] and len(trials) == 1


def test_of_those_that_keep_enough_classes_the_smallest_kl_is_taken(warnings):
    table = {1.0: (9, 0.01), 2.0: (1, 0.4), 4.0: (0, 0.3), 8.0: (2, 0.06)}
    balance, trials = calibrate_balance(
        FakeLearner(table), IMAGES, (1.0, 2.0, 4.0, 8.0)
    )
    assert balance == 4.0 and len(trials) == 4
    assert warnings == []


def test_where_none_keeps_enough_the_best_is_taken_with_a_warning(warnings):
    table = {1.0: (10, 0.0), 2.0: (4, 0.3), 4.0: (4, 0.2), 8.0: (5, 0.1)}
    balance, trials = calibrate_balance(
        FakeLearner(table), IMAGES, (1.0, 2.0, 4.0, 8.0)
    )
    assert balance == 4.0 and len(trials) == 4
    assert warnings == [
        "No balance of distillation and sparsity keeps the classes: the best "
        "of (1.0, 2.0, 4.0, 8.0) is 4, with 80 % of the images keeping their "
        "class at a median KL of 0.200."
    ]


def test_figures_of_a_trial_are_plain_json():
    trial = BalanceTrial(2.0, 0.95, 0.01, 0.5)
    assert json.loads(json.dumps(trial.as_dict())) == {
        "balance": 2.0,
        "share_kept": 0.95,
        "median_kl": 0.01,
        "zero_share": 0.5,
    }
