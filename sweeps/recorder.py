"""What happens when Tune reports: rows to OUT, runs to MLflow, news to the screen and to the search."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from ray import tune
from ray.tune.stopper import Stopper

from cluster.runtime import Fold, Outcome
from fsamc.config import FoldConfig
from fsamc.result import FoldResult
from sweeps import tables
from sweeps.folder import SweepFolder
from sweeps.progress import SweepProgress
from sweeps.search import Proposer
from sweeps.tracking import Tracker
from sweeps.trial import Unsaved


@dataclass
class Running:
    """A trial on its way."""

    number: int
    values: dict[str, Any]
    folds: list[Fold]
    rows: list[dict[str, Any]] = field(default_factory=list)
    results: list[FoldResult] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether every fold has an outcome."""
        return len(self.rows) == len(self.folds)


@dataclass
class Spending:
    """What the sweep has used."""

    stages: Counter[str] = field(default_factory=Counter)
    folds: int = 0
    reused: int = 0
    failed: int = 0
    started: float = field(default_factory=time.monotonic)
    before: float = 0.0  # seconds of the runs that this one continues

    @property
    def seconds(self) -> float:
        """Wall time, earlier runs of a resumed sweep included."""
        return self.before + time.monotonic() - self.started


class Recorder(Unsaved, tune.Callback):
    """Tune's callback. Results are on disk before anybody hears of them; a fold is told once."""

    def __init__(
        self, folder: SweepFolder, tracker: Tracker, progress: SweepProgress, proposer: Proposer, spending: Spending
    ) -> None:
        self._folder, self._tracker, self._progress, self._proposer = folder, tracker, progress, proposer
        self.spending = spending
        self.fatal: str | None = None
        self.unfinished = 0
        self._running: dict[str, Running] = {}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Open the trial's MLflow run. Told again when Tune restarts a trial: its folds are then told again."""
        config = trial.config
        self._running[trial.trial_id] = Running(config["number"], config["values"], config["folds"])
        self._tracker.start(config["number"], _configuration(config["folds"]))

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Write a fold's row."""
        outcome: Outcome | None = result.get("outcome")
        running = self._running[trial.trial_id]
        if outcome is None or _known(outcome.fold, running):
            return
        row = self._folder.fold(running.number, running.values, outcome)
        running.rows.append(row)
        self._spend(outcome)
        self._progress.fold(row)
        if outcome.result is not None:
            running.results.append(outcome.result)
        if outcome.fatal:
            self.fatal = outcome.error

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Log a trial whose folds are all there, and tell the search."""
        running = self._running.pop(trial.trial_id)
        if not running.complete:
            self.unfinished += 1
            return
        rows = pd.DataFrame(running.rows, columns=list(running.rows[0])).sort_values(tables.FOLD)
        ok = bool((rows["status"] == "ok").all())
        results = sorted(running.results, key=lambda r: (r.category, r.seed, r.draw))
        self._tracker.finish(running.number, _configuration(running.folds), rows, results)
        mean, std = average(rows)
        self._proposer.tell(running.number, mean if ok else None)
        if ok:
            self._folder.done(running.number)
        self._progress.trial(running.number, label(_configuration(running.folds), running.values), mean, std)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial's own process failed for good: count it, so that the sweep does not pass for done."""
        running = self._running.pop(trial.trial_id, None)
        self.unfinished += 1
        if running is not None:
            self._proposer.tell(running.number, None)

    def _spend(self, outcome: Outcome) -> None:
        self.spending.folds += 1
        self.spending.reused += outcome.reused
        self.spending.failed += outcome.result is None
        if outcome.result is not None and not outcome.reused:
            self.spending.stages.update(outcome.result.stages)


class StopOnFatal(Unsaved, Stopper):
    """Ends the sweep when the recorder has met an error that every fold would meet."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """One trial is never stopped alone."""
        return False

    def stop_all(self) -> bool:
        """Whether to end."""
        return self._recorder.fatal is not None


def average(rows: pd.DataFrame) -> tuple[float, float]:
    """Mean and std over seeds of one trial's average over its categories; NaN where nothing was scored."""
    done = rows[rows["status"] == "ok"]
    if done.empty:
        return float("nan"), float("nan")
    summary = tables.summarise(done.astype({"accuracy": float}))
    (row,) = summary[summary["category"] == tables.AVERAGE].to_dict("records")
    return float(row["mean"]), float(row["std"])


def label(config: FoldConfig, values: dict[str, Any]) -> str:
    """A trial in a few words: its head, its shots, and what else is swept."""
    rest = {key.rpartition(".")[2]: value for key, value in values.items() if key not in ("head.kind", "shots")}
    shown = [f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}" for key, value in rest.items()]
    return ", ".join([config.head.kind, f"{config.shots} shots", *shown])


def _known(fold: Fold, running: Running) -> bool:
    where = (fold.category, fold.seed, fold.draw)
    return any((row["category"], row["seed"], row["draw"]) == where for row in running.rows)


def _configuration(folds: list[Fold]) -> FoldConfig:
    return folds[0].config
