"""Proved racing: what it says in numbers worked out by hand, and how often it is wrong where it must not be."""

from __future__ import annotations

from collections import Counter
from itertools import permutations

import numpy as np
import pytest
from scipy.stats import binom

from sweeps.plan.search_settings import Stopping
from sweeps.plan.settings import Search
from sweeps.trials.proved import Proved, chances_of, drawn
from sweeps.trials.racing import Standings
from sweeps.trials.stopping import make_rule
from tests.bench.bench_search import RECORDED, read_table
from tests.bench.race_errors import (
    by_fixed_sample,
    coins,
    false_stops,
    folds_taken,
    lopsided,
    null,
    nulls,
    paired_t,
    proved,
    real,
)

FOLDS = [("abcdefgh"[n % 4], 1 + n // 4, 0, 2) for n in range(8)]
ERROR = 0.05
REPLAYS = 50
rule = proved(Stopping(error=ERROR))


def judged(leader, challenger, *, base=None, **knobs):
    """After how many folds trial 2 is stopped by trial 1, and why; None where it runs to its end. Folds as listed."""
    board = Standings()
    rule = Proved(board, Stopping(**{"margin": 0.0, "stakes": (1.0,)} | knobs))
    folds = FOLDS[: len(leader)]
    for number, scores in enumerate((base or leader, leader, challenger)):
        board.enter(number, folds)
        for k, (fold, score) in enumerate(zip(folds, scores, strict=True), start=1):
            board.tell(number, fold, score)
            if reason := rule.tell(number):
                return k, reason
    return None


# --- by hand


def test_what_is_lost_pays_by_what_may_be_lost_and_by_how_likely_the_fold_was():
    # Four folds, each a quarter. The leader has lost 0.5, and so may trial 2. A fold on which it loses 0.9 of its
    # quarter pays 0.225 / (1/4 * 0.5) = 1.8; the next 0.225 / (1/3 * 0.275) = 27/11: odds of 4.42.
    k, reason = judged([0.5] * 4, [0.1] * 4, error=1 / 4.4)
    assert k == 2
    assert "-40.0 points to trial 0 on the same folds; proved not to end above trial 0 (odds 4 to 1)" in reason
    assert judged([0.5] * 4, [0.1] * 4, error=1 / 4.5)[1].startswith("not even full marks")  # at the third
    # With half of it staked each time: (1 + 0.4) (1 + 8/11) = 2.42; of both, the mean.
    assert judged([0.5] * 4, [0.1] * 4, error=1 / 2.41, stakes=(0.5,))[0] == 2
    assert judged([0.5] * 4, [0.1] * 4, error=1 / 2.43, stakes=(0.5,))[0] == 3
    assert judged([0.5] * 4, [0.1] * 4, error=1 / 3.41, stakes=(0.5, 1.0))[0] == 2
    assert judged([0.5] * 4, [0.1] * 4, error=1 / 3.43, stakes=(0.5, 1.0))[0] == 3


def test_a_fold_on_which_the_base_lost_more_is_more_likely_and_pays_less():
    # The base lost 0.1 and 0.4: chances 1/5 and 4/5. The leader lost 0.5 / 2 on average; trial 2 loses 0.3 on the
    # first: 0.15 / (1/5 * 0.25) = 3.
    assert chances_of(FOLDS[:2], {FOLDS[0]: 0.9, FOLDS[1]: 0.6}, 0.02) == pytest.approx({FOLDS[0]: 0.05, FOLDS[1]: 0.2})
    assert judged([0.9, 0.6], [0.7, 0.6], base=[0.9, 0.6], error=1 / 2.9)[0] == 1
    assert judged([0.9, 0.6], [0.7, 0.6], base=[0.9, 0.6], error=1 / 3.1) is None
    assert chances_of(FOLDS[:2], {FOLDS[0]: 1.0}, 0.02) == pytest.approx({FOLDS[0]: 0.01, FOLDS[1]: 0.5})


def test_a_trial_may_end_as_far_above_as_the_margin_says_and_is_stopped_when_full_marks_would_not_bring_it_there():
    assert judged([0.9] * 4, [0.9, 0.9, 0.9, 1.0], error=1e-9) is None
    k, reason = judged([0.9] * 4, [0.9] * 4, error=1e-9, margin=0.051)
    assert k == 2
    assert reason == "not even full marks on its other folds would bring it more than 5.1 points above trial 0"


def test_the_error_is_split_where_each_trial_depends_on_those_before():
    for algorithm, share in (("grid", 0.1), ("random", 0.1), ("optuna", 0.1 / 9)):
        search = Search(algorithm=algorithm, trials=10, stopping={"kind": "proved", "error": 0.1})
        rule = make_rule(search, Standings(), 8)
        assert rule._enough == pytest.approx(1 / share)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"error": 0.5}, {"error": 1e-6}),
        ({"margin": 0.0}, {"margin": 0.1}),
        ({"stakes": (0.1,)}, {"stakes": (1.0,)}),
        ({"least_error": 0.02}, {"least_error": 1.0}),
    ],
)
def test_a_knob_bites(one, other):
    duels = [coins(np.random.default_rng(n), 24, gap=0.1) for n in range(10)]
    assert folds_taken(proved(Stopping(**one)), duels) != folds_taken(proved(Stopping(**other)), duels)


# --- the order of folds


def test_the_order_is_one_of_the_folds_and_the_seeds_not_of_how_they_are_listed():
    settings = Stopping()
    order = drawn(FOLDS, {}, settings, 0, "config")
    assert order == drawn(FOLDS[::-1], {}, settings, 0, "config")
    assert sorted(order) == sorted(FOLDS)
    assert len({tuple(drawn(FOLDS, {}, settings, 0, f"config {n}")) for n in range(20)}) > 15


def test_folds_are_drawn_in_proportion_one_after_the_other():
    folds, base = FOLDS[:3], {FOLDS[0]: 0.9, FOLDS[1]: 0.8, FOLDS[2]: 0.7}  # 1 : 2 : 3
    orders = Counter(tuple(map(folds.index, drawn(folds, base, Stopping(), n))) for n in range(6000))
    expected = {(0, 1, 2): 1 / 6 * 2 / 5, (2, 1, 0): 3 / 6 * 2 / 3, (1, 0, 2): 2 / 6 * 1 / 4}
    for order, share in expected.items():
        assert orders[order] / 6000 == pytest.approx(share, abs=4 * (share / 6000) ** 0.5)


# --- how often it is wrong


def most(error: float = ERROR) -> int:
    """False stops that a rule of this error exceeds once in a thousand runs."""
    return int(binom.ppf(0.999, REPLAYS, error))


@pytest.mark.parametrize("folds", [8, pytest.param(24, marks=pytest.mark.slow)])
def test_a_trial_that_ends_above_is_stopped_no_more_often_than_the_error(folds):
    duels = nulls(lambda rng: null(rng, coins(rng, folds)), REPLAYS)
    assert len(duels) == REPLAYS
    assert all(0.01 < duel.ahead < 0.05 for duel in duels)
    assert false_stops(rule, duels) <= most()


@pytest.mark.slow
def test_on_real_folds_that_share_their_images_neither():
    table = [dict(scores) for scores in read_table(RECORDED).scores.values()]
    duels = nulls(lambda rng: null(rng, real(rng, table)), REPLAYS)
    assert len(duels) == REPLAYS
    assert false_stops(rule, duels) <= most()


def test_a_test_that_is_made_for_one_look_fails_this_check():
    duels = nulls(lambda rng: lopsided(rng, 12), REPLAYS)
    assert all(duel.ahead > 0.01 for duel in duels)
    assert false_stops(rule, duels) <= most()
    assert false_stops(by_fixed_sample(paired_t), duels) > most()


def test_the_wealth_grows_on_average_in_no_step_where_the_trial_ends_as_far_above_as_it_may():
    """Over every order of four folds, by its probability: the definition of a fair bet."""
    leader, challenger, base = [0.5, 0.7, 0.9, 0.3], [0.2, 0.8, 1.0, 0.4], [0.3, 0.6, 0.9, 0.5]
    folds = FOLDS[:4]
    chances = chances_of(folds, dict(zip(folds, base, strict=True)), 0.02)
    for k in (1, 2, 3):
        mean = 0.0
        for order in permutations(range(4)):
            left, probability = sum(chances.values()), 1.0
            for place in order:
                probability *= chances[folds[place]] / left
                left -= chances[folds[place]]
            board = Standings()
            rule = Proved(board, Stopping(margin=0.0, error=1e-12, stakes=(0.7,)))
            for number, scores in ((0, base), (1, leader)):
                board.enter(number, folds)
                for fold, score in zip(folds, scores, strict=True):
                    board.tell(number, fold, score)
            board.enter(2, folds)
            for place in order[:k]:
                board.tell(2, folds[place], challenger[place])
                rule.tell(2)
            mean += probability * float(rule._wealth[2].mean())
        assert mean == pytest.approx(1.0)


def test_it_finds_what_is_far_below_and_more_so_with_more_folds():
    taken = {
        folds: folds_taken(rule, [coins(np.random.default_rng(n), folds, gap=0.1) for n in range(REPLAYS)]) / folds
        for folds in (8, 24, 48)
    }
    assert 1 > taken[8] > taken[24] > taken[48]
    assert taken[48] < 0.35
