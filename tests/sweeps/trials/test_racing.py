"""A race without Ray: what it says of trials, in numbers worked out by hand and over many simulated ones."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student

from sweeps.plan.settings import Search
from sweeps.plan.stopping_settings import Stopping
from sweeps.trials.racing import Race, Standings, scatter
from sweeps.trials.stopping import make_rule

N = 8
SCORES = st.lists(st.integers(0, 40).map(lambda right: right / 40), min_size=N, max_size=N)


class Run:
    """A race in which trials are told whole, one after the other, fold after fold until they are stopped."""

    def __init__(self, *, confidence=0.95, fewest=2, spread=0.1):
        self.standings = Standings()
        self.race = Race(self.standings, confidence=confidence, fewest=fewest, spread=spread)

    def trial(self, number, scores, folds=None):
        """After how many folds the trial was stopped, and why; None where it ran to its end."""
        self.standings.enter(number, len(scores))
        for k, (fold, score) in enumerate(zip(folds or range(len(scores)), scores, strict=True), start=1):
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
    run.standings.enter(1, 4)
    for fold, score in enumerate([0.5, 0.4]):
        run.standings.tell(1, fold, score)
        run.race.tell(1)
    run.standings.enter(2, 4)
    run.standings.tell(2, 0, 0.4)
    run.standings.tell(2, 1, 0.3)
    run.race.tell(2)
    t = 0.15 / sqrt(0.02 / 3 * (1 / 2 - 1 / 4))
    assert run.race._sure(-0.15, 2, 4) == pytest.approx(student.cdf(t, 3))


def test_what_is_left_shrinks_the_doubt():
    run = Run()
    sure = [run.race._sure(-0.02, k, N) for k in range(1, N)]
    assert sure == sorted(sure)
    assert sure[0] > 0.5
    assert run.race._sure(0.0, 3, N) == 0


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
    run.standings.enter(1, 4)
    run.standings.tell(1, 0, 0.3)
    run.standings.tell(1, 1, 0.4)
    assert run.standings.mean(1) == pytest.approx(0.35)  # on two hard folds
    assert run.standings.estimate(1) == pytest.approx(0.5 + 0.05)
    run.standings.enter(2, 4)
    run.standings.tell(2, "another fold", 0.3)
    assert run.standings.estimate(2) == pytest.approx(0.3)


# --- who is never stopped


@given(scores=SCORES, confidence=st.floats(0.51, 0.999), others=st.lists(SCORES, max_size=4))
def test_an_equal_of_the_best_is_never_stopped(scores, confidence, others):
    run = Run(confidence=confidence)
    for number, other in enumerate([scores, *others]):
        run.trial(number, other)
    best = run.standings.scores[run.standings.best]
    assert run.trial(99, [best[fold] for fold in range(N)]) is None


def test_the_base_is_never_stopped():
    run = Run()
    run.trial(1, [0.9] * N)
    assert run.trial(0, [0.0] * N) is None
    assert run.standings.best == 1


def test_nobody_is_stopped_before_there_is_a_complete_trial():
    run = Run()
    run.standings.enter(0, N)
    run.standings.tell(0, 0, 1.0)
    run.standings.tell(0, 1, 1.0)
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
    assert run.trial(1, [0.6] * N, folds=[f"of other shots {n}" for n in range(N)]) is None


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
            scores = [best[fold] + rng.normal(0, 0.06) for fold in range(N)]  # as good as the best, in expectation
            if run.trial(number, scores):
                stopped += 1
                wrong += sum(scores) >= sum(best.values())
    assert stopped > 200
    assert wrong / stopped < 0.1 + 3 * sqrt(0.1 * 0.9 / stopped)


def test_more_confidence_stops_fewer():
    rng = np.random.default_rng(1)
    rows = [list(rng.normal(0.5 - 0.002 * number, 0.06, N)) for number in range(40)]

    def stopped(confidence):
        run = Run(confidence=confidence)
        return sum(run.trial(number, row) is not None for number, row in enumerate(rows))

    counts = [stopped(confidence) for confidence in (0.6, 0.8, 0.95, 0.999)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]


# --- the order of arrival, and the same again


def test_a_race_knows_the_same_whatever_the_order_in_which_it_was_told():
    rng = np.random.default_rng(2)
    tellings = [(trial, fold, rng.normal(0.5, 0.1)) for trial in range(6) for fold in range(N - (trial > 3))]
    runs = []
    for seed in range(4):
        run = Run(confidence=0.8)
        for trial in range(6):
            run.standings.enter(trial, N)
        for place in np.random.default_rng(seed).permutation(len(tellings)):
            trial, fold, score = tellings[place]
            run.standings.tell(trial, fold, score)
            run.race.tell(trial)
        runs.append((run.standings.best, pytest.approx(run.race._sure(-0.03, 3, N)), bool(run.race.tell(5))))
    assert all(other[0] == runs[0][0] and other[2] == runs[0][2] for other in runs)
    assert all(run.race._sure(-0.03, 3, N) == runs[0][1] for _ in [0])


# --- Tune's own rules


@pytest.mark.parametrize("kind", ["asha", "median"])
def test_tunes_rules_stop_the_worst_but_neither_the_base_nor_a_trial_with_all_its_folds(kind):
    standings = Standings()
    rule = make_rule(Search(stopping=Stopping(kind=kind, fewest_trials=1)), standings, N)
    ended = {}
    for trial, level in enumerate([0.1, 0.5, 0.6, 0.7, 0.2, 0.8]):
        standings.enter(trial, N)
        for fold in range(N):
            standings.tell(trial, fold, level)
            if reason := rule.tell(trial):
                ended[trial] = fold + 1, reason
                break
    assert 0 not in ended
    assert 5 not in ended
    assert ended[4][0] == 2
    assert "20.0 %" in ended[4][1]


def test_where_trials_are_never_stopped_there_is_no_rule():
    assert make_rule(Search(stopping=Stopping(kind="none")), Standings(), N) is None
