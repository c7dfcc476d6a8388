"""Intervals by betting: by hand, by their definition, and how often they miss where a test for normal ones does."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from scipy import stats

from sweeps.statistics.betting import interval_of_mean, staked

ERROR, STAKES, REPLAYS = 0.05, (0.5, 1.0), 60


def equal(differences):
    return [(1 / len(differences), gap) for gap in differences]


def test_two_draws_by_hand():
    # Against a mean of at least m, 0.5 pays 0.5 / (1 - m), twice: 4 = 2 / error at m = 0.75. Against one of at most m
    # it pays 1.5 / (1 + m): 4 at m = -0.25.
    assert interval_of_mean(equal([0.5, 0.5]), error=0.5, stakes=(1.0,)) == pytest.approx((-0.25, 0.75))


def test_units_weigh_as_they_do_in_the_mean():
    # Weights 3/4 and 1/4, differences 0.2 and -0.6: pays 2 * 0.75 * 0.8 / (1 - m) and 2 * 0.25 * 1.6 / (1 - m).
    (low, high) = interval_of_mean([(0.75, 0.2), (0.25, -0.6)], error=0.5, stakes=(1.0,))
    assert high == pytest.approx(1 - sqrt(1.2 * 0.8 / 4))
    assert low == pytest.approx(sqrt(1.8 * 0.2 / 4) - 1)


def test_at_the_ends_the_mean_of_the_wealths_is_what_refutes():
    gaps = [0.3, -0.1, 0.2, 0.05, 0.4, 0.0]
    low, high = interval_of_mean(equal(gaps), error=ERROR, stakes=STAKES)
    for sign, end in ((1, high), (-1, low)):
        wealth = np.ones(len(STAKES))
        for gap in gaps:
            wealth = staked(wealth, STAKES, (1 - sign * gap) / (1 - sign * end))
        assert wealth.mean() == pytest.approx(2 / ERROR)


def test_more_draws_and_a_larger_error_narrow_it_and_the_order_does_not_matter():
    gaps = [0.3, -0.1, 0.2, 0.05]
    width = lambda gaps, error: -np.subtract(*interval_of_mean(equal(gaps), error=error, stakes=STAKES))  # noqa: E731
    assert width(gaps * 4, ERROR) < width(gaps, ERROR)
    assert width(gaps, 0.2) < width(gaps, ERROR)
    assert interval_of_mean(equal(gaps), error=ERROR, stakes=STAKES) == pytest.approx(
        interval_of_mean(equal(gaps[::-1]), error=ERROR, stakes=STAKES)
    )


def test_it_holds_the_mean_of_lopsided_differences_where_students_t_does_not():
    """One draw in 25 is worth 0.48, the others lose 0.02: the mean is 0. Looked at after 10, 20 and 30 draws."""
    rng = np.random.default_rng(1)
    missed, missed_by_t = 0, 0
    for _ in range(REPLAYS):
        gaps = np.where(rng.random(30) < 1 / 25, 0.48, -0.02) + rng.normal(0, 1e-4, 30)
        ends = [interval_of_mean(equal(gaps[:n]), error=ERROR, stakes=STAKES) for n in (10, 20, 30)]
        missed += any(not low <= 0 <= high for low, high in ends)
        tests = [stats.ttest_1samp(gaps[:n], 0).pvalue for n in (10, 20, 30)]
        missed_by_t += min(tests) < ERROR
    allowed = stats.binom.ppf(0.99, REPLAYS, ERROR)
    assert missed <= allowed
    assert missed_by_t > allowed
