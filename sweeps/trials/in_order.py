"""Order of what trials report, the plan's: fold after fold, and trial after trial where these are known beforehand.

Folds run side by side, and so do trials. Whatever decides by what it hears would decide otherwise on another machine,
or after a kill, if it heard it as it comes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from cluster.folds import Outcome
from sweeps.statistics.fold_weights import Place


class InOrder:
    """Keeps what comes too early, and gives it out when its turn has come.

    Args:
        trials: whether nothing of a trial is given out before those that were entered earlier have ended.
    """

    def __init__(self, *, trials: bool) -> None:
        self._trials = trials
        self._expected: dict[int, deque[Place]] = {}  # of the trials that have not ended
        self._came: dict[int, dict[Place, Outcome]] = {}
        self._entered: set[int] = set()

    def enter(self, trial: int, folds: Iterable[Place]) -> None:
        """Expect these folds of a trial, in this order; one that has none has ended. Later words on it do not count."""
        if trial not in self._entered and (expected := deque(folds)):
            self._expected[trial], self._came[trial] = expected, {}
        self._entered.add(trial)

    def expects(self, trial: int) -> bool:
        """Whether a trial was entered and has not ended."""
        return trial in self._expected

    def come(self, trial: int, fold: Place, outcome: Outcome) -> None:
        """Keep a fold's outcome; not of a trial that has ended, nor once more what was given out."""
        if fold in self._expected.get(trial, ()):
            self._came[trial][fold] = outcome

    def take(self) -> tuple[int, Outcome] | None:
        """Give the next outcome, and whose; None where what comes next is not there yet. The last ends its trial."""
        for trial in [*self._expected][: 1 if self._trials else None]:
            if outcome := self._came[trial].pop(self._expected[trial][0], None):
                self._expected[trial].popleft()
                if not self._expected[trial]:
                    self.end(trial)
                return trial, outcome
        return None

    def end(self, trial: int) -> None:
        """Give out no more of a trial."""
        self._expected.pop(trial, None)
        self._came.pop(trial, None)
