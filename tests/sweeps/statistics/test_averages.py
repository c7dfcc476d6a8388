"""Averages on plain numbers: by hand, whatever the order, and as the tables have them."""

from __future__ import annotations

from math import isnan, nan, sqrt

import numpy as np
import pandas as pd
import pytest

from sweeps.results import tables
from sweeps.statistics.averages import AVERAGE, OVER, averaged_among, deviation_of, seed_averages, trial_average

# Trial 0: a at 2 shots 0.2 (two draws: 0.1, 0.3) and 0.6 in seed 2; b 0.4, 0.8; at 5 shots only a: 0.9, 0.7.
SCORES = [
    (0, 2, "a", 1, 0.1),
    (0, 2, "a", 1, 0.3),
    (0, 2, "a", 2, 0.6),
    (0, 2, "b", 1, 0.4),
    (0, 2, "b", 2, 0.8),
    (0, 5, "a", 1, 0.9),
    (0, 5, "a", 2, 0.7),
]
AVERAGED = {2: ["a", "b"], 5: ["a"]}


def test_draws_then_categories_then_shots_by_hand():
    cells = seed_averages(SCORES, AVERAGED)
    assert cells[0, 2, "a"] == pytest.approx({1: 0.2, 2: 0.6})
    assert cells[0, 2, AVERAGE] == pytest.approx({1: 0.3, 2: 0.7})
    assert cells[0, OVER, "a"] == pytest.approx({1: 0.55, 2: 0.65})
    assert cells[0, OVER, AVERAGE] == pytest.approx({1: 0.6, 2: 0.7})
    assert trial_average(SCORES, AVERAGED) == pytest.approx((0.65, 0.1 / sqrt(2)))


def test_nothing_stands_in_for_what_is_not_there():
    without = [score for score in SCORES if score[1:4] != (2, "b", 2)]
    assert seed_averages(without, AVERAGED)[0, OVER, AVERAGE] == pytest.approx({1: 0.6})
    assert isnan(trial_average(without, AVERAGED)[1])
    assert (0, OVER, AVERAGE) not in seed_averages(SCORES, AVERAGED, stopped={0})
    assert all(isnan(number) for number in trial_average([], AVERAGED))


def test_where_nothing_was_decided_averages_are_over_what_every_trial_has():
    assert averaged_among([*SCORES, (1, 2, "a", 1, 0.5)], {}) == {2: {"a"}}
    assert averaged_among(SCORES, {2: ["b", "c"]}) == {2: {"b"}}


def test_deviation_leaves_out_what_is_no_number():
    assert deviation_of([0.2, nan, 0.6]) == pytest.approx(sqrt(0.08))
    assert isnan(deviation_of([0.2, nan]))


def test_the_order_changes_not_a_bit_and_the_tables_say_the_same():
    rng = np.random.default_rng(5)
    scores = [
        (0, shots, name, seed, float(rng.random()))
        for shots in (1, 2, 5)
        for name in "abc"
        for seed in (1, 2, 3)
        for _ in range(7)
    ]
    averaged = dict.fromkeys((1, 2, 5), "abc")
    shuffled = [scores[n] for n in rng.permutation(len(scores))]
    assert trial_average(shuffled, averaged) == trial_average(scores, averaged)
    columns = ["trial", "shots", "category", "seed", "accuracy"]
    folds = pd.DataFrame(shuffled, columns=columns).assign(draw=range(len(scores)), status="ok", seconds=1.0)
    found = tables.trial_scores(folds).loc[0, ["mean", "std"]]
    assert tuple(found) == trial_average(scores, averaged)
