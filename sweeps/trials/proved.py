"""Proved racing: of the trials, the one that would end best is stopped with a probability of at most `error`.

The table ranks by an average over the folds that are planned: a finite number, and all there is. The only thing drawn
at random is the order in which a trial's folds come, and the sweep draws it itself (`drawn`), for each trial apart, by
the plan's seed. So nothing need be assumed of the folds: they may share images, supports or seeds, differ by category,
and be as skewed as they like. What is tested of a trial is whether it may still end more than `margin` above the best
complete one:

- The best trial lost points on the folds, `margin` apart: so many, A, may the trial lose on the folds that are left.
- Folds are drawn with chances q in proportion to what the base, trial 0, lost there, and at least `least_error`: where
  little can be lost, little is learnt. A fold where the trial loses u pays u / (q A), whose mean over the draw is at
  most 1 if the trial ends where it would have to.
- A wealth of 1 is staked on that, a share of it each time, of `stakes` (`statistics.betting`).

That is betting on a mean without replacement (Waudby-Smith and Ramdas, "Estimating means of bounded random variables by
betting", JRSS B 2024; "Confidence sequences for sampling without replacement", NeurIPS 2020), with draws by size. The
opponent may change between two folds, since it does not depend on the order of this trial's.

What is promised: where the trials are known beforehand (a grid, a list, random draws), any given one of them that would
end more than `margin` above all others is stopped with a probability of at most `error`. Who is best among the trials
of a search that learns depends on the draws themselves; there `error` is split evenly over all trials but the base,
and covers every one of them together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fsamc.seeds import numpy_generator
from sweeps.plan.search_settings import Stopping
from sweeps.statistics.betting import staked
from sweeps.statistics.fold_weights import Place, Scores, mean_score, weights
from sweeps.trials.racing import Rule, Standings

BASE = 0  # the number of the trial that is never stopped


class Proved(Rule):
    """Stops a trial of which it is proved that it will not end more than a margin above the best one.

    Args:
        standings: who has scored what. Each trial's planned folds are in the order that `drawn` gives.
        settings: `error`, `margin`, `stakes` and `least_error`.
        trials: over how many `error` is split.
    """

    def __init__(self, standings: Standings, settings: Stopping, *, trials: int = 1) -> None:
        self._standings, self._settings = standings, settings
        self._enough = max(1, trials) / settings.error
        self._wealth: dict[int, np.ndarray] = {}

    def tell(self, trial: int) -> str | None:
        """Bet on the fold that was told last; say why to stop where that has paid enough, or nothing is left to lose.

        Folds are to be told in the order in which they were drawn.
        """
        board = self._standings
        if trial == BASE or board.best is None or board.complete(trial):
            return None
        scores, planned, best = board.scores[trial], board.planned[trial], board.scores[board.best]
        if not best.keys() >= set(planned):
            return None
        *_, last = scores
        share = weights(planned)
        chances = chances_of(planned, base_scores(board), self._settings.least_error)
        before = {fold: score for fold, score in scores.items() if fold != last}
        allowed = total_loss(best, share) - self._settings.margin - total_loss(before, share)
        chance = chances[last] / sum(chances[fold] for fold in planned if fold not in before)
        stakes = self._settings.stakes
        loss = share[last] * (1 - scores[last])
        pays = loss / (chance * allowed) if allowed > 0 else np.inf
        self._wealth[trial] = staked(self._wealth.get(trial, np.ones(len(stakes))), stakes, pays)
        return self._verdict(trial, board.best, allowed - loss)

    def _verdict(self, trial: int, best: int, allowed: float) -> str | None:
        """Say why to stop a trial that may lose so much more; None to go on."""
        wealth, margin = float(self._wealth[trial].mean()), self._settings.margin
        above = f"more than {100 * margin:g} points above trial {best}" if margin else f"above trial {best}"
        if round(allowed, 12) < 0:
            return f"not even full marks on its other folds would bring it {above}"
        if wealth < self._enough:
            return None
        gap = 100 * mean_score(self._standings.differences(trial))
        proof = f"proved not to end {above} (odds {wealth:.0f} to 1)"
        return f"{gap:+.1f} points to trial {best} on the same folds; {proof}"


def base_scores(standings: Standings) -> Scores:
    """Return the scores of the base, empty until all of its folds have one."""
    ended = BASE in standings.planned and standings.complete(BASE)
    return standings.scores[BASE] if ended else {}


def total_loss(scores: Scores, share: Mapping[Place, float]) -> float:
    """Return what these folds take off an average of 1, by their share in it."""
    return sum(share[fold] * (1 - score) for fold, score in scores.items() if fold in share)


def chances_of(folds: Sequence[Place], base: Scores, least: float) -> dict[Place, float]:
    """Return how likely each fold is drawn next, in proportion: what the base lost there; alike where it lost nothing.

    `base`: its scores, empty where it has none; `least`: taken for a smaller loss.
    """
    return {fold: share * max(least, 1 - base.get(fold, 0.0)) for fold, share in weights(folds).items()}


def drawn(folds: Sequence[Place], base: Scores, settings: Stopping, *seeds: Any) -> list[Place]:
    """Draw the order of a trial's folds: one after the other without replacement, with `chances_of` those left.

    It depends on which folds there are and on the seeds, not on how they are listed. Waiting times with rates in
    proportion to the chances come in that order (Efraimidis and Spirakis 2006).
    """
    listed = sorted(folds)
    chances = chances_of(listed, base, settings.least_error)
    times = numpy_generator(*seeds).exponential(size=len(listed)) / np.array([chances[fold] for fold in listed])
    return [listed[place] for place in np.argsort(times, kind="stable")]
