"""Scores of a classification, from true and predicted labels in [0, n_classes); all in [0, 1]."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Labels = Sequence[int] | np.ndarray


def confusion_matrix(truth: Labels, predicted: Labels, n_classes: int) -> np.ndarray:
    """Return counts int64 [n_classes, n_classes]: row = true class, column = predicted class."""
    matrix = np.zeros((n_classes, n_classes), dtype=np.int64)
    np.add.at(matrix, (np.asarray(truth, dtype=int), np.asarray(predicted, dtype=int)), 1)
    return matrix


def recalls(truth: Labels, predicted: Labels, n_classes: int) -> np.ndarray:
    """Return per class the share of its queries that were named rightly, float64 [n_classes]; NaN where it has none."""
    counts = confusion_matrix(truth, predicted, n_classes)
    return _shares(counts.diagonal(), counts.sum(axis=1))


def balanced_accuracy(truth: Labels, predicted: Labels, n_classes: int) -> float:
    """Return the mean recall over the classes that occur in `truth`."""
    return float(np.nanmean(recalls(truth, predicted, n_classes)))


def macro_f1(truth: Labels, predicted: Labels, n_classes: int) -> float:
    """Return the mean over classes of the harmonic mean of precision and recall.

    A class that is never named has 0. One that is neither true nor named anywhere is left out of the mean.
    """
    counts = confusion_matrix(truth, predicted, n_classes)
    return float(np.nanmean(_shares(2 * counts.diagonal(), counts.sum(axis=0) + counts.sum(axis=1))))


def _shares(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Divide, NaN where there is nothing to divide by."""
    shares: np.ndarray = np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
    return shares


def wilson_interval(correct: int, queries: int) -> tuple[float, float]:
    """Return the 95 % interval around an accuracy of `correct` of `queries` (Wilson's score interval).

    It says how much the accuracy would move with other queries of the same kind, not with other support or seeds.
    Raises ValueError unless 0 <= correct <= queries and queries > 0.
    """
    from scipy.stats import binomtest

    interval = binomtest(correct, queries).proportion_ci(confidence_level=0.95, method="wilson")
    return float(interval.low), float(interval.high)
