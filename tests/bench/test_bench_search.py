"""The benchmark of the search, in short: what the product promises of a search that races, on the recorded table."""

from __future__ import annotations

from math import inf

import pytest

from sweeps.plan.search_settings import Stopping
from tests.bench.bench_search import RECORDED, Replay, Table, hits, read_table, replay, until_near

HEADER = (
    "trial,config,category,seed,draw,shots,head,accuracy,correct,queries,status,seconds,representation.patches,good\n"
)


@pytest.fixture
def table(tmp_path) -> Table:
    """Two knobs, four configurations, two categories and two draws; one configuration is far ahead."""
    lines = []
    grid = [(patches, good) for patches in (5, 20) for good in ("true", "false")]
    for trial, (patches, good) in enumerate(grid):
        for category in ("cap", "tile"):
            for draw in (0, 1):
                accuracy = 0.9 if trial == 2 else 0.1 * (trial + draw)
                lines.append(f"{trial},c,{category},1,{draw},2,prototype,{accuracy},1,10,ok,1.0,{patches},{good}\n")
    (tmp_path / "folds.csv").write_text(HEADER + "".join(lines))
    return read_table(tmp_path / "folds.csv")


def test_a_table_is_read_as_a_sweep_runs_it(table):
    assert table.n_folds == 16
    assert [list(values.values()) for values in table.values.values()] == [
        [5, True],
        [5, False],
        [20, True],
        [20, False],
    ]
    first = next(iter(table.scores.values()))
    assert list(first) == [("cap", 1, 0, 2), ("tile", 1, 0, 2), ("cap", 1, 1, 2), ("tile", 1, 1, 2)]
    assert table.average(list(table.scores)[3]) == pytest.approx(0.35)


def test_a_replay_spends_no_fold_twice_and_no_more_than_it_may(table):
    whole = replay(table, "optuna", 0, Stopping(kind="none"), share=1)
    assert whole.spent <= 16
    assert whole.at(16) == pytest.approx(0.9)
    assert not whole.stopped
    half = replay(table, "optuna", 0, Stopping(kind="none"), share=0.5)
    assert half.spent == 8
    assert half.chosen == whole.chosen[: len(half.chosen)]


def test_a_race_spends_less_and_chooses_as_well(table):
    raced = [replay(table, "optuna", seed, Stopping(kind="race"), share=1) for seed in range(8)]
    assert any(one.stopped for one in raced)
    assert all(one.spent < 16 for one in raced if one.stopped)
    assert hits(table, raced, 16) == 8
    assert all(until_near(table, one) <= 16 for one in raced)


def test_what_never_comes_near_takes_for_ever(table):
    one: Replay = replay(table, "random", 0, Stopping(kind="none"), share=1)
    one.chosen = [(4, 0.2)]
    assert until_near(table, one) == inf


@pytest.mark.slow
def test_on_the_recorded_table_a_race_is_within_a_point_for_a_quarter_of_the_folds_in_18_of_20():
    table = read_table(RECORDED)
    assert len(table.scores) >= 120
    assert table.n_folds >= 8 * 120
    found = [replay(table, "optuna", seed, Stopping(), share=1 / 4) for seed in range(20)]
    assert hits(table, found, table.n_folds // 4) >= 18
