"""The benchmark of the final, in short: its number lies in its own interval, and the search's own is too high."""

from __future__ import annotations

import numpy as np

from tests.bench.bench_final import World, coverage, replay


def test_the_truth_lies_in_the_final_s_interval_and_the_search_s_own_number_is_above_it():
    searched, final = zip(*(replay(World(), seed) for seed in range(50)), strict=True)
    assert coverage(list(final)) >= 0.9
    optimism = np.array([one.number - one.truth for one in searched])
    error = np.array([one.number - one.truth for one in final])
    assert optimism.mean() > 2 * optimism.std() / np.sqrt(len(optimism))
    assert abs(error.mean()) < 3 * error.std() / np.sqrt(len(error))
    assert coverage(list(searched)) < coverage(list(final))
