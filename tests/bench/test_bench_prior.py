"""The benchmark of priors, in short: one that misleads costs little."""

from __future__ import annotations

import numpy as np
import pytest

from tests.bench.bench_prior import priors, searched
from tests.bench.bench_search import RECORDED, read_table, until_near


@pytest.mark.slow
def test_on_the_recorded_table_a_prior_of_the_worst_configurations_costs_a_tenth_of_the_folds_at_the_most():
    table = read_table(RECORDED)
    every = priors(table)
    needed = {
        name: np.mean([until_near(table, searched(table, seed, every[name](seed))) for seed in range(20)])
        for name in ("no prior", "the worst of all")
    }
    assert needed["the worst of all"] <= 1.1 * needed["no prior"]
