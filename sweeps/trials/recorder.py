"""Recorder of what Tune reports: rows to OUT first, then news to the screen and to the search."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf, isnan, nan
from typing import Any

from ray import tune

from cluster.folds import Fold, Outcome
from fsamc.fold.config import FoldConfig
from sweeps.plan.labels import label
from sweeps.progress.counter import SweepProgress
from sweeps.progress.eta import Kind
from sweeps.results import tables
from sweeps.results.folder import SweepFolder
from sweeps.results.objective import fold_score
from sweeps.results.reader import TrialRecord
from sweeps.results.usage import Usage
from sweeps.search import Proposer
from sweeps.statistics.averages import Score, mean_of, trial_average
from sweeps.tracking.uri import obstacle
from sweeps.trials.stopping import EarlyStopping, fold_place
from sweeps.trials.trial import NotPickled, release_memory

_PERIOD = 1.0  # seconds between two notes of what was spent


@dataclass
class RunningTrial:
    """A trial on its way, perhaps for one block of categories after another."""

    number: int
    values: dict[str, Any]
    config: FoldConfig
    planned: int  # folds
    rows: list[dict[str, Any]] = field(default_factory=list)
    kinds: Counter[Kind] = field(default_factory=Counter)  # of its folds that are to be run
    scores: dict[tuple[Any, ...], float] = field(default_factory=dict)  # by FOLD, of the objective

    def has(self, fold: Fold) -> bool:
        """Whether the fold has been reported."""
        return any(tuple(row[name] for name in tables.FOLD) == fold_place(fold) for row in self.rows)

    def unscored(self) -> Counter[Kind]:
        """Its folds without a row, by kind."""
        return self.kinds - Counter((row["head"], row["shots"]) for row in self.rows)

    def scored(self) -> list[Score]:
        """Its folds that were scored, with their accuracies."""
        return [(*_cell(row), float(row["accuracy"])) for row in self.rows if row["status"] == "ok"]

    def by_objective(self) -> list[Score]:
        """Those of its folds that have a say, scored by the objective."""
        scores = ((_cell(row), self.scores.get(tuple(row[name] for name in tables.FOLD), nan)) for row in self.rows)
        return [(*cell, score) for cell, score in scores if not isnan(score)]

    def seconds(self) -> float:
        """Mean of what its scored folds took; NaN without one."""
        return mean_of(float(row["seconds"]) for row in self.rows if row["status"] == "ok")


class Recorder(NotPickled, tune.Callback):
    """Tune's callback. Results are on disk before anybody hears of them; a fold is told once.

    Attributes:
        ended: numbers of the trials that have come to an end, in whatever way.
        stopped_by: why the sweep cannot go on, if it cannot: the disk is full.
        error: what was raised here and nobody expects. Tune would take it for the trial's, and start that again.
    """

    def __init__(
        self,
        folder: SweepFolder,
        progress: SweepProgress,
        proposer: Proposer,
        usage: Usage,
        stopping: EarlyStopping,
    ) -> None:
        self._folder, self._progress, self._proposer = folder, progress, proposer
        self._usage, self._stopping = usage, stopping
        self._running: dict[int, RunningTrial] = {}  # by the trial's number
        self._over: set[int] = set()  # of these, whom Tune has done with
        self._noted = -inf
        self.ended: set[int] = set()
        self.stopped_by: str | None = None
        self.error: Exception | None = None

    def propose(self) -> TrialRecord | None:
        """Give the search's next trial, written down before it starts; None after the last."""
        with self._stop_where_nothing_can_be_written():
            if not self.stopped_by and (proposal := self._proposer.propose()):
                record = TrialRecord(*proposal)
                self._folder.proposed(record)
                return record
        return None

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Expect the trial's folds. A trial whose process died starts again, and its folds are told again."""
        number, values = trial.config["number"], trial.config["values"]
        if number not in self._running and not self.stopped_by:
            with self._stop_where_nothing_can_be_written():
                folds, planned = list(trial.config["folds"]), trial.config["planned"]
                kinds = Counter((fold.config.head.kind, fold.config.shots) for fold in folds)
                self._running[number] = RunningTrial(number, values, folds[0].config, planned, kinds=kinds)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Write the rows of this fold, and of others that were waiting for it."""
        outcome: Outcome | None = result.get("outcome")
        if self.stopped_by or outcome is None:
            return
        if outcome.fatal and trial.config["number"] in self._running:
            self._stop(str(outcome.error))
            return
        self._write_judged()

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note that a trial's folds are all there, or that it was stopped early, and tell the search."""
        with self._stop_where_nothing_can_be_written():
            release_memory(trial)
            self._over.add(trial.config["number"])
            self._end_judged()

    def _write_judged(self) -> None:
        for number, outcome in self._stopping.judged():
            running = self._running.get(number)
            if running is not None and not self.stopped_by and not running.has(outcome.fold):
                with self._stop_where_nothing_can_be_written():
                    self._write(running, outcome)

    def _write(self, running: RunningTrial, outcome: Outcome) -> None:
        row = self._folder.fold(running.number, running.values, outcome)
        running.rows.append(row)
        if outcome.result is not None:
            running.scores[tuple(row[name] for name in tables.FOLD)] = fold_score(self._folder.plan, outcome.result)
        self._usage.add(outcome)
        self._progress.fold(row, reused=outcome.reused)

    def _end_judged(self) -> None:
        """End the trials that Tune has done with and that have been judged to their end."""
        for number in sorted(self._over & self._running.keys()):
            running, reason = self._running[number], self._stopping.reasons.get(number)
            if self.stopped_by:
                return
            if len(running.rows) == running.planned:
                self._finish(running)
            elif reason is not None:
                self._close_early(running, reason)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Say that a trial's own process died for good, and let the sweep not pass for done."""
        running = self._running.pop(trial.config["number"], None)
        if running and not self.stopped_by:
            self.ended.add(running.number)
            self._stopping.lost(running.number)
            with self._stop_where_nothing_can_be_written():
                self._progress.lost(running.number)
                self._proposer.tell(running.number, None)
                self._folder.failed(running.number)
                self._write_judged()
                self._end_judged()

    def _finish(self, running: RunningTrial) -> None:
        del self._running[running.number]
        averaged = self._folder.averaged
        average, std = trial_average(running.scored(), averaged)
        score, score_std = trial_average(running.by_objective(), averaged)
        if all(row["status"] == "ok" for row in running.rows):
            self._folder.done(running.number)
            by_place = self._stopping.standings.by_place(running.number)
            self._proposer.tell(running.number, score, seconds=running.seconds(), std=score_std, folds=by_place)
        else:
            self._folder.failed(running.number)
            self._proposer.tell(running.number, None)
        self.ended.add(running.number)
        self._progress.trial(running.number, label(self._folder.plan, running.values), average, std, score=score)
        self._note_usage()

    def _close_early(self, running: RunningTrial, reason: str) -> None:
        del self._running[running.number]
        scored, planned = len(running.rows), running.planned
        how = f"stopped after {scored} of {planned} folds: {reason}"
        estimate, by_place = self._stopping.estimates[running.number], self._stopping.standings.by_place(running.number)
        self._folder.done(running.number, stopped=how, estimate=estimate)
        self._proposer.prune(running.number, estimate, folds=by_place, seconds=running.seconds())
        self.ended.add(running.number)
        words = label(self._folder.plan, running.values)
        self._progress.stopped(running.number, words, how, estimate=estimate, saved=running.unscored())
        self._note_usage()

    def _note_usage(self) -> None:
        """Write down what was spent, at most once in a while: it is the one thing of which a kill may lose the last."""
        if (now := time.monotonic()) >= self._noted + _PERIOD:
            self._folder.note(self._usage.notes())
            self._noted = now

    @contextmanager
    def _stop_where_nothing_can_be_written(self) -> Iterator[None]:
        """End the sweep in good order where its results can be written down no more."""
        try:
            yield
        except Exception as error:
            if (reason := obstacle(error)) is None:
                self.error = self.error or error
                self._stop(repr(error))
                raise
            self._stop(reason)

    def _stop(self, reason: str) -> None:
        self.stopped_by = self.stopped_by or reason


def _cell(row: Mapping[str, Any]) -> tuple[int, int, str, int]:
    return row["trial"], row["shots"], row["category"], row["seed"]
