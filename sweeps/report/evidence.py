"""What a sweep has left in its OUT folder, read once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pydantic
import yaml

from fsamc.config import FoldConfig, Plan
from fsamc.errors import BadInput
from sweeps import tables
from sweeps.folder import read_trials
from sweeps.plan import configuration, swept


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """A sweep's files and the tables made of them; DataFrames are described where `sweeps.tables` makes them.

    Attributes:
        configs: the configuration of every trial by its number; one may be absent.
        notes: sweep.json; any key may be absent.
        best: the trial with the highest average, none where the trials share no category.
        predictions: category, seed, draw, truth, predicted of the best trial's queries; empty where there are none.
        detection: category, seed, draw and DETECTED of the best trial's folds; empty without detection.
    """

    plan: Plan
    configs: dict[int, FoldConfig]
    notes: dict[str, Any]
    folds: pd.DataFrame
    summary: pd.DataFrame
    board: pd.DataFrame
    left_out: pd.DataFrame
    best: int | None
    predictions: pd.DataFrame
    detection: pd.DataFrame

    @property
    def keys(self) -> list[str]:
        """The swept keys in the plan's order."""
        return [key for key in swept(self.plan) if key in self.folds]

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
    best = tables.best_trial(folds)
    plan = _read_plan(out / "plan.yaml")
    return Evidence(
        plan=plan,
        configs={record.number: configuration(plan, record.values) for record in read_trials(out)},
        notes=_read_notes(out / "sweep.json"),
        folds=folds,
        summary=tables.summarise(folds),
        board=tables.ranking(folds),
        left_out=tables.leave_one_category_out(folds),
        best=best,
        predictions=_read_predictions(out / "predictions.csv", best),
        detection=_read_detection(out / "detection.csv", best),
    )


def _read_plan(path: Path) -> Plan:
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
    columns = ["trial", "category", "seed", "draw", "truth", "predicted"]
    rows = tables.read_rows(path, columns) if path.exists() else pd.DataFrame(columns=columns)
    return rows[rows["trial"] == str(trial)].astype({"seed": int, "draw": int})


def _read_detection(path: Path, trial: int | None) -> pd.DataFrame:
    columns = ["trial", *tables.FOLD, *tables.DETECTED]
    rows = tables.read_rows(path, columns) if path.exists() else pd.DataFrame(columns=columns)
    of_trial = rows[rows["trial"] == str(trial)]
    return of_trial.assign(**{name: pd.to_numeric(of_trial[name]).astype(float) for name in tables.DETECTED})
