"""Run of a trial: what it shows, pure functions of what OUT says of the trial, equal whenever they are asked."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
from mlflow.entities import Metric, Param
from mlflow.utils.validation import MAX_PARAM_VAL_LENGTH

from fsamc.config.dotted import flatten
from fsamc.config.scoring import MEASURES
from fsamc.counting import counted
from fsamc.fold.config import FoldConfig
from fsamc.fold.metrics import balanced_accuracy, macro_f1
from fsamc.store.digests import digest
from sweeps.plan.configurations import swept
from sweeps.plan.settings import Plan
from sweeps.results import objective, tables
from sweeps.results.reader import Support, typed_measured
from sweeps.tracking.journal import Trial

_OF_ANSWERS = {"balanced_accuracy": balanced_accuracy, "macro_f1": macro_f1}


def trial_metrics(plan: Plan, trial: Trial, at: int) -> list[Metric]:
    """Return what a trial scored; if it was stopped early, the estimate of that, under a name of its own.

    `at` (ms since 1970) is every value's timestamp. MLflow keeps a value once per name, timestamp and step, so a
    timestamp that stays the same is what makes it safe to log again.
    """
    folds = trial.folds()
    if trial.record.stopped is not None:
        told = {plan.objective.estimate_name: trial.record.estimate, "folds": len(folds)}
        return [Metric(name, float(value), at, 0) for name, value in told.items() if value is not None]
    of_folds = [*accuracies(folds, at), *_seed_accuracies(folds, at)]
    return [*of_folds, *_objectives(plan, trial, folds, at), *_further(trial, at)]


def accuracies(folds: pd.DataFrame, at: int, step: int = 0) -> list[Metric]:
    """Return one trial's average, then its categories' means, with their deviations over seeds.

    Over all shots; of several, also at each, under names such as `accuracy_5shot/bottle`.
    """
    metrics = []
    summary = tables.summarise(folds)
    several = summary["shots"].nunique() > 1
    rows = (summary if several else summary[summary["shots"].isna()]).to_dict("records")
    for row in sorted(rows, key=lambda row: (row["category"] != tables.AVERAGE, not pd.isna(row["shots"]))):
        shots = "" if pd.isna(row["shots"]) else f"_{row['shots']}shot"
        suffix = shots if row["category"] == tables.AVERAGE else f"{shots}/{clean(row['category'])}"
        metrics.append(Metric(f"accuracy{suffix}", row["mean"], at, step))
        if not np.isnan(row["std"]):
            metrics.append(Metric(f"accuracy_std{suffix}", row["std"], at, step))
    return metrics


def params(plan: Plan, config: FoldConfig) -> list[Param]:
    """Return the configuration under its dotted keys, those first that differ between trials: a run lists them so."""
    flat = flatten(config.model_dump(mode="json", exclude={"shots"}))  # a condition, which all trials share
    varied = [key for other in swept(plan) for key in flat if f"{key}.".startswith(f"{other}.")]
    return [Param(clean(key), _short(str(flat[key]))) for key in dict.fromkeys([*varied, *flat])]


def write_artifacts(folder: Path, trial: Trial, config: FoldConfig, support: Support) -> None:
    """Write configuration.json, support.json and confusion/CATEGORY.csv, counts over all seeds and draws.

    Where there are several numbers of shots, a list and a file for each: confusion/CATEGORY-5shot.csv.
    """
    (folder / "configuration.json").write_text(json.dumps(config.model_dump(mode="json", exclude={"shots"}), indent=2))
    several = len({shots for *_, shots in trial.rows}) > 1
    lists = {
        "/".join([category, *([counted(shots, "shot")] if several else []), f"draw {draw}"]): support.get(
            (category, config.good, shots, draw)
        )
        for category, shots, draw in sorted({(category, shots, draw) for category, _, draw, shots in trial.rows})
    }
    named = {name: images for name, images in lists.items() if images}
    if named:
        (folder / "support.json").write_text(json.dumps(named, indent=2))
    for category, shots in sorted({(category, shots) for category, *_, shots in trial.answers}):
        answers = [fold for (name, *_, n), fold in sorted(trial.answers.items()) if (name, n) == (category, shots)]
        classes = list(answers[0].classes)
        counts = sum(one.confusion for one in answers)
        frame = pd.DataFrame(counts, index=pd.Index(classes, name="true"), columns=classes)
        (folder / "confusion").mkdir(exist_ok=True)
        frame.to_csv(folder / "confusion" / f"{category}{f'-{shots}shot' if several else ''}.csv")


def clean(text: str) -> str:
    """Write a name as MLflow allows it; a category is called whatever its folder is.

    A name with other characters ends with a hash of it, so that `a#b` and `a%b` stay two names.
    """
    allowed = re.sub(r"[^\w/.\- :]", "_", text)
    return allowed if allowed == text else f"{allowed}-{digest(text)[:6]}"


def _seed_accuracies(folds: pd.DataFrame, at: int) -> list[Metric]:
    """Return a value per category and seed, with the seed as its step."""
    rows = tables.over_shots(tables.seed_scores(folds)).to_dict("records")
    return [Metric(f"seed_accuracy/{clean(row['category'])}", row["accuracy"], at, row["seed"]) for row in rows]


def _objectives(plan: Plan, trial: Trial, folds: pd.DataFrame, at: int) -> list[Metric]:
    """Return the trial's average by the plan's objective, and by each score that was measured."""
    measured = typed_measured(pd.DataFrame(trial.measured.values(), columns=objective.OBJECTIVE_COLUMNS))
    by_name = {"objective": objective.scored(plan, folds, measured)}
    if trial.measured:
        by_name |= {f"objective/{name}": objective.by_measure(folds, measured, name) for name in MEASURES}
    averages = {name: tables.trial_scores(counting)["mean"] for name, counting in by_name.items()}
    return [Metric(name, float(mean.iloc[0]), at, 0) for name, mean in averages.items() if len(mean.dropna())]


def _further(trial: Trial, at: int) -> list[Metric]:
    """Return other measures than accuracy, on average: over draws and shots, over seeds, over categories."""
    rows = []
    for where, answers in sorted(trial.answers.items()):
        labels = answers.truth, answers.predicted, len(answers.classes)
        measured = {name: measure(*labels) for name, measure in _OF_ANSWERS.items()}
        detected = trial.detected.get(where, {})
        measured |= {name: float(detected[name]) for name in tables.DETECTED if detected.get(name)}
        rows.append({"category": where[0], "seed": where[1], **measured})
    if not rows:
        return []
    per_seed = pd.DataFrame(rows).groupby(["category", "seed"]).mean()
    average = per_seed.groupby("category").mean().mean().dropna()
    return [Metric(str(name), float(mean), at, 0) for name, mean in average.items()]


def _short(value: str) -> str:
    """MLflow refuses longer ones; the configuration among the artifacts is whole."""
    return value if len(value) <= MAX_PARAM_VAL_LENGTH else f"{value[: MAX_PARAM_VAL_LENGTH - 3]}..."
