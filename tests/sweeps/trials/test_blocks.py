"""Categories in blocks where their banks do not lie in memory together: another order, the same table."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby

import pytest

from sweeps.plan.settings import Search
from sweeps.trials.blocks import blocks_of, by_block, passes
from tests.sweeps.asleep import budget_spent_after, folds_that_sleep
from tests.sweeps.small import Lab, table, without_numbers

GRID = {"algorithm": "grid"}


def test_as_many_categories_are_in_a_block_as_fit(lab):
    found = lab.prepared(search=GRID)
    assert [sorted(block) for block in blocks_of(found, 1 << 30)] == [["cap", "tile"]]
    assert [sorted(block) for block in blocks_of(found, 1)] == [["cap"], ["tile"]]


def test_only_a_search_that_needs_no_whole_trial_goes_block_by_block(lab):
    ready = lab.prepared(search=GRID)
    for search, several in (
        (GRID, True),
        ({"algorithm": "random", "trials": 3}, True),
        ({"algorithm": "random", "trials": 3, "stopping": {"kind": "median"}}, False),
        ({"algorithm": "optuna", "trials": 3}, False),
    ):
        found = replace(ready, plan=ready.plan.model_copy(update={"search": Search.model_validate(search)}))
        blocks = blocks_of(found, 1)
        assert len(passes(found, blocks)) == (2 if several else 1)
        folds = by_block(found.folds(found.plan.base), blocks)
        assert [name for name, _ in groupby(fold.category for fold in folds)] == ["cap", "tile"]


@pytest.mark.slow
@pytest.mark.ray
def test_a_sweep_in_blocks_ends_in_the_same_table_also_when_resumed(lab: Lab):
    plan = lab.plan(
        space={"support.mean": {"choice": ["embedding", "residual"]}, "representation.patches": {"choice": [3, 5]}}
    )
    words, out = lab.words(plan, "resources.working_set=0", "--no-reuse", out="blocks"), lab.root / "blocks"
    with folds_that_sleep(0.05):
        whole = lab.sweep(plan, out="whole")
        with budget_spent_after(9, out):
            lab.finish(words)
        begun = table(out)["category"].tolist()
        assert 8 <= len(begun) < 16
        assert begun.count("cap") == 8  # no tile before the last cap
        assert 0 < begun.count("tile") < 8
        lab.finish(words)
    assert without_numbers(table(out)) == without_numbers(table(whole))
    assert (out / "summary.csv").read_text() == (whole / "summary.csv").read_text()
