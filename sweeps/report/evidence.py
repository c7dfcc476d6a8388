"""Evidence: what a sweep has left in its OUT folder, read once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from fsamc.errors import BadInput
from fsamc.fold.config import FoldConfig
from sweeps.finals.final_tables import FinalScores, read_final
from sweeps.plan.configurations import configuration, swept
from sweeps.plan.settings import Plan
from sweeps.results import tables
from sweeps.results.choices import Recommendation, leave_one_category_out
from sweeps.results.reader import SweepReader, TrialRecord


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """A sweep's files and the tables made of them; DataFrames are described where `sweeps.results.tables` makes them.

    Attributes:
        configs: the configuration of every trial by its number; one may be absent.
        notes: sweep.json; any key may be absent.
        board: the ranking by the plan's objective, as `sweeps.results.objective.ranking_by_objective` makes it.
        measured: further scores of the folds, as `SweepReader.measured`.
        best: the trial that the objective chose, none where the trials share no category.
        stopped: trials that were stopped early, the highest estimate first.
        period: when its first trial started and its last one ended, seconds since 1970; None where that is not known.
        predictions: FOLD, image, truth, predicted, scores of the best trial's queries; empty where there are none.
        detection: FOLD and DETECTED of the best trial's folds; empty without detection.
        final: what the best trials scored on images that had no say; None without a final.
        recommended: the trial in best.yaml; None where `best` is.
    """

    plan: Plan
    configs: dict[int, FoldConfig]
    notes: dict[str, Any]
    folds: pd.DataFrame
    summary: pd.DataFrame
    board: pd.DataFrame
    measured: pd.DataFrame
    leave_one_out: pd.DataFrame
    best: int | None
    stopped: list[TrialRecord]
    period: tuple[float, float] | None
    predictions: pd.DataFrame
    detection: pd.DataFrame
    final: FinalScores | None = None
    recommended: Recommendation | None = None

    @property
    def keys(self) -> list[str]:
        """The swept keys in the plan's order."""
        return [key for key in swept(self.plan) if key in self.folds]

    @property
    def ranked(self) -> pd.DataFrame:
        """The rows of `board` that have an average; trials without one cannot be drawn on an axis of accuracy."""
        return self.board[self.board["mean"].notna()]

    @property
    def averaged(self) -> dict[int, list[str]]:
        """By number of shots, the categories that the average is over."""
        return tables.averaged_categories(self.folds)

    @property
    def categories(self) -> list[str]:
        """Categories that the averages are over, at some number of shots."""
        return sorted(set().union(*self.averaged.values()))

    @property
    def shots(self) -> list[int]:
        """Numbers of shots that trials are scored at."""
        return sorted({*self.folds["shots"].tolist()})

    @property
    def overall(self) -> pd.DataFrame:
        """The rows of `summary` that are the mean over the numbers of shots."""
        return tables.over_shots(self.summary)

    def summaries(self) -> list[tuple[str, pd.DataFrame]]:
        """Return `summary` at each number of shots, by what it is at; of several, their mean too, first."""
        by_shots = tables.by_shots(self.summary)
        return by_shots if len(by_shots) == 1 else [("mean over the shots", self.overall), *by_shots]

    def of_trials(self, column: str) -> pd.Series:
        """Return one column of folds.csv that is the same in all of a trial's folds, indexed by trial."""
        return self.folds.groupby("trial")[column].first()


def gather(out: Path) -> Evidence:
    """Read the OUT folder of a sweep. Raises BadInput if it has no plan or no finished fold."""
    saved = SweepReader(out)
    folds = saved.folds
    if saved.finished.empty:
        why = f"all {len(folds)} so far failed" if len(folds) else "none has been run"
        raise BadInput(f"{out / 'folds.csv'}: no finished fold to report on ({why}); resume the sweep, then try again")
    best = int(saved.board["trial"].iloc[0]) if len(saved.board) else None
    return Evidence(
        plan=saved.plan,
        configs={record.number: configuration(saved.plan, record.values) for record in saved.trials},
        notes=_notes(saved),
        folds=folds,
        summary=tables.summarise(folds),
        board=saved.board,
        measured=saved.measured,
        leave_one_out=leave_one_category_out(folds),
        best=best,
        stopped=sorted(
            (record for record in saved.trials if record.stopped is not None),
            key=lambda record: record.estimate or 0.0,
            reverse=True,
        ),
        period=_period(saved.trials),
        predictions=saved.predictions(best),
        detection=saved.detection(best),
        final=read_final(out, saved.notes),
        recommended=saved.recommended,
    )


def _period(trials: list[TrialRecord]) -> tuple[float, float] | None:
    started = [record.started for record in trials if record.started is not None]
    ended = [record.ended for record in trials if record.ended is not None]
    return (min(started), max(started + ended)) if started else None


def _notes(saved: SweepReader) -> dict[str, Any]:
    """Take sweep.json: without the caveats in it no number may be shown. Raises BadInput if it is missing or torn."""
    if not saved.notes:
        raise BadInput(
            f"{saved.out / 'sweep.json'}: is missing, and with it what must stand beside the numbers; give the sweep's "
            "whole command again: it is written anew"
        )
    return saved.shown_notes
