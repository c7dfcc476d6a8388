"""Probabilities, known types and sets of types, of supports of any sizes."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from scipy.stats import binom

from fsamc.classifier.calibration import (
    Calibration,
    CalibrationSettings,
    calibrate,
    fit_temperature,
    label_sets,
    probabilities,
)
from fsamc.classifier.novelty import Novelty
from tests.fsamc.classifier.test_novelty import drawn

SETTINGS = CalibrationSettings()


def cosines(queries, support):
    """What a simple head says, float [Q, C]; NaN for a type without an image."""
    means = [images.mean(0) if len(images) else np.full(queries.shape[1], np.nan) for images in support]
    return np.stack([queries @ mean / np.linalg.norm(queries, axis=1) / np.linalg.norm(mean) for mean in means], axis=1)


def left_out(support):
    """The same of each support image, beside the others; rows of NaN where its type would be left empty."""
    rows = []
    for label, images in enumerate(support):
        for row in range(len(images)):
            others = [np.delete(one, row, 0) if k == label else one for k, one in enumerate(support)]
            rows.append(cosines(images[[row]], others)[0])
    rows = np.array(rows)
    rows[np.isnan(rows).any(1)] = np.nan
    return rows


def calibrated(sizes=(5, 5, 5), *, seed=0, queries=6, **changed) -> tuple[Calibration, np.ndarray, np.ndarray]:
    """A calibration of a drawn support, queries and their scores."""
    asked, support = drawn(sizes, seed=seed, queries=queries)
    made = calibrate(support, left_out(support), head="prototype", settings=SETTINGS, **changed)
    return made, asked, cosines(asked, support)


def labelled(temperature, n, *, seed=0):
    """Scores that are right probabilities at a temperature, and labels drawn from these."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(n, 4)) * 2
    labels = np.array([generator.choice(4, p=row) for row in softmax(logits, axis=1)], int)
    return logits * temperature, labels


@pytest.mark.parametrize("temperature", [0.1, 1.0, 5.0])
def test_the_temperature_of_many_answers_is_recovered(temperature):
    scores, labels = labelled(temperature, 4000)
    fitted = fit_temperature(scores, labels, default=1.0, spread=0.5)
    assert fitted == pytest.approx(temperature, rel=0.06)
    np.testing.assert_allclose(probabilities(scores, fitted).sum(1), 1)


def test_without_answers_the_temperature_is_the_default_and_with_few_it_lies_between():
    scores, labels = labelled(5.0, 12)
    assert fit_temperature(scores[:0], labels[:0], default=0.3, spread=0.5) == 0.3
    free = fit_temperature(scores, labels, default=0.3, spread=10)
    drawn_back = [fit_temperature(scores, labels, default=0.3, spread=spread) for spread in (0.1, 0.3, 1.0)]
    assert [0.3, *drawn_back, free] == sorted([0.3, *drawn_back, free])


def test_the_temperature_is_the_best_on_a_grid():
    scores, labels = labelled(2.0, 20)
    grid = np.linspace(-3, 3, 4001)
    losses = [
        log**2 / 2 / 0.5**2 - log_softmax(scores / math.exp(log), axis=1)[np.arange(20), labels].sum() for log in grid
    ]
    fitted = fit_temperature(scores, labels, default=1.0, spread=0.5)
    assert math.log(fitted) == pytest.approx(grid[np.argmin(losses)], abs=2e-3)


def test_label_sets_by_hand():
    """Of five images, the query among them: 0.3 is exceeded by two of four, so p = 3/5; 0.5 by one; 0.8 by none."""
    chances, misfits = np.array([[0.7, 0.1, 0.2], [0.5, 0.25, 0.25], [0.1, 0.05, 0.85]]), np.array([0.4, 0.1, 0.6, 0.2])
    assert label_sets(chances, misfits, alpha=0.15).tolist() == [[True] * 3] * 3
    expected = [[True, False, False], [True, False, False], [False, False, True]]
    assert label_sets(chances, misfits, alpha=0.3).tolist() == expected
    tie = label_sets(np.array([[0.4, 0.35, 0.25]]), misfits, alpha=0.3)
    assert tie.tolist() == [[True, False, False]]
    assert label_sets(np.array([[0.4, 0.4, 0.2]]), misfits, alpha=0.3).tolist() == [[True, True, False]]  # 0.6 is a tie


def test_the_likeliest_type_is_always_in_the_set():
    chances = np.array([[0.34, 0.33, 0.33]])
    assert label_sets(chances, np.zeros(30), alpha=0.1).tolist() == [[True, False, False]]


@pytest.mark.parametrize("sizes", [(5, 5, 5), (2, 7, 4), (1, 6), (1, 1), (2, 2), (1, 1, 1, 1)])
def test_every_support_is_answered_for(sizes):
    made, queries, scores = calibrated(sizes)
    answers = made.answer(queries, scores, alpha=0.1)
    np.testing.assert_allclose(answers.probabilities.sum(1), 1)
    np.testing.assert_array_equal(answers.probabilities.argmax(1), scores.argmax(1))
    usual = Novelty(made.support, SETTINGS.novelty).p_values(queries)
    np.testing.assert_array_equal(answers.is_known, usual > 0.1)
    assert answers.sets[answers.is_known, answers.probabilities[answers.is_known].argmax(1)].all()
    assert not answers.sets[~answers.is_known].any()


def test_each_image_is_answered_for_by_itself():
    made, queries, scores = calibrated()
    together = made.answer(queries, scores, alpha=0.2)
    for row in range(len(queries)):
        alone = made.answer(queries[[row]], scores[[row]], alpha=0.2)
        assert alone.is_known == together.is_known[row]
        np.testing.assert_array_equal(alone.sets[0], together.sets[row])


def test_a_higher_alpha_knows_less_and_has_smaller_sets():
    made, queries, scores = calibrated(queries=60)
    answers = [made.answer(queries, scores, alpha=alpha) for alpha in (0.05, 0.1, 0.2, 0.5, 0.9)]
    for lower, higher in pairwise(answers):
        assert not (higher.is_known & ~lower.is_known).any()
        assert not (higher.sets & ~lower.sets).any()


@pytest.mark.parametrize(
    ("sizes", "alpha", "enough", "needed"),
    [
        ((5, 4), 0.1, True, 9),
        ((4, 4), 0.1, False, 9),
        ((5, 5, 5), 0.05, False, 19),
        ((10, 9), 0.05, True, 19),
        ((2, 2), 0.2, True, 4),
        ((1, 9), 0.1, False, 9),
        ((1, 18), 0.1, True, 9),
        ((1, 1), 0.5, False, 1),
    ],
)
def test_too_few_photos_are_said_and_call_nothing_unknown(sizes, alpha, enough, needed):
    """The least p is 1 / (n + 1), and each type of one photo makes that one more."""
    made, queries, scores = calibrated(sizes)
    assert made.calibrated(alpha) is enough
    assert made.photos_needed(alpha) == needed
    answers = made.answer(queries + 1000, scores, alpha=alpha)
    assert answers.is_known.any() is not np.bool_(enough)
    assert not answers.sets[~answers.is_known].any()


def test_other_categories_carry_what_few_photos_cannot():
    elsewhere = [np.zeros(20), np.ones(20)]
    few, queries, scores = calibrated((2, 2), elsewhere=elsewhere)
    assert few.calibrated(0.1)
    assert few.photos_needed(0.1) == 3
    assert not few.calibrated(0.05)
    assert not few.answer(queries + 1000, scores, alpha=0.1).is_known.any()


def test_sets_of_known_images_hold_the_type_at_the_stated_rate():
    """Over many supports, one query each; left-out heads have seen less, so the error may be lower."""
    trials, alpha, missed = 300, 0.2, 0
    for seed in range(trials):
        made, queries, scores = calibrated((5, 5, 5), seed=seed, queries=3)
        answers = made.answer(queries[[seed % 3]], scores[[seed % 3]], alpha=alpha)
        missed += bool(answers.is_known[0]) and not answers.sets[0, seed % 3]
    assert missed <= binom.ppf(0.999, trials, alpha)
    assert missed > 0


def test_types_of_one_photo_count_as_missed():
    support = drawn((1, 5))[1]
    made = calibrate(support, left_out(support), head="prototype", settings=SETTINGS)
    assert made.misfits[0] == 1
    assert (made.misfits[1:] < 1).all()


def test_a_copy_of_a_photo_changes_nothing():
    _, support = drawn((3, 4))
    scores = left_out(support)
    again = [np.concatenate([support[0], support[0][[1]] * (1 + 1e-7)]), support[1]]
    once = calibrate(support, scores, head="prototype", settings=SETTINGS)
    twice = calibrate(again, np.insert(scores, 3, scores[1], axis=0), head="prototype", settings=SETTINGS)
    assert twice.temperature == once.temperature
    np.testing.assert_array_equal(twice.misfits, once.misfits)
    for mine, other in zip(twice.support, once.support, strict=True):
        np.testing.assert_array_equal(mine, other)
    one_photo = [support[0][[0, 0, 0]], support[1]]
    unseen = np.insert(scores[3:], 0, np.full((3, 2), np.nan), axis=0)
    assert not calibrate(one_photo, unseen, head="prototype", settings=SETTINGS).calibrated(0.2)


def test_a_head_that_is_not_named_begins_at_one():
    support = drawn((1, 1))[1]
    assert calibrate(support, left_out(support), head="contrastive", settings=SETTINGS).temperature == 1
    prototype = calibrate(support, left_out(support), head="prototype", settings=SETTINGS)
    assert prototype.temperature == SETTINGS.temperatures["prototype"]


def test_what_cannot_be_calibrated_is_said():
    support = drawn((3, 3))[1]
    with pytest.raises(ValueError, match=r"types of \[3\] images; expected two types"):
        calibrate(support[:1], np.zeros((3, 1)), head="prototype", settings=SETTINGS)
    with pytest.raises(ValueError, match=r"types of \[3, 0\] images"):
        calibrate([support[0], support[1][:0]], np.zeros((3, 2)), head="prototype", settings=SETTINGS)
    with pytest.raises(ValueError, match=r"left_out: shape \(5, 2\); expected \(6, 2\)"):
        calibrate(support, np.zeros((5, 2)), head="prototype", settings=SETTINGS)
