"""Trial on Ray Tune: one configuration, its folds run as tasks, each reported when it has finished."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

from ray import tune
from ray.tune.search import Searcher

from cluster.fold_service import FoldRunner
from cluster.folds import Fold
from cluster.runtime import run_folds

if TYPE_CHECKING:  # a trial's own process, of which a sweep starts some, loads this module and no tables
    from sweeps.results.reader import TrialRecord
    from sweeps.trials.blocks import Blocks


def run_trial(config: dict[str, Any], *, runner: FoldRunner, at_once: int, retries: int) -> None:
    """Run a trial, as Tune's trainable: `config` holds its number and folds; each report is one fold's outcome."""
    for outcome in run_folds(config["folds"].take(), runner, at_once=at_once, retries=retries):
        tune.report({"outcome": outcome})
    tune.report({"outcome": None})  # Tune keeps a trial's last report in memory; let it be a small one


class PendingFolds:
    """The folds of a trial that are to be run now.

    Tune copies a configuration many times, sends it back with every result and forgets none of them: of this there is
    one in a process, and whoever has no more use of the folds takes them out.
    """

    def __init__(self, folds: list[Fold]) -> None:
        self._folds = folds

    def __deepcopy__(self, memo: dict[int, Any]) -> PendingFolds:
        return self

    def __iter__(self) -> Iterator[Fold]:
        return iter(self._folds)

    def take(self) -> list[Fold]:
        """Take all of them; none are left."""
        folds, self._folds = self._folds, []
        return folds


def release_memory(trial: Any) -> None:
    """Keep little of a trial that has ended: Tune keeps every trial to the end of the sweep, with all about it."""
    trial.config["folds"].take()
    trial.run_metadata.metric_analysis.clear()
    trial.run_metadata.metric_n_steps.clear()


class NotPickled:
    """Pickles as nothing. Tune saves all it is given for a restore; a sweep resumes from OUT instead."""

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return (object, ())


class PlanSearch(NotPickled, Searcher):
    """Hands trials to Tune, in order of their numbers; all of them for each block of categories anew.

    Args:
        waiting: trials of an earlier run that are not done; they come first.
        propose: gives the next new trial, or None after the last.
        folds: a trial's folds, from its values.
        passes: blocks of categories, of which a trial runs one after the other.
        enter: hears of each trial, its values and its folds, before it starts.
        halted: whether no more trials are to be started.
        waits: whether none can be started yet.
    """

    def __init__(
        self,
        *,
        waiting: list[TrialRecord],
        propose: Callable[[], TrialRecord | None],
        folds: Callable[[dict[str, Any]], list[Fold]],
        passes: Blocks,
        enter: Callable[[int, dict[str, Any], list[Fold]], None] = lambda *_: None,
        halted: Callable[[], bool] = lambda: False,
        waits: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__()
        self._halted, self._waits = halted, waits
        self._folds, self._enter = folds, enter
        self._work = self._passes(chain(waiting, iter(propose, None)), passes)

    def suggest(self, trial_id: str) -> Any:
        """Give the next trial's number, values, folds to run now and how many it has; `FINISHED` after the last.

        None where it is to be asked again later.
        """
        if self._waits() and not self._halted():
            return None
        while not self._halted() and (work := next(self._work, None)) is not None:
            record, block = work
            folds = self._folds(record.values)
            self._enter(record.number, record.values, folds)
            if now := [fold for fold in folds if fold.category in block]:  # none where all are too small for its shots
                return {
                    "number": record.number,
                    "values": record.values,
                    "folds": PendingFolds(now),
                    "planned": len(folds),
                }
        return Searcher.FINISHED

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Do nothing: the sweep's callback tells the proposer, with the folds in a fixed order."""

    def _passes(self, trials: Iterator[TrialRecord], passes: Blocks) -> Iterator[tuple[TrialRecord, frozenset[str]]]:
        first, *others = passes
        again = []
        for record in trials:
            if others:
                again.append(record)
            yield record, first
        for block in others:
            yield from ((record, block) for record in again)

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: trials.jsonl holds it."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing."""
