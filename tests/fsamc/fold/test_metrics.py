from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix as reference_matrix
from sklearn.metrics import f1_score, recall_score

from fsamc.fold.metrics import balanced_accuracy, confusion_matrix, macro_f1, recalls, wilson_interval
from tests.fsamc.results import RESULT

# true 0: right, right, taken for 2; true 1: taken for 0; true 2: right. Class 3 is not there at all.
TRUTH, PREDICTED, CLASSES = [0, 0, 0, 1, 2], [0, 0, 2, 0, 2], 4
labels = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40)


def test_hand_worked():
    assert confusion_matrix(TRUTH, PREDICTED, CLASSES).tolist() == [[2, 0, 1, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0] * 4]
    assert recalls(TRUTH, PREDICTED, CLASSES) == pytest.approx([2 / 3, 0, 1, math.nan], nan_ok=True)
    assert balanced_accuracy(TRUTH, PREDICTED, CLASSES) == pytest.approx((2 / 3 + 0 + 1) / 3)
    # F1 of 0: precision 2/3, recall 2/3; of 1: never named; of 2: precision 1/2, recall 1
    assert macro_f1(TRUTH, PREDICTED, CLASSES) == pytest.approx((2 / 3 + 0 + 2 / 3) / 3)


@given(labels)
def test_they_are_what_their_definitions_say(pairs):
    truth, predicted = zip(*pairs, strict=True)
    counts = confusion_matrix(truth, predicted, 4)
    assert np.array_equal(counts, reference_matrix(truth, predicted, labels=range(4)))
    there = [c for c in range(4) if c in truth]
    by_hand = {c: sum(p == t == c for t, p in pairs) / truth.count(c) for c in there}
    assert {c: recalls(truth, predicted, 4)[c] for c in there} == pytest.approx(by_hand)
    f1 = [2 * counts[c, c] / (counts[c].sum() + counts[:, c].sum()) for c in sorted({*truth, *predicted})]
    assert macro_f1(truth, predicted, 4) == pytest.approx(sum(f1) / len(f1))
    options = {"labels": range(4), "zero_division": np.nan}
    reference = recall_score(truth, predicted, average=None, **options)
    assert recalls(truth, predicted, 4) == pytest.approx(reference, nan_ok=True)
    assert macro_f1(truth, predicted, 4) == pytest.approx(f1_score(truth, predicted, average="macro", **options))


@pytest.mark.parametrize(("correct", "queries"), [(0, 5), (5, 5), (3, 10), (81, 263)])
def test_wilsons_ends_are_where_the_accuracy_is_as_many_deviations_away(correct, queries):
    low, high = wilson_interval(correct, queries)
    share = correct / queries
    assert 0 <= low <= share <= high <= 1
    for end in (low, high):
        if 0 < end < 1:  # z^2 = (share - end)^2 n / (end (1 - end)), z = 1.96
            assert (share - end) ** 2 * queries / (end * (1 - end)) == pytest.approx(1.959964**2, rel=1e-5)


@pytest.mark.parametrize(("correct", "queries"), [(3, 2), (-1, 2), (0, 0)])
def test_an_impossible_count_is_an_error(correct, queries):
    with pytest.raises(ValueError, match=r"n|k"):
        wilson_interval(correct, queries)


def test_a_fold_shows_its_measures():
    result = replace(
        RESULT,
        images=("1", "2", "3", "4", "5"),
        truth=(0, 0, 0, 0, 1),
        predicted=(0, 0, 1, 1, 1),
        stages={"inputs": 1.0, "classify": 0.5},
    )
    assert (result.queries, result.correct, result.accuracy) == (5, 3, 0.6)
    assert result.balanced_accuracy == 0.75  # half of the first class, all of the second
    assert result.seconds == 1.5
    assert result.confusion == [[2, 2], [0, 1]]
    assert result.recalls == {"a": 0.5, "b": 1.0}
    assert result.macro_f1 == pytest.approx((2 / 3 + 1 / 2) / 2)  # precision 1 and recall 1/2; 1/3 and 1
    assert result.accuracy_interval == wilson_interval(3, 5)
