"""Weights of folds in an average, as the tables take it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from math import prod

Place = tuple[str, int, int, int]  # what two trials share of a fold: category, seed, draw, shots
Scores = Mapping[Place, float]


def weights(folds: Collection[Place]) -> dict[Place, float]:
    """Return each fold's share in an average: the mean over draws, over seeds, over categories, then over shots.

    Of all folds of a trial it is the average of `tables.summarise`; of some, the same of what is there. They sum to 1.
    """
    paths = {fold: (fold[3], fold[0], fold[1], fold[2]) for fold in folds}
    nodes = {path[:depth] for path in paths.values() for depth in range(1, 5)}
    branches = Counter(node[:-1] for node in nodes)
    return {fold: 1 / prod(branches[path[:depth]] for depth in range(4)) for fold, path in paths.items()}


def mean_score(scores: Scores) -> float:
    """Average scores by `weights`; raises ZeroDivisionError where there are none."""
    return sum(weight * scores[fold] for fold, weight in weights(scores).items())
