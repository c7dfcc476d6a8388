"""Whether tuning was worth it: what best.yaml is, and why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from fsamc.config.dotted import validated
from sweeps.plan.load import load_plan, plan_hash
from sweeps.plan.settings import Plan
from sweeps.results import tables
from sweeps.results.choices import recommendation
from sweeps.results.reader import typed_folds
from sweeps.results.rows import read_rows

RECORDED = Path(__file__).parents[2] / "data" / "search" / "folds.csv"
PLAN = validated(Plan, {"name": "x"})
NONE = pd.DataFrame()


def folds(scores: dict[tuple[int, str, int, int], float]) -> pd.DataFrame:
    """folds.csv of (trial, category, seed, draw) -> accuracy."""
    rows = [(*key, 2, score) for key, score in scores.items()]
    table = pd.DataFrame(rows, columns=["trial", *tables.FOLD, "accuracy"])
    filled = table.assign(config="c", head="prototype", correct=1.0, queries=2.0, status="ok", seconds=1.0)
    return filled[tables.FIXED]


def by_category(gaps: dict[int, dict[str, list[float]]], base: float = 0.5) -> pd.DataFrame:
    """Trials by number that are so far above the base, per category and draw."""
    draws = {(name, draw) for of in gaps.values() for name, each in of.items() for draw in range(len(each))}
    scores = {(0, name, 1, draw): base for name, draw in draws}
    more = {
        (trial, name, 1, draw): base + gap
        for trial, of in gaps.items()
        for name, each in of.items()
        for draw, gap in enumerate(each)
    }
    return folds(scores | more)


def test_the_gain_on_the_category_left_out_is_worked_out_by_hand():
    # Without cap, trial 2 is best; without tile, trial 1. On average trial 1 is.
    table = by_category(
        {1: {"cap": [0.30, 0.20], "tile": [0.02, 0.04]}, 2: {"cap": [0.04, 0.06], "tile": [0.10, 0.12]}}
    )
    found = recommendation(PLAN, table, NONE)
    gaps = np.array([0.04, 0.06, 0.02, 0.04])
    assert (found.best, found.over, found.folds) == (1, "category", 4)
    assert found.gain == pytest.approx(gaps.mean())
    assert found.low == pytest.approx(gaps.mean() - t.ppf(0.95, 3) * gaps.std(ddof=1) / 2)
    assert found.low > 0
    assert found.trial == 1
    assert "+4.0 points to the base there, above it" in found.line


def test_within_the_noise_the_base_is_recommended_and_it_is_said_why():
    table = by_category({1: {"cap": [0.30, -0.20], "tile": [0.05, 0.05]}, 2: {"cap": [0.0, 0.0], "tile": [0.06, 0.0]}})
    found = recommendation(PLAN, table, NONE)
    assert (found.trial, found.best, found.abstains) == (0, 1, True)
    assert found.line.startswith("best.yaml is trial 0, the base, and not the best trial: chosen without a category, ")
    assert "not above it by more than the noise" in found.line
    kept = PLAN.model_copy(update={"objective": PLAN.objective.model_copy(update={"abstain": False})})
    assert recommendation(kept, table, NONE).trial == 1
    assert plan_hash(load_plan(None, ["objective.abstain=false"])) == plan_hash(load_plan(None))


@pytest.mark.parametrize(("places", "over"), [([(1, 0), (1, 1), (1, 2)], "draw"), ([(1, 0), (2, 0), (3, 0)], "seed")])
def test_of_one_category_draws_are_left_out_or_else_seeds(places, over):
    scores = {(trial, "cap", *place): 0.5 + 0.2 * trial for trial in (0, 1) for place in places}
    found = recommendation(PLAN, folds(scores), NONE)
    assert (found.trial, found.over, found.folds) == (1, over, 3)


def test_where_there_is_nothing_to_leave_out_or_nothing_was_tuned():
    alone = recommendation(PLAN, folds({(0, "cap", 1, 0): 0.5, (1, "cap", 1, 0): 0.9}), NONE)
    assert (alone.trial, alone.best) == (0, 1)
    assert "nothing says whether tuning beat the base" in alone.line
    best = recommendation(PLAN, folds({(0, "cap", 1, 0): 0.9, (1, "cap", 1, 0): 0.5}), NONE)
    assert (best.trial, best.line) == (0, "")
    assert recommendation(PLAN, folds({(0, "cap", 1, 0): 0.5, (1, "tile", 1, 0): 0.9}), NONE) is None


def test_on_the_recorded_table_what_is_recommended_is_not_below_the_default_on_a_category_that_had_no_say():
    every = tables.finished(typed_folds(read_rows(RECORDED)))
    rng = np.random.default_rng(0)
    gains, tuned = [], 0
    for _ in range(10):
        trials = rng.choice(every["trial"].unique(), 20, replace=False)
        numbers = dict(zip(trials, range(20), strict=True))
        sweep = every[every["trial"].isin(trials)].assign(trial=lambda rows, of=numbers: rows["trial"].map(of))
        means = sweep.groupby(["category", "trial"])["accuracy"].mean()
        for category in means.index.unique("category"):
            found = recommendation(PLAN, sweep[sweep["category"] != category], NONE)
            gains.append(means[category, found.trial] - means[category, 0])
            tuned += found.trial != 0
    assert np.mean(gains) >= -0.005
    assert tuned > 5
    assert np.mean(gains) > 0.02, "a base drawn at random has much to gain"
