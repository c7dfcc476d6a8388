"""Categories in blocks where their banks do not lie in memory together: another order, the same table."""

from __future__ import annotations

from itertools import groupby

import pytest

from sweeps.trials.blocks import blocks_of, by_block, passes
from tests.sweeps.small import Lab, n_rows, table, without_numbers
from tests.sweeps.test_estimate import prepared

GRID = {"algorithm": "grid"}


def test_as_many_categories_are_in_a_block_as_fit(lab):
    found = prepared(lab, search=GRID)
    assert [sorted(block) for block in blocks_of(found, 1 << 30)] == [["cap", "tile"]]
    assert [sorted(block) for block in blocks_of(found, 1)] == [["cap"], ["tile"]]


def test_only_a_search_that_needs_no_whole_trial_goes_block_by_block(lab):
    for search, several in (
        (GRID, True),
        ({"algorithm": "random", "trials": 3}, True),
        ({"algorithm": "random", "trials": 3, "stopping": {"kind": "median"}}, False),
        ({"algorithm": "optuna", "trials": 3}, False),
    ):
        found = prepared(lab, search=search)
        blocks = blocks_of(found, 1)
        assert len(passes(found, blocks)) == (2 if several else 1)
        folds = by_block(found.folds(found.plan.base), blocks)
        assert [name for name, _ in groupby(fold.category for fold in folds)] == ["cap", "tile"]


@pytest.mark.ray
@pytest.mark.slow
def test_a_sweep_in_blocks_ends_in_the_same_table_also_after_a_kill(lab: Lab):
    plan = lab.plan(space={"shots": {"choice": [2, 3]}, "head.patches": {"choice": [3, 5]}})
    whole = lab.sweep(plan, out="whole")
    small = lab.words(plan, "resources.working_set=0", "--no-reuse", out="blocks")
    out = lab.root / "blocks"
    lab.kill_when(lambda: n_rows(out) >= 10, small)
    begun = table(out)["category"].tolist()
    assert begun == sorted(begun)  # no tile before the last cap
    lab.finish(small)
    assert without_numbers(table(out)) == without_numbers(table(whole))
    assert (out / "summary.csv").read_text() == (whole / "summary.csv").read_text()
