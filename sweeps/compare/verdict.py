"""Verdict on two trials: whether one is better, proved by what both scored on the folds that they share.

The unit is a draw of a category: its folds, of all seeds and shots, have the same support images. With the images as
they are, draws are independent, so the verdict is about further draws of these images, categories and seeds.
"""

from __future__ import annotations

from dataclasses import dataclass

from fsamc.counting import counted
from sweeps.plan.search_settings import Stopping
from sweeps.statistics.betting import interval_of_mean
from sweeps.statistics.fold_weights import Scores, weights


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Difference of two trials, in [-1, 1], with an interval that misses its mean in at most `error` of cases.

    Attributes:
        folds: that both have.
        draws: of categories, of which these folds are.
        difference: mean over these folds, as the tables take it.
        low, high: ends of the interval.
        margin: a difference that makes none.
        error: as `interval_of_mean`.
    """

    folds: int
    draws: int
    difference: float
    low: float
    high: float
    margin: float
    error: float

    @property
    def conclusion(self) -> str:
        """In words, from the first trial's point of view."""
        points = f"{100 * self.margin:g} point{'s' * (self.margin != 0.01)}"
        for end, word in ((self.low, "better"), (-self.high, "worse")):
            if end > 0:
                return f"{word} by more than {points}" if end > self.margin > 0 else word
        if -self.margin <= self.low and self.high <= self.margin:
            return f"equivalent within {points}"
        return f"cannot be told from {counted(self.folds, 'fold')}"


def judge(ours: Scores, theirs: Scores, settings: Stopping) -> Verdict | None:
    """Compare on the folds that both have; None where there are none.

    `settings`: `error`, `margin` and `stakes`.
    """
    shared = ours.keys() & theirs.keys()
    if not shared:
        return None
    units: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for fold, weight in weights(shared).items():
        category, _, draw, _ = fold
        units.setdefault((category, draw), []).append((weight, ours[fold] - theirs[fold]))
    each = [(sum(w for w, _ in unit), sum(w * gap for w, gap in unit)) for unit in units.values()]
    low, high = interval_of_mean(
        [(weight, gap / weight) for weight, gap in each], error=settings.error, stakes=settings.stakes
    )
    return Verdict(
        folds=len(shared),
        draws=len(units),
        difference=sum(gap for _, gap in each),
        low=low,
        high=high,
        margin=settings.margin,
        error=settings.error,
    )
