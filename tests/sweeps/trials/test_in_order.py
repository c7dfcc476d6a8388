"""Folds and trials in the plan's order, in whatever order they come."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from cluster.folds import Fold, Outcome
from fsamc.fold.config import FoldConfig
from sweeps.plan.search_settings import Stopping
from sweeps.plan.settings import Plan, Search
from sweeps.trials.in_order import InOrder
from sweeps.trials.stopping import EarlyStopping, fold_place

FOLDS = [Fold(category=name, seed=seed, draw=0, config=FoldConfig()) for seed in (1, 2) for name in "abcd"]
PLACES = [fold_place(fold) for fold in FOLDS]


def outcome(fold: Fold, score: float | None = 0.5) -> Outcome:
    about = {"category": fold.category, "shots": fold.config.shots}
    result = None if score is None else SimpleNamespace(accuracy=score, **about)
    return Outcome(fold=fold, result=result, error=None if result else "x")


def taken(order: InOrder) -> list[tuple[int, int]]:
    found = []
    while came := order.take():
        found.append((came[0], FOLDS.index(came[1].fold)))
    return found


def test_what_comes_too_early_waits_for_the_folds_and_the_trials_before():
    order = InOrder(trials=True)
    for trial in (0, 1):
        order.enter(trial, PLACES[:2])
    for trial, place in ((1, 1), (1, 0), (0, 1)):
        order.come(trial, PLACES[place], outcome(FOLDS[place]))
        assert taken(order) == []
    order.come(0, PLACES[0], outcome(FOLDS[0]))
    assert taken(order) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert not order.expects(1)


def test_where_trials_do_not_wait_for_each_other_folds_still_do():
    order = InOrder(trials=False)
    for trial in (0, 1):
        order.enter(trial, PLACES[:2])
    order.come(1, PLACES[1], outcome(FOLDS[1]))
    assert taken(order) == []
    order.come(1, PLACES[0], outcome(FOLDS[0]))
    assert taken(order) == [(1, 0), (1, 1)]
    assert order.expects(0)


def test_a_trial_that_has_ended_or_has_no_folds_keeps_nobody_waiting():
    order = InOrder(trials=True)
    order.enter(0, PLACES[:2])
    order.enter(1, [])
    order.enter(2, PLACES[:1])
    order.come(2, PLACES[0], outcome(FOLDS[0]))
    order.end(0)
    order.come(0, PLACES[0], outcome(FOLDS[0]))
    assert taken(order) == [(2, 0)]


def judge(kind: str, shuffled: int | None) -> tuple[dict[int, str], dict[int, float], list[tuple[int, int]]]:
    """Who is stopped, taken for what, and which folds belong in the table, if eight trials arrive in some order."""
    search = Search(algorithm="grid", stopping=Stopping(kind=kind, confidence=0.8))
    stopping = EarlyStopping(Plan(name="p", search=search), folds=len(FOLDS))
    rng = np.random.default_rng(5)
    scores = {(n, k): float(rng.normal(0.5 + 0.1 * (n % 3), 0.1)) for n in range(8) for k in range(len(FOLDS))}
    arriving = list(scores)
    if shuffled is not None:
        arriving = [arriving[int(place)] for place in np.random.default_rng(shuffled).permutation(len(arriving))]
        arriving.sort(key=lambda pair: pair[0] != 0 and kind == "proved")  # which waits for the base
    told = []
    for number in range(8):
        if number == 0 or kind != "proved":
            stopping.enter(number, {"n": number}, FOLDS)
    for number, place in arriving:
        if number and not stopping.waits():
            for one in range(8):
                stopping.enter(one, {"n": one}, FOLDS)
        trial = SimpleNamespace(config={"number": number, "values": {"n": number}, "folds": FOLDS})
        stopping.on_trial_result(None, trial, {"outcome": outcome(FOLDS[place], min(1.0, scores[number, place]))})
        told += [(one, FOLDS.index(came.fold)) for one, came in stopping.judged()]
    return stopping.reasons, stopping.estimates, told


@pytest.mark.parametrize("kind", ["race", "proved", "asha", "median"])
def test_of_a_grid_the_same_trials_are_stopped_for_the_same_reason_in_whatever_order_folds_arrive(kind):
    reasons, estimates, told = judge(kind, None)
    assert reasons.keys() == estimates.keys() != set()
    for seed in range(5):
        assert judge(kind, seed) == (reasons, estimates, told)


def test_nothing_begins_before_the_base_has_ended_where_folds_are_drawn_by_what_it_lost():
    stopping = EarlyStopping(Plan(name="p", search=Search(stopping=Stopping(kind="proved"))), folds=len(FOLDS))
    assert not stopping.waits()
    stopping.enter(0, {}, FOLDS)
    base = SimpleNamespace(config={"number": 0, "values": {}, "folds": FOLDS})
    for place, fold in enumerate(FOLDS):
        assert stopping.waits()
        stopping.on_trial_result(None, base, {"outcome": outcome(fold, None if place == 3 else 0.9)})
    assert not stopping.waits()
    lost = EarlyStopping(Plan(name="p", search=Search(stopping=Stopping(kind="proved"))), folds=len(FOLDS))
    lost.enter(0, {}, FOLDS)
    lost.lost(0)
    assert not lost.waits()


def test_folds_without_a_say_come_last():
    search = Search(algorithm="grid", stopping=Stopping(kind="proved"))
    stopping = EarlyStopping(Plan(name="p", search=search), folds=8, averaged={2: ["b", "c"]})
    order = [fold.category for fold in stopping.order({}, FOLDS)]
    assert sorted(order[:4]) == ["b", "b", "c", "c"]
    assert sorted(order[4:]) == ["a", "a", "d", "d"]
