"""Count of what a sweep has done while it runs, and its size before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import pandas as pd

from sweeps.checks.disk import missing_artifacts
from sweeps.checks.prepare import Prepared
from sweeps.finals.finalists import final_lines
from sweeps.progress.eta import Eta, Kind, folds_left, folds_of
from sweeps.progress.events import (
    Best,
    Building,
    Counts,
    FoldDone,
    NewBest,
    Noted,
    ProgressView,
    Running,
    Started,
    TrialDone,
    TrialLost,
    TrialStopped,
    Warned,
)
from sweeps.results.folder import SweepFolder
from sweeps.results.splits import lost_query_lines, splits
from sweeps.search import Proposer


class SweepProgress:
    """Keeps count while trials run, and tells the view.

    Args:
        view: is told.
        eta: estimates the time that is left.
        folds, trials: how many there are in all.
        folds_done, trials_done: of these, in earlier runs of a resumed sweep.
        best: the best trial of earlier runs.
    """

    def __init__(
        self,
        view: ProgressView,
        eta: Eta,
        *,
        folds: int,
        trials: int,
        folds_done: int = 0,
        trials_done: int = 0,
        best: Best | None = None,
    ) -> None:
        self._view, self._eta = view, eta
        self._folds, self._trials = folds, trials
        self._folds_done, self._trials_done = folds_done, trials_done
        self.best = best

    @classmethod
    def of(
        cls,
        view: ProgressView,
        prepared: Prepared,
        proposer: Proposer,
        folder: SweepFolder,
        *,
        cache: Path,
        workers: int,
    ) -> SweepProgress:
        """Count a sweep that is begun or goes on, from what its folder holds."""
        records = folder.records()
        done = [record for record in records if record.done]
        before, left = folds_of(prepared, done).total(), folds_left(prepared, proposer, records)
        missing = Counter(artifact.kind for artifact in missing_artifacts(prepared, cache))
        return cls(
            view,
            Eta(left, missing, workers=workers),
            folds=before + left.total(),
            trials=proposer.count(),
            folds_done=before,
            trials_done=len(done),
            best=best_so_far(folder),
        )

    def __enter__(self) -> SweepProgress:
        self._view.tell(Running(counts=self.counts, best=self.best, on=True))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._view.tell(Running(counts=self.counts, best=self.best, on=False))

    @property
    def counts(self) -> Counts:
        """Progress of the sweep."""
        return Counts(
            folds_done=self._folds_done,
            folds=self._folds,
            trials_done=self._trials_done,
            trials=self._trials,
            eta=self._eta.seconds(),
        )

    def fold(self, row: Mapping[str, Any], *, reused: bool = False) -> None:
        """Count a fold that has finished; `row` is its line of folds.csv."""
        self._folds_done += 1
        accuracy, seconds = (None if row[name] == "" else float(row[name]) for name in ("accuracy", "seconds"))
        self._eta.fold((row["head"], row["shots"]), seconds, reused=reused)
        where = {name: row[name] for name in ("trial", "category", "seed", "draw", "shots", "status")}
        self._view.tell(FoldDone(**where, accuracy=accuracy, seconds=seconds, reused=reused, counts=self.counts))

    def trial(self, number: int, label: str, mean: float, std: float, *, score: float) -> None:
        """Count a trial that has finished, with its average accuracy over categories and its score by the objective."""
        self._trials_done += 1
        better = not pd.isna(score) and (self.best is None or score > self.best.score)
        if better:
            self.best = Best(trial=number, mean=mean, std=std, score=score)
        self._view.tell(
            TrialDone(trial=number, configuration=label, mean=mean, std=std, best=self.best, counts=self.counts)
        )
        if better and self.best:
            self._view.tell(NewBest(best=self.best))

    def stopped(self, number: int, label: str, reason: str, *, estimate: float, saved: Counter[Kind]) -> None:
        """Count a trial that was stopped early, with the estimate of its score; take off the folds that this saved."""
        self._trials_done += 1
        self._folds -= saved.total()
        self._eta.saved(saved)
        self._view.tell(
            TrialStopped(
                trial=number, configuration=label, reason=reason, estimate=estimate, best=self.best, counts=self.counts
            )
        )

    def lost(self, number: int) -> None:
        """Tell of a trial that ended without its folds, because its own process died again and again."""
        self._view.tell(TrialLost(trial=number))

    def builds(self, under_way: Sequence[str], built: Mapping[str, tuple[int, float]] | None = None) -> None:
        """Tell what is being built at this moment, and learn from what was built so far: number and seconds by kind."""
        if built is not None:
            self._eta.built(built)
        self._view.tell(Building(under_way=tuple(under_way), counts=self.counts))


def best_so_far(folder: SweepFolder) -> Best | None:
    """Return the trial that the objective would choose of the folds that are there."""
    if not folder.has_rows():
        return None
    rows = folder.saved.board.to_dict("records")
    return (
        Best(**{name: rows[0][name] for name in ("trial", "mean", "std")}, score=rows[0]["objective"]) if rows else None
    )


def announce(prepared: Prepared, proposer: Proposer, *, out: Path, view: ProgressView) -> None:
    """Tell the sweep's size, and what to beware of."""
    for warning in prepared.warnings:
        view.tell(Warned(text=warning))
    for line in lost_query_lines(splits(prepared)):
        view.tell(Noted(text=line))
    for caveat in prepared.caveats:
        view.tell(Warned(text=caveat, caveat=True))
    plan = prepared.plan
    view.tell(
        Started(
            name=plan.name,
            out=str(out),
            algorithm=plan.search.algorithm,
            trials=proposer.count(),
            folds=folds_left(prepared, proposer, []).total(),
            categories=tuple(prepared.categories),
            seeds=plan.folds.seeds,
            draws=plan.folds.draws,
            shots=plan.folds.shots,
            backbones=prepared.origins,
        )
    )
    for line in final_lines(prepared, proposer.count()):
        view.tell(Noted(text=line))
