from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from fsamc.training.episodes import Round, algorithm_1, algorithm_2, another_round, pretraining_round

# (which shot of a class is the query, which shot of every class is the support), of each class in turn
ALGORITHM_1 = {
    2: [(0, 1), (1, 0)],
    3: [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)],
    5: [
        (0, 1), (0, 2), (0, 3), (0, 4),
        (1, 0), (1, 2), (1, 3), (1, 4),
        (2, 0), (2, 1), (2, 3), (2, 4),
        (3, 0), (3, 1), (3, 2), (3, 4),
        (4, 0), (4, 1), (4, 2), (4, 3),
    ],
}  # fmt: skip
ALGORITHM_2 = {2: [(1, 0)], 3: [(1, 0), (2, 0)], 5: [(1, 0), (2, 0), (3, 0), (4, 0)]}


@pytest.mark.parametrize(("algorithm", "episodes"), [(algorithm_1, ALGORITHM_1), (algorithm_2, ALGORITHM_2)])
@pytest.mark.parametrize("shots", [2, 3, 5])
def test_the_papers_episodes_of_three_classes(algorithm, episodes, shots):
    assert list(algorithm(3, shots)) == [(label, *pair) for label in range(3) for pair in episodes[shots]]


LABELS = np.array([7, 7, 3, 3, 3, 5, 5, 5, 5, 9, 9])


def rounds(count: int, *, n_classes: int = 3, n_queries: int = 4, seed: int = 0) -> list[Round]:
    generator = torch.Generator().manual_seed(seed)
    return [
        pretraining_round(LABELS, n_classes=n_classes, n_queries=n_queries, generator=generator) for _ in range(count)
    ]


def test_a_round_is_one_support_of_each_drawn_class_and_other_images_of_theirs():
    for drawn in rounds(200):
        classes = LABELS[drawn.support]
        assert len(classes) == len(set(classes)) == 3, "no pseudo-class twice"
        assert len(drawn.queries) == len(set(drawn.queries)) == len(drawn.labels) == 4
        assert not set(drawn.support) & set(drawn.queries), "a support image among the queries"
        np.testing.assert_array_equal(classes[drawn.labels], LABELS[drawn.queries])


@pytest.mark.parametrize(("n_classes", "available"), [(2, None), (4, 7), (99, 7)])
def test_a_round_takes_all_there_are_where_more_are_asked_for(n_classes, available):
    for drawn in rounds(20, n_classes=n_classes, n_queries=1000):
        others = [(label == LABELS).sum() - 1 for label in LABELS[drawn.support]]
        assert len(drawn.support) == min(n_classes, 4)
        assert len(drawn.queries) == len(set(drawn.queries)) == sum(others)
        assert available in (None, len(drawn.queries))


@pytest.mark.parametrize("n_classes", [2, 3, 4])
def test_another_round_is_of_other_classes_as_far_as_there_are(n_classes):
    generator, recurring = torch.Generator().manual_seed(0), []
    for first in rounds(50, n_classes=n_classes):
        other = another_round(LABELS, first, n_queries=4, generator=generator)
        classes = LABELS[other.support]
        assert len(set(classes)) == n_classes
        assert not set(other.support) & set(other.queries)
        np.testing.assert_array_equal(classes[other.labels], LABELS[other.queries])
        recurring.append(bool(set(classes) & set(LABELS[first.support])))
    assert set(recurring) == {n_classes > 2}, "two of four leave two; three of four leave one"


def test_another_round_of_the_same_classes_has_them_in_another_order_and_other_images():
    generator = torch.Generator().manual_seed(1)
    pairs = [
        (first, another_round(LABELS, first, n_queries=4, generator=generator)) for first in rounds(50, n_classes=4)
    ]
    assert sum(list(LABELS[a.support]) != list(LABELS[b.support]) for a, b in pairs) > 40
    assert sum(set(a.queries) != set(b.queries) for a, b in pairs) > 40


def test_everything_is_drawn_and_about_evenly():
    drawn = rounds(2000)
    classes = Counter(label for one in drawn for label in LABELS[one.support])
    assert all(abs(classes[label] / 2000 - 0.75) < 0.05 for label in (3, 5, 7, 9))
    supports = Counter(row for one in drawn for row in one.support)
    assert all(abs(supports[row] / classes[5] - 0.25) < 0.05 for row in np.flatnonzero(LABELS == 5))
    assert {row for one in drawn for row in one.queries} == set(range(len(LABELS)))
    places = Counter(label for one in drawn for label in one.labels)
    assert all(abs(places[place] / 8000 - 1 / 3) < 0.05 for place in range(3)), "a class's place says what it is"


def test_rounds_are_a_function_of_the_generator():
    def listed(seed: int) -> list[list[list[int]]]:
        return [[part.tolist() for part in one] for one in rounds(5, seed=seed)]

    assert listed(0) == listed(0) != listed(1)
    assert len({str(one) for one in listed(0)}) == 5
