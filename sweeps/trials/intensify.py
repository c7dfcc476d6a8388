"""Intensification: challengers meet the best trial on twice as many folds each time.

As in SMAC (Hutter, Hoos and Leyton-Brown, "Sequential model-based optimization for general algorithm configuration",
LION 2011): a challenger is compared with the incumbent, here the best complete
trial, by the mean over 1, 2, 4, 8, ... of the incumbent's own folds, and given up as soon as it is below; whoever comes
through all of them is the incumbent. No probability is attached: most challengers cost a single fold, and a good one
is lost where that fold is against it.
"""

from __future__ import annotations

from fsamc.counting import counted
from sweeps.statistics.fold_weights import mean_score
from sweeps.trials.racing import Rule, Standings


class Intensify(Rule):
    """Stops a trial whose mean over 1, 2, 4, 8, ... folds is below that of the best one, unless it is trial 0.

    Args:
        standings: who has scored what.
        margin: a trial is stopped as well that is no more than this above the best one; none where only one below is.
    """

    def __init__(self, standings: Standings, *, margin: float | None = None) -> None:
        self._standings, self._margin = standings, margin

    def tell(self, trial: int) -> str | None:
        """Say why to stop, where the number of shared folds is a power of two."""
        board = self._standings
        if trial == 0 or board.best is None or board.complete(trial):
            return None
        gaps = board.differences(trial)
        if not gaps or len(gaps) & (len(gaps) - 1):
            return None
        ahead = round(mean_score(gaps), 12)
        if ahead >= 0 and (self._margin is None or ahead > self._margin):
            return None
        return f"{100 * ahead:+.1f} points to trial {board.best} over {counted(len(gaps), 'fold')} that both have"
