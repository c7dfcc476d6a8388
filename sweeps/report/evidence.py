"""What a sweep has left in its OUT folder, read once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pydantic
import yaml

from fsamc.errors import BadInput
from fsamc.fold.config import FoldConfig
from sweeps.plan.load import configuration, swept
from sweeps.plan.settings import Plan
from sweeps.results import tables
from sweeps.results.folder import read_trials
from sweeps.results.objective import ranking_by_objective, read_measured


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """A sweep's files and the tables made of them; DataFrames are described where `sweeps.results.tables` makes them.

    Attributes:
        configs: the configuration of every trial by its number; one may be absent.
        notes: sweep.json; any key may be absent.
        board: the ranking by the plan's objective, as `sweeps.results.objective.ranking_by_objective` makes it.
        measured: further scores of the folds, as `sweeps.results.objective.read_measured` reads them.
        best: the trial that the objective chose, none where the trials share no category.
        predictions: category, seed, draw, truth, predicted of the best trial's queries; empty where there are none.
        detection: category, seed, draw and DETECTED of the best trial's folds; empty without detection.
    """

    plan: Plan
    configs: dict[int, FoldConfig]
    notes: dict[str, Any]
    folds: pd.DataFrame
    summary: pd.DataFrame
    board: pd.DataFrame
    measured: pd.DataFrame
    left_out: pd.DataFrame
    best: int | None
    predictions: pd.DataFrame
    detection: pd.DataFrame

    @property
    def keys(self) -> list[str]:
        """The swept keys in the plan's order."""
        return [key for key in swept(self.plan) if key in self.folds]

    @property
    def ranked(self) -> pd.DataFrame:
        """The rows of `board` that have an average; trials without one cannot be drawn on an axis of accuracy."""
        return self.board[self.board["mean"].notna()]

    @property
    def categories(self) -> list[str]:
        """Categories that the average is over."""
        return tables.common_categories(self.folds)

    def of_trials(self, column: str) -> pd.Series:
        """One column of folds.csv that is the same in all of a trial's folds, indexed by trial."""
        return self.folds.groupby("trial")[column].first()


def gather(out: Path) -> Evidence:
    """Read the OUT folder of a sweep. Raises BadInput if it has no plan or no finished fold."""
    folds = tables.read_folds(out)
    if tables.finished(folds).empty:
        why = f"all {len(folds)} so far failed" if len(folds) else "none has been run"
        raise BadInput(f"{out / 'folds.csv'}: no finished fold to report on ({why}); resume the sweep, then try again")
    plan, measured = read_plan(out), read_measured(out)
    board = ranking_by_objective(plan, folds, measured)
    best = int(board["trial"].iloc[0]) if len(board) else None
    return Evidence(
        plan=plan,
        configs={record.number: configuration(plan, record.values) for record in read_trials(out)},
        notes=_read_notes(out / "sweep.json"),
        folds=folds,
        summary=tables.summarise(folds),
        board=board,
        measured=measured,
        left_out=tables.leave_one_category_out(folds),
        best=best,
        predictions=_read_predictions(out / "predictions.csv", best),
        detection=_read_detection(out / "detection.csv", best),
    )


def read_plan(out: Path) -> Plan:
    """The plan that a sweep in `out` ran. Raises BadInput if there is none, or it is torn."""
    path = out / "plan.yaml"
    try:
        return Plan.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; give the OUT folder of a sweep") from error
    except (yaml.YAMLError, pydantic.ValidationError) as error:
        line = " ".join(str(error).split())
        raise BadInput(f"{path}: {line}; expected the plan that the sweep wrote, restore it") from error


def _read_notes(path: Path) -> dict[str, Any]:
    """sweep.json, or nothing: a sweep that runs may be writing it, and the report can do without."""
    try:
        notes = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return notes if isinstance(notes, dict) else {}


def _read_predictions(path: Path, trial: int | None) -> pd.DataFrame:
    rows = _rows_of_trial(path, ["trial", *tables.FOLD, "truth", "predicted"], trial)
    return rows.astype({"seed": int, "draw": int})


def _read_detection(path: Path, trial: int | None) -> pd.DataFrame:
    rows = _rows_of_trial(path, ["trial", *tables.FOLD, *tables.DETECTED], trial)
    return rows.assign(**{name: pd.to_numeric(rows[name]).astype(float) for name in tables.DETECTED})


def _rows_of_trial(path: Path, columns: list[str], trial: int | None) -> pd.DataFrame:
    if trial is None or not path.exists():
        return pd.DataFrame(columns=columns)
    return tables.read_rows(path, columns, trial=trial)
