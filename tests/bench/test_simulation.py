"""The simulation by hand where that can be done, and what it says of how trials are started."""

from __future__ import annotations

import pytest

from fsamc.config.dotted import validated
from sweeps.plan.settings import Plan
from tests.bench.simulation import Cluster, Costs, simulate, steady_share

RANDOM = validated(Plan, {"name": "p", "search": {"algorithm": "random"}})
FREE = Costs(driver=0.0, service=0.0)


def run(plan: Plan = RANDOM, costs: Costs = FREE, *, nodes: int, folds: int, spread: float = 0.0, start: float = 0.0):
    cluster = Cluster(nodes=nodes, slots=1, start=start)
    return simulate(plan, cluster, costs, folds=folds, per_trial=4, seconds=10.0, spread=spread)


@pytest.mark.parametrize(("nodes", "folds", "seconds"), [(1, 8, 80), (2, 8, 40), (3, 8, 30), (8, 8, 10)])
def test_folds_that_cost_nothing_else_take_their_time(nodes, folds, seconds):
    assert run(nodes=nodes, folds=folds).seconds == pytest.approx(seconds)


def test_a_worker_starts_once_and_every_fold_is_handed_out_and_written_down():
    found = run(costs=Costs(driver=0.5, service=0.25), nodes=1, folds=2, start=4.0)
    # One fold under way: the trial hears of the first before it asks for the second.
    assert found.seconds == pytest.approx(0.25 + 4 + 10 + 0.5 + 0.25 + 10 + 0.5)
    assert found.share == pytest.approx(20 / found.seconds)
    assert found.driver == pytest.approx(1 / found.seconds)


def test_no_cluster_is_faster_than_its_driver():
    found = run(costs=Costs(driver=1.0, service=0.0), nodes=100, folds=400)
    assert found.seconds >= 400
    assert found.driver > 0.95


def test_where_the_time_of_folds_varies_slots_are_kept_busy_by_more_trials_than_they_hold():
    found = run(nodes=50, folds=4000, spread=0.2, costs=Costs(driver=0.01, service=0.005))
    assert found.share > 0.95
    waits = validated(Plan, {"name": "p", "search": {"algorithm": "optuna", "stopping": {"kind": "none"}}})
    assert run(waits, nodes=50, folds=4000, spread=0.2).share < found.share


def test_the_start_and_the_end_are_not_steady():
    # Two slots, folds of 10 s: a late start, then two folds in 10 s, two in 20 s, and a slow last two.
    told = [(100.0, 1), (100.0, 2), (110.0, 4), (130.0, 6), (200.0, 8)]
    assert steady_share(told, slots=2, seconds=10.0) == pytest.approx(4 * 10 / (2 * 30))
    found = run(nodes=4, folds=40, start=50.0)
    assert found.steady == pytest.approx(1.0)
    assert found.share < 0.8
