"""Novelty against written-out sums, and the share of known types that is called unknown."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis
from scipy.stats import binom

from fsamc.classifier.novelty import Novelty, NoveltySettings

SETTINGS = NoveltySettings()
SIZES = [(5, 5, 5), (2, 7, 4), (3, 3)]


def drawn(sizes=(5, 5, 5), *, dim=40, seed=0, queries=6):
    """Queries [Q, E] of the types in turn, and the support: types lie apart by half of what their images do."""
    generator = np.random.default_rng(seed)
    middles = generator.normal(size=(len(sizes), dim)) / 2
    support = [middle + generator.normal(size=(size, dim)) for middle, size in zip(middles, sizes, strict=True)]
    labels = np.arange(queries) % len(sizes)
    return middles[labels] + generator.normal(size=(queries, dim)), support


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("dim", [3, 40])
def test_novelty_is_the_distance_by_the_inverse_of_the_shrunk_covariance(sizes, dim):
    queries, support = drawn(sizes, dim=dim)
    means = [images.mean(0) for images in support]
    within = np.concatenate([images - mean for images, mean in zip(support, means, strict=True)])
    freedom = len(within) - len(sizes)
    mean_variance = (within**2).sum() / freedom / freedom
    inverse = np.linalg.inv(0.7 * within.T @ within / freedom + 0.3 * mean_variance * np.eye(dim))
    middle = np.mean(means, axis=0)
    expected = [
        min(mahalanobis(query, mean, inverse) ** 2 for mean in means) - 0.4 * mahalanobis(query, middle, inverse) ** 2
        for query in queries
    ]
    np.testing.assert_allclose(Novelty(support, SETTINGS)(queries), expected)


def test_each_left_out_image_is_measured_beside_the_others_as_a_query_is():
    _, support = drawn((2, 3))
    expected = [
        Novelty([support[0][1:], support[1]], SETTINGS)(support[0][:1])[0],
        Novelty([support[0][:1], support[1]], SETTINGS)(support[0][1:])[0],
        *(Novelty([support[0], np.delete(support[1], i, 0)], SETTINGS)(support[1][[i]])[0] for i in range(3)),
    ]
    np.testing.assert_allclose(Novelty(support, SETTINGS).left_out, expected)


@pytest.mark.parametrize("sizes", SIZES)
def test_p_values_are_shares_of_comparisons_beside_the_support_without_each_image(sizes):
    queries, support = drawn(sizes)
    at_least = np.zeros(len(queries), int)
    for label, images in enumerate(support):
        for row in range(len(images)):
            others = [*support]
            others[label] = np.delete(images, row, 0)
            at_least += Novelty(others, SETTINGS)(images[[row]]) >= Novelty(others, SETTINGS)(queries)
    np.testing.assert_array_equal(Novelty(support, SETTINGS).p_values(queries), (1 + at_least) / (1 + sum(sizes)))


def test_p_values_by_hand():
    """A stranger is beyond all nine images; an image amid its type is as usual as can be; one shot is never unknown."""
    _, support = drawn((5, 4))
    strange, usual = support[0].mean(0) + 1000, support[0].mean(0)
    np.testing.assert_array_equal(Novelty(support, SETTINGS).p_values(np.stack([strange, usual])), [1 / 10, 1])
    alone = [images[:1] for images in support]
    np.testing.assert_array_equal(Novelty(alone, SETTINGS).left_out, [np.inf, np.inf])
    np.testing.assert_array_equal(Novelty(alone, SETTINGS).p_values(strange[None]), [1])
    np.testing.assert_array_equal(Novelty([support[0], support[1][:1]], SETTINGS).p_values(strange[None]), [2 / 7])


def test_other_categories_count_as_much_as_this_one():
    queries, support = drawn((5, 4))
    left_out = Novelty(support, SETTINGS).left_out
    scores = (Novelty(support, SETTINGS)(queries) - left_out.mean()) / left_out.std(ddof=1)
    elsewhere = [np.full(3, np.inf), np.array([scores[0], -np.inf])]
    expected = (Novelty(support, SETTINGS).p_values(queries) + 1 + (scores <= scores[0]) / 2) / 3
    np.testing.assert_allclose(Novelty(support, SETTINGS).p_values(queries, elsewhere=elsewhere), expected)


def test_a_category_lends_scores_of_its_own_scale():
    _, support = drawn((5, 4))
    lent = Novelty(support, SETTINGS).standard
    np.testing.assert_allclose([lent.mean(), lent.std(ddof=1)], [0, 1], atol=1e-12)
    np.testing.assert_array_equal(np.argsort(lent), np.argsort(Novelty(support, SETTINGS).left_out))
    np.testing.assert_allclose(Novelty([7 * images for images in support], SETTINGS).standard, lent)
    assert np.isinf(Novelty([support[0], support[1][:1]], SETTINGS).standard).tolist() == [False] * 5 + [True]
    assert np.isinf(Novelty([images[:1] for images in support], SETTINGS).standard).all()


@pytest.mark.parametrize("sizes", [(5, 5), (2, 2), (1, 4), (1, 1), (2, 1)])
def test_nothing_is_less_usual_than_the_least_p_value_says(sizes):
    _, support = drawn(sizes)
    stranger = support[0][:1] + 1e4
    for elsewhere in ([], [np.zeros(4)], [np.array([0, np.inf])], [np.zeros(4), np.ones(3)]):
        p = Novelty(support, SETTINGS).p_values(stranger, elsewhere=elsewhere)
        np.testing.assert_allclose(p, Novelty(support, SETTINGS).least_p_value(elsewhere=elsewhere))


def test_novelty_does_not_depend_on_the_order_or_on_how_space_is_turned():
    queries, support = drawn((3, 5, 2), dim=12)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(12, 12)))[0]
    shift = np.arange(12.0)
    others = [images[::-1] @ turn + shift for images in support[::-1]]
    np.testing.assert_allclose(Novelty(support, SETTINGS)(queries), Novelty(others, SETTINGS)(queries @ turn + shift))


def test_novelty_is_also_of_one_image_a_type_and_of_two_in_all():
    queries, support = drawn((1, 1))
    apart = [np.square(queries - images[0]).sum(1) for images in support]
    middle = np.square(queries - np.concatenate(support).mean(0)).sum(1)
    np.testing.assert_allclose(Novelty(support, SETTINGS)(queries), np.min(apart, 0) - 0.4 * middle)


def test_novelty_grows_without_end_away_from_all_types():
    _, support = drawn()
    away = support[0].mean(0) + np.outer([0, 3, 10, 100], np.ones(40))
    assert (np.diff(Novelty(support, SETTINGS)(away)) > 0).all()


@pytest.mark.parametrize("field", ["shrinkage", "relative"])
def test_the_knobs_bite(field):
    queries, support = drawn()
    other = SETTINGS.model_copy(update={field: 0.9})
    assert not np.allclose(Novelty(support, SETTINGS)(queries), Novelty(support, other)(queries))


@pytest.mark.parametrize(("sizes", "alpha"), [((5, 5), 0.1), ((5, 5, 5, 5), 0.05), ((3, 6), 0.2), ((4, 4, 4), 0.1)])
def test_known_types_are_called_unknown_at_the_stated_rate(sizes, alpha):
    """On types whose images vary alike, each as often asked as shown: over many supports, as one query each."""
    trials = 250
    unknown = 0
    for seed in range(trials):
        generator = np.random.default_rng([seed, 7])
        middles = generator.normal(size=(len(sizes), 12))
        support = [middle + generator.normal(size=(size, 12)) for middle, size in zip(middles, sizes, strict=True)]
        label = generator.choice(len(sizes), p=np.array(sizes) / sum(sizes))
        query = middles[label] + generator.normal(size=(1, 12))
        unknown += Novelty(support, SETTINGS).p_values(query)[0] <= alpha
    assert unknown <= binom.ppf(0.999, trials, alpha)
    assert unknown >= binom.ppf(0.001, trials, alpha / 4)  # it is a test, and does not merely never say no
