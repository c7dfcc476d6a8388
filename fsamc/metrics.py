"""Scores of a classification."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def confusion_matrix(truth: Sequence[int], predicted: Sequence[int], n_classes: int) -> np.ndarray:
    """Counts int64 [n_classes, n_classes]: row = true class, column = predicted class."""
    matrix = np.zeros((n_classes, n_classes), dtype=np.int64)
    np.add.at(matrix, (np.asarray(truth, dtype=int), np.asarray(predicted, dtype=int)), 1)
    return matrix


def balanced_accuracy(truth: Sequence[int], predicted: Sequence[int], n_classes: int) -> float:
    """Mean recall over the classes that occur in `truth`, in [0, 1]."""
    matrix = confusion_matrix(truth, predicted, n_classes)
    present = matrix.sum(axis=1) > 0
    return float((matrix.diagonal()[present] / matrix.sum(axis=1)[present]).mean())
