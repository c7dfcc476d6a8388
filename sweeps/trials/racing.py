"""Racing: a trial is stopped when the folds that it shares with the best complete one say that it will end below it.

Races between models go back to Maron and Moore (Hoeffding races, 1994); F-race (Birattari et al. 2002) and irace
(Lopez-Ibanez et al. 2016) compare candidates on shared instances by paired tests, as is done here on shared folds.
Two things differ, because a sweep has few folds, and they are all there is:

- The question is who is ahead once *these* n folds are scored, for that is what the table ranks by. After k of them
  with the mean difference d and the variance v of the differences, the final mean difference is
  d + sqrt(v (1/k - 1/n)) t, with Student's t: predictive, under a flat prior. The correction for the finite number of
  folds is what gives the test power after two or three of eight. It also makes looking after every fold harmless:
  the probability is a martingale (as far as v is right), so of the trials that are stopped at most 1 - confidence would
  have ended level or ahead, however often one looks. Means are the table's, over draws, seeds, categories and numbers
  of shots in turn (`weights`). Where folds weigh unequally, because a category is too small for some shots or has been
  seen more often so far, 1/k - 1/n is the sum of squares by which their weights will still change.
- Two or three differences say next to nothing about their own variance, and accuracies over a few dozen queries
  often differ by exactly the same amount (variance 0). Differences to the best trial scatter alike for all trials, so
  v is pooled over the whole sweep, and starts from the knob `spread` with the weight of one observation.

Chosen by replaying TPE from 20 random bases on the recorded table of 128 configurations x 8 folds, `make bench-search`.
Folds until the choice is within a point of the best, median and worst; trials stopped wrongly:

    no race                                          112, 232
    this, 0.95                                        76, 148        0 of 2,140
    the same, 0.8                                     78, 131        2 of 2,340

Earlier, with plain means over folds; the two tables are of different runs and not to be compared:

    no race                                          112, 176
    paired t test, 0.95                               89, 140        0 of 560
    pooled variance, 0.95                             76, 124        0 of 540
    pooled variance and finite n, 0.95                74, 116        0 of 800
    the same, 0.8                                     70, 107        3 of 1,240
    finite n without pooling, 0.8                     71, two never  19 of 1,520

The search is told what a stopped trial would average (`Standings.estimate`). Told its mean over the first folds
instead, it took 92 folds and once missed; told nothing, 128 and once missed.

Ties: a mean difference of 0 or above never stops a trial, so an equal of the best one always runs to its end. Seeds of
one category are not independent; folds come with one of each category first (`Prepared.folds`), so that the first
looks are at different categories, and later ones, at categories seen before, are less uncertain than v says.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable
from math import sqrt

from scipy.special import stdtr

from sweeps.statistics.fold_weights import Place, Scores, mean_score, weights


class Standings:
    """Scores of all folds of all trials so far. What it says does not depend on the order in which folds arrive.

    Attributes:
        scores: by trial and fold.
        planned: by trial, the folds that its average is over, scored or not, in the order in which they are run.
        best: the complete trial with the highest average; ties go to the lower number.
    """

    def __init__(self) -> None:
        self.scores: dict[int, dict[Place, float]] = {}
        self.planned: dict[int, tuple[Place, ...]] = {}
        self.best: int | None = None

    def enter(self, trial: int, folds: Iterable[Place]) -> None:
        """Take in a trial that will have these folds."""
        self.planned[trial] = tuple(folds)
        self.scores.setdefault(trial, {})

    def tell(self, trial: int, fold: Place, score: float) -> None:
        """Take in a fold's score, in [0, 1]."""
        self.scores[trial][fold] = score
        if self.complete(trial) and (self.best is None or self._beats(trial, self.best)):
            self.best = trial

    def complete(self, trial: int) -> bool:
        """Whether all of its folds are scored."""
        return len(self.scores[trial]) >= len(self.planned[trial])

    def mean(self, trial: int) -> float:
        """Average over the folds scored so far; of a complete trial, the one number that all tables give it."""
        return mean_score(self.scores[trial])

    def by_place(self, trial: int) -> dict[int, float]:
        """Return the scores so far, by the fold's place among those planned."""
        scores = self.scores.get(trial, {})
        return {place: scores[fold] for place, fold in enumerate(self.planned.get(trial, ())) if fold in scores}

    def differences(self, trial: int) -> dict[Place, float]:
        """Return differences to the best complete trial, on the folds that both have."""
        theirs: Scores = self.scores[self.best] if self.best is not None else {}
        return {fold: score - theirs[fold] for fold, score in self.scores[trial].items() if fold in theirs}

    def estimate(self, trial: int) -> float:
        """Estimate a trial's average over all its folds, in [0, 1].

        It is the best complete trial's average, and to that the average difference on the folds that both have, taken
        as `mean_score` does: over draws, seeds and categories at each number of shots, then over these. A mean over the
        folds at hand alone would depend on how easy they are; it stands in where no fold is shared.
        """
        gaps = self.differences(trial)
        if self.best is None or not gaps or self.complete(trial):
            return self.mean(trial)
        return min(1.0, max(0.0, self.mean(self.best) + mean_score(gaps)))

    def _beats(self, trial: int, other: int) -> bool:
        """Compare averages, to 1e-12, the noise of summing; ties go to the lower number."""
        gap = round(self.mean(trial) - self.mean(other), 12)
        return gap > 0 or (gap == 0 and trial < other)


class Rule(ABC):
    """Decides, each time that a fold of a trial has been entered into the standings, whether the trial goes on."""

    @abstractmethod
    def tell(self, trial: int) -> str | None:
        """Say why the trial should stop; None to go on. An earlier run of the sweep is told in the same way."""


class Race(Rule):
    """Stops a trial that will end below the best one, unless it is trial 0, the base.

    Args:
        standings: who has scored what; others may look at it.
        confidence: above 0.5; how sure to be that a trial would end below the best one.
        fewest: shared folds before a trial may be stopped.
        spread: standard deviation of differences that is expected beforehand.
        margin: how far above the best one a trial may end and still be stopped; 0 where an equal runs to its end.
    """

    def __init__(
        self, standings: Standings, *, confidence: float, fewest: int, spread: float, margin: float = 0.0
    ) -> None:
        self._standings, self._margin = standings, margin
        self._confidence, self._fewest = confidence, fewest
        self._prior = spread**2
        self._rival: int | None = None  # whom `_scatter` compares with
        self._scatter: dict[int, tuple[float, int]] = {}

    def tell(self, trial: int) -> str | None:
        """Say why to stop: the trial cannot reach the best one, or would hardly."""
        board = self._standings
        again = [trial] if board.best == self._rival else list(board.scores)
        self._scatter.update({number: scatter(board.differences(number).values()) for number in again})
        self._rival = board.best
        if trial == 0 or board.best is None or board.complete(trial):
            return None
        gaps = board.differences(trial)
        if len(gaps) < self._fewest:
            return None
        if self._out_of_reach(trial, board.best):
            where = f"more than {100 * self._margin:g} points above" if self._margin else "up to"
            return f"not even full marks on its other folds would bring it {where} trial {board.best}"
        sure = self.sure(gaps, board.planned[trial])
        if sure < self._confidence:
            return None
        ahead = 100 * mean_score(gaps)
        if self._margin:
            end = f"sure not to end more than {100 * self._margin:g} points above"
            return f"{ahead:+.1f} points to trial {board.best} on the same folds, {100 * sure:.1f} % {end}"
        return f"{-ahead:.1f} points below trial {board.best} on the same folds, {100 * sure:.1f} % sure to end below"

    def _out_of_reach(self, trial: int, best: int) -> bool:
        scores, planned = self._standings.scores[trial], self._standings.planned[trial]
        most = mean_score({fold: scores.get(fold, 1.0) for fold in planned})
        ahead = round(most - self._standings.mean(best), 12)
        return ahead < 0 or 0 < self._margin >= ahead

    def sure(self, gaps: Scores, planned: Collection[Place]) -> float:
        """Return the probability that the average difference, `gaps` so far, is below the margin in the end.

        That is once all planned folds are in. `gaps`: on fewer folds than are planned.
        """
        ahead = mean_score(gaps) - self._margin
        if round(ahead, 12) >= 0:
            return 0.0
        now, then = weights(gaps), weights(planned)
        open_share = sum((weight - now.get(fold, 0.0)) ** 2 for fold, weight in then.items())
        freedom = 1 + sum(degrees for _, degrees in self._scatter.values())
        variance = (self._prior + sum(squares for squares, _ in self._scatter.values())) / freedom
        return float(stdtr(freedom, -ahead / sqrt(variance * open_share)))


def scatter(gaps: Collection[float]) -> tuple[float, int]:
    """Give the sum of squares about their mean, and its degrees of freedom.

    Nothing where all are 0: a trial that answers like the best one tells nothing of how the others' differences vary.
    """
    if not any(gaps):
        return 0.0, 0
    mean = sum(gaps) / len(gaps)
    return sum((gap - mean) ** 2 for gap in gaps), len(gaps) - 1
