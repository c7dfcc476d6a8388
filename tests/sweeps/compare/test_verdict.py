"""Verdicts on two trials: the unit is a category's draw, and what is said of an interval."""

from __future__ import annotations

import pytest

from sweeps.compare.verdict import Verdict, judge
from sweeps.plan.search_settings import Stopping

# Category a has draws 0 and 1 in two seeds each, which share a support; b has draw 0 in one.
OURS = {("a", 1, 0, 2): 0.9, ("a", 2, 0, 2): 0.7, ("a", 1, 1, 2): 0.6, ("a", 2, 1, 2): 0.6, ("b", 1, 0, 2): 0.5}
THEIRS = {("a", 1, 0, 2): 0.5, ("a", 2, 0, 2): 0.7, ("a", 1, 1, 2): 0.6, ("a", 2, 1, 2): 0.4, ("b", 1, 0, 2): 0.7}


def test_by_hand():
    # Draws of a: (0.4 + 0) / 2 and (0 + 0.2) / 2, a quarter each; of b -0.2, a half: 0.05 + 0.025 - 0.1 in the mean.
    found = judge(OURS | {("c", 1, 0, 2): 1.0}, THEIRS, Stopping(error=0.5, stakes=(1.0,)))
    assert (found.folds, found.draws) == (5, 3)
    assert found.difference == pytest.approx(-0.025)
    # Pays 3 * 0.25 * 0.8, 3 * 0.25 * 0.9 and 3 * 0.5 * 1.2, over (1 - m) cubed; 4 is enough.
    assert found.high == pytest.approx(1 - (0.6 * 0.675 * 1.8 / 4) ** (1 / 3))
    assert found.low == pytest.approx((0.9 * 0.825 * 1.2 / 4) ** (1 / 3) - 1)
    assert found.conclusion == "cannot be told from 5 folds"


def test_none_where_no_fold_is_shared():
    assert judge(OURS, {("a", 1, 0, 5): 0.5}, Stopping()) is None


@pytest.mark.parametrize(
    ("low", "high", "margin", "conclusion"),
    [
        (0.02, 0.3, 0.01, "better by more than 1 point"),
        (0.005, 0.3, 0.01, "better"),
        (0.02, 0.3, 0.0, "better"),
        (-0.3, -0.05, 0.02, "worse by more than 2 points"),
        (-0.3, -0.01, 0.02, "worse"),
        (-0.01, 0.01, 0.01, "equivalent within 1 point"),
        (-0.02, 0.01, 0.01, "cannot be told from 1 fold"),
    ],
)
def test_what_is_said(low, high, margin, conclusion):
    found = Verdict(folds=1, draws=1, difference=0.0, low=low, high=high, margin=margin, error=0.05)
    assert found.conclusion == conclusion


def test_many_equal_draws_are_equivalent_and_a_clear_difference_is_better():
    places = [("ab"[n % 2], 1, n, 2) for n in range(1000)]
    same = judge(dict.fromkeys(places, 0.7), dict.fromkeys(places, 0.7), Stopping())
    assert same.conclusion == "equivalent within 1 point"
    clear = judge(dict.fromkeys(places[:30], 0.9), dict.fromkeys(places[:30], 0.7), Stopping())
    assert clear.conclusion.startswith("better")
