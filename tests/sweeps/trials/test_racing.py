"""A race without Ray: what it says of trials, in numbers worked out by hand and over many simulated ones."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student

from sweeps.plan.search_settings import Stopping
from sweeps.plan.settings import Search
from sweeps.results import tables
from sweeps.statistics.fold_weights import mean_score, weights
from sweeps.trials.intensify import Intensify
from sweeps.trials.racing import Race, Standings, scatter
from sweeps.trials.stopping import make_rule

N = 8
SCORES = st.lists(st.integers(0, 40).map(lambda right: right / 40), min_size=N, max_size=N)


FOLDS = [("abcdefgh"[n % 4], 1 + n // 4, 0, 2) for n in range(N)]


class Run:
    """A race in which trials are told whole, one after the other, fold after fold until they are stopped."""

    def __init__(self, *, confidence=0.95, fewest=2, spread=0.1, margin=0.0):
        self.standings = Standings()
        self.race = Race(self.standings, confidence=confidence, fewest=fewest, spread=spread, margin=margin)

    def trial(self, number, scores, folds=None):
        """After how many folds the trial was stopped, and why; None where it ran to its end."""
        folds = folds or FOLDS[: len(scores)]
        self.standings.enter(number, folds)
        for k, (fold, score) in enumerate(zip(folds, scores, strict=True), start=1):
            self.standings.tell(number, fold, score)
            if reason := self.race.tell(number):
                return k, reason
        return None


# --- by hand


def test_the_probability_of_ending_below_is_that_of_the_predictive_t_with_the_pooled_variance():
    # Differences to trial 0: trial 1 0, -0.1 (sum of squares 0.005, 1 degree), of trial 2 -0.1, -0.2 (the same).
    # With the expected spread of 0.1 as one observation: v = (0.01 + 0.005 + 0.005) / 3, mean -0.15, k = 2 of 4.
    run = Run(confidence=0.9999)
    run.trial(0, [0.5] * 4)
    for number, scores in enumerate([[0.5, 0.4], [0.4, 0.3]], start=1):
        run.standings.enter(number, FOLDS[:4])
        for fold, score in zip(FOLDS, scores, strict=False):
            run.standings.tell(number, fold, score)
            run.race.tell(number)
    t = 0.15 / sqrt(0.02 / 3 * (1 / 2 - 1 / 4))
    assert run.race.sure({FOLDS[0]: -0.1, FOLDS[1]: -0.2}, FOLDS[:4]) == pytest.approx(student.cdf(t, 3))


def test_what_is_left_shrinks_the_doubt():
    run = Run()
    folds = [(name, 1, 0, 2) for name in "abcdefgh"]
    sure = [run.race.sure(dict.fromkeys(folds[:k], -0.02), folds) for k in range(1, N)]
    assert sure == sorted(sure)
    assert sure[0] > 0.5
    assert run.race.sure(dict.fromkeys(folds[:3], 0.0), folds) == 0


def test_a_trial_that_not_even_full_marks_would_save_is_stopped_however_wide_differences_vary():
    run = Run(spread=1.0)
    run.trial(0, [1.0, 1.0, 0.9, 0.9])
    assert run.trial(1, [0.9, 0.9, 1.0, 1.0]) is None  # 0.95 as well: to the end
    k, reason = run.trial(2, [0.4, 0.9, 1.0, 1.0])  # (0.4 + 0.9 + 2) / 4 < 0.95
    assert (k, "full marks" in reason) == (2, True)


def test_differences_scatter_about_their_own_mean_and_equal_answers_tell_nothing():
    assert scatter([0.1, 0.3, 0.2]) == (pytest.approx(0.02), 2)
    assert scatter([0.0, 0.0, 0.0]) == (0.0, 0)
    assert scatter([]) == (0.0, 0)


def test_a_trial_is_taken_for_the_best_one_and_the_difference_on_the_folds_that_both_have():
    run = Run(confidence=0.999)
    run.trial(0, [0.2, 0.4, 0.6, 0.8])
    run.standings.enter(1, FOLDS[:4])
    run.standings.tell(1, FOLDS[0], 0.3)
    run.standings.tell(1, FOLDS[1], 0.4)
    assert run.standings.mean(1) == pytest.approx(0.35)  # on two hard folds
    assert run.standings.estimate(1) == pytest.approx(0.5 + 0.05)
    run.standings.enter(2, [("another", 1, 0, 2)] * 4)
    run.standings.tell(2, ("another", 1, 0, 2), 0.3)
    assert run.standings.estimate(2) == pytest.approx(0.3)


# --- the average of the tables, where folds weigh unequally


def test_a_fold_weighs_as_in_the_mean_over_draws_then_seeds_then_categories_then_shots():
    one_shot, two_shots = [("a", 1, 0, 1), ("b", 1, 0, 1), ("b", 1, 1, 1), ("b", 2, 0, 1)], [("b", 1, 0, 2)]
    assert weights([*one_shot, *two_shots]) == dict(
        zip([*one_shot, *two_shots], [1 / 4, 1 / 16, 1 / 16, 1 / 8, 1 / 2], strict=True)
    )


@pytest.mark.parametrize("seed", range(4))
def test_the_average_of_a_complete_trial_is_the_one_of_the_tables(seed):
    rng = np.random.default_rng(seed)
    cells = [(name, shots) for shots in (1, 2, 5) for name in "abcd" if rng.random() < 0.7 or name == "a"]
    places = [(name, s, draw, shots) for name, shots in cells for s in (1, 2, 3) for draw in range(shots)]
    scores = {place: float(rng.random()) for place in places}
    rows = [(0, "c", *place, "h", score, 0, 0, "ok", 1.0) for place, score in scores.items()]
    table = pd.DataFrame(rows, columns=tables.FIXED)
    assert mean_score(scores) == pytest.approx(tables.trial_scores(table).loc[0, "mean"], abs=1e-12)


# Category b is too small for two shots: a fold of a there weighs 1/2, one at a single shot 1/4.
RAGGED = [("a", 1, 0, 1), ("b", 1, 0, 1), ("a", 1, 0, 2)]


@pytest.mark.parametrize(
    ("scored", "expected"),
    [
        ([0.1, 0.5, None], 0.6 + (-0.3 + 0.1) / 2),  # both at one shot
        ([0.1, None, 1.0], 0.6 + (-0.3 + 0.2) / 2),
        ([None, 0.2, 0.9], 0.6 + (-0.2 + 0.1) / 2),
        ([0.1, 0.5, 0.9], 0.1 / 4 + 0.5 / 4 + 0.9 / 2),
    ],
)
def test_an_estimate_takes_the_mean_of_the_tables_over_the_folds_that_both_have(scored, expected):
    run = Run()
    run.trial(0, [0.4, 0.4, 0.8], RAGGED)  # 0.6
    run.standings.enter(1, RAGGED)
    for fold, score in zip(RAGGED, scored, strict=True):
        if score is not None:
            run.standings.tell(1, fold, score)
    assert run.standings.estimate(1) == pytest.approx(expected)


def test_full_marks_on_a_fold_that_weighs_half_still_save_a_trial():
    folds = [(name, 1, 0, 1) for name in "abcd"] + [("a", 1, 0, 2)]
    run = Run(spread=9.0)
    run.trial(0, [0.6] * 5, folds)
    assert run.trial(1, [0.3, 0.3, 0.3, 0.3, 1.0], folds) is None  # 0.65: the mean over the five would be below 0.6
    assert run.standings.best == 1
    assert run.trial(2, [0.1, 0.1, 0.1, 0.1, 1.0], folds)[0] == 4  # 0.55


def test_the_doubt_is_the_predictive_variance_of_the_weighted_mean():
    # After a at one shot: its weight of 1 goes to 1/4, those of the others come: (3/4)^2 + (1/4)^2 + (1/2)^2 = 7/8.
    run = Run(spread=0.1)
    assert run.race.sure({RAGGED[0]: -0.1}, RAGGED) == pytest.approx(student.cdf(0.1 / sqrt(0.01 * 7 / 8), 1))


def test_with_a_margin_an_equal_is_stopped_once_it_is_sure_not_to_end_above_by_more():
    # Equal on 4 of 8 folds, margin 0.02: v = 0.1^2, one observation; t = 0.02 / sqrt(0.01 (1/4 - 1/8)) = 0.57.
    sure = student.cdf(0.02 / sqrt(0.01 * (1 / 4 - 1 / 8)), 1)
    run = Run(margin=0.02, confidence=sure - 1e-6)
    run.trial(0, [0.5] * N)
    k, reason = run.trial(1, [0.5] * N)
    assert k == 4
    assert reason == "+0.0 points to trial 0 on the same folds, 66.4 % sure not to end more than 2 points above"
    again = Run(margin=0.02, confidence=sure + 1e-6)
    again.trial(0, [0.5] * N)
    assert again.trial(1, [0.5] * N)[0] == 5
    assert Run(margin=0.02).trial(0, [0.9] * N) is None
    best = Run(margin=0.1, fewest=1)
    best.trial(0, [0.9] * N)
    assert best.trial(1, [1.0] * N) == (
        1,
        "not even full marks on its other folds would bring it more than 10 points above trial 0",
    )


# --- intensification


def met(board, trial, scores, **margin):
    """After how many folds `Intensify` stops a trial; None where it comes through."""
    rule = Intensify(board, **margin)
    board.enter(trial, FOLDS)
    for k, (fold, score) in enumerate(zip(FOLDS, scores, strict=True), start=1):
        board.tell(trial, fold, score)
        if reason := rule.tell(trial):
            return k, reason
    return None


def test_a_challenger_meets_the_best_trial_on_one_two_four_and_more_of_its_folds():
    board = Standings()
    assert met(board, 0, [0.5] * N) is None
    assert met(board, 1, [0.4] + [0.9] * 7)[0] == 1
    assert met(board, 2, [0.6, 0.3] + [0.9] * 6) == (2, "-5.0 points to trial 0 over 2 folds that both have")
    assert met(board, 3, [0.6, 0.5, 0.0, 0.5, 0.9, 0.9, 0.9, 0.9])[0] == 4  # and not at the third
    assert met(board, 4, [0.5] * 4 + [0.0] * 4) is None  # complete by the eighth
    assert met(board, 5, [0.51] * N) is None
    assert board.best == 5


def test_with_a_margin_intensification_stops_equals_too():
    board = Standings()
    met(board, 0, [0.5] * N)
    assert met(board, 1, [0.5] * N, margin=0.01)[0] == 1
    assert met(board, 2, [0.6] + [0.41] * 7, margin=0.01)[0] == 2
    assert met(board, 3, [0.52] * N, margin=0.01) is None


# --- who is never stopped


@given(scores=SCORES, confidence=st.floats(0.51, 0.999), others=st.lists(SCORES, max_size=4))
def test_an_equal_of_the_best_is_never_stopped(scores, confidence, others):
    run = Run(confidence=confidence)
    for number, other in enumerate([scores, *others]):
        run.trial(number, other)
    best = run.standings.scores[run.standings.best]
    assert run.trial(99, [best[fold] for fold in FOLDS]) is None


def test_the_base_is_never_stopped():
    run = Run()
    run.trial(1, [0.9] * N)
    assert run.trial(0, [0.0] * N) is None
    assert run.standings.best == 1


def test_nobody_is_stopped_before_there_is_a_complete_trial():
    run = Run()
    run.standings.enter(0, FOLDS)
    run.standings.tell(0, FOLDS[0], 1.0)
    run.standings.tell(0, FOLDS[1], 1.0)
    assert run.trial(1, [0.0] * N) is None


def test_ties_for_the_best_go_to_the_lower_number_whoever_comes_first():
    run = Run()
    run.trial(3, [0.1, 0.2, 0.3])
    run.trial(1, [0.3, 0.2, 0.1])  # sums to another last bit
    run.trial(2, [0.2, 0.2, 0.2])
    assert run.standings.best == 1


def test_only_shared_folds_count():
    run = Run()
    run.trial(0, [0.9] * N)
    assert run.trial(1, [0.6] * N, folds=[(*fold[:3], 5) for fold in FOLDS]) is None


# --- who is


@given(scores=SCORES.map(lambda row: [0.5 + score / 2 for score in row]), fewest=st.integers(2, 5))
def test_a_trial_far_below_on_every_fold_is_stopped_at_the_fewest_folds(scores, fewest):
    run = Run(fewest=fewest)
    run.trial(0, scores)
    k, reason = run.trial(1, [score - 0.5 for score in scores])
    assert k == fewest
    assert "trial 0" in reason


def test_of_the_trials_that_are_stopped_few_would_have_ended_level_or_above():
    rng = np.random.default_rng(0)
    stopped = wrong = 0
    for _ in range(60):
        run = Run(confidence=0.9, spread=0.06)
        run.trial(0, list(rng.normal(0.5, 0.05, N)))
        for number in range(1, 30):
            best = run.standings.scores[run.standings.best]
            scores = [best[fold] + rng.normal(0, 0.06) for fold in FOLDS]  # as good as the best, in expectation
            if run.trial(number, scores):
                stopped += 1
                wrong += sum(scores) >= sum(best.values())
    assert stopped > 200
    assert wrong / stopped < 0.1 + 3 * sqrt(0.1 * 0.9 / stopped)


# --- the order of arrival, and the same again


def test_a_race_knows_the_same_whatever_the_order_in_which_it_was_told():
    rng = np.random.default_rng(2)
    tellings = [(trial, fold, rng.normal(0.5, 0.1)) for trial in range(6) for fold in FOLDS[: N - (trial > 3)]]
    gaps = dict.fromkeys(FOLDS[:3], -0.03)
    runs = []
    for seed in range(4):
        run = Run(confidence=0.8)
        for trial in range(6):
            run.standings.enter(trial, FOLDS)
        for place in np.random.default_rng(seed).permutation(len(tellings)):
            trial, fold, score = tellings[place]
            run.standings.tell(trial, fold, score)
            run.race.tell(trial)
        runs.append((run.standings.best, pytest.approx(run.race.sure(gaps, FOLDS)), bool(run.race.tell(5))))
    assert all(other[0] == runs[0][0] and other[2] == runs[0][2] for other in runs)
    assert all(run.race.sure(gaps, FOLDS) == runs[0][1] for _ in [0])


# --- Tune's own rules


@pytest.mark.parametrize("kind", ["asha", "median"])
def test_tunes_rules_stop_the_worst_but_neither_the_base_nor_a_trial_with_all_its_folds(kind):
    standings = Standings()
    rule = make_rule(Search(stopping=Stopping(kind=kind, fewest_trials=1)), standings, N)
    ended = {}
    for trial, level in enumerate([0.1, 0.5, 0.6, 0.7, 0.2, 0.8]):
        standings.enter(trial, FOLDS)
        for k, fold in enumerate(FOLDS, start=1):
            standings.tell(trial, fold, level)
            if reason := rule.tell(trial):
                ended[trial] = k, reason
                break
    assert 0 not in ended
    assert 5 not in ended
    assert ended[4][0] == 2
    assert "20.0 %" in ended[4][1]


def test_where_trials_are_never_stopped_there_is_no_rule():
    assert make_rule(Search(stopping=Stopping(kind="none")), Standings(), N) is None
