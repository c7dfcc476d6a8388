"""Run of a trial: what it shows, pure functions of what OUT says of the trial, equal whenever they are asked."""

from __future__ import annotations

import json
import re
from math import isnan
from pathlib import Path

import numpy as np
from mlflow.entities import Metric

from fsamc.config.scoring import MEASURES
from fsamc.counting import counted
from fsamc.fold.config import FoldConfig
from fsamc.fold.metrics import balanced_accuracy, macro_f1
from fsamc.store.digests import digest
from sweeps.plan.settings import Plan
from sweeps.results import objective, tables
from sweeps.results.reader import Support
from sweeps.results.rows import as_csv
from sweeps.statistics.averages import (
    AVERAGE,
    OVER,
    Averages,
    averaged_among,
    deviation_of,
    mean_of,
    seed_averages,
    trial_average,
)
from sweeps.tracking.journal import Trial

_OF_ANSWERS = {"balanced_accuracy": balanced_accuracy, "macro_f1": macro_f1}


def trial_metrics(plan: Plan, trial: Trial, at: int) -> list[Metric]:
    """Return what a trial scored; if it was stopped early, the estimate of that, under a name of its own.

    `at` (ms since 1970) is every value's timestamp. MLflow keeps a value once per name, timestamp and step, so a
    timestamp that stays the same is what makes it safe to log again.
    """
    scores = trial.scores()
    if trial.record.stopped is not None:
        told = {plan.objective.estimate_name: trial.record.estimate, "folds": len(scores)}
        return [Metric(name, float(value), at, 0) for name, value in told.items() if value is not None]
    cells = seed_averages(scores, averaged_among(scores, trial.averaged))
    return [*accuracies(cells, at), *_seed_accuracies(cells, at), *_objectives(plan, trial, at), *_further(trial, at)]


def accuracies(cells: Averages, at: int, step: int = 0) -> list[Metric]:
    """Return one trial's average, then its categories' means, with their deviations over seeds.

    Over all shots; of several, also at each, under names such as `accuracy_5shot/bottle`.
    """
    metrics = []
    several = len({shots for _, shots, _ in cells} - {OVER}) > 1
    shown = [cell for cell in cells if several or cell[1] == OVER]
    for cell in sorted(shown, key=lambda cell: (cell[2] != AVERAGE, cell[1] != OVER, *cell)):
        _, shots, category = cell
        at_shots = "" if shots == OVER else f"_{shots}shot"
        suffix = at_shots if category == AVERAGE else f"{at_shots}/{clean(category)}"
        metrics.append(Metric(f"accuracy{suffix}", mean_of(cells[cell].values()), at, step))
        if not isnan(std := deviation_of(cells[cell].values())):
            metrics.append(Metric(f"accuracy_std{suffix}", std, at, step))
    return metrics


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
        counts = np.sum([one.confusion for one in answers], axis=0)
        rows = [["true", *classes], *([name, *row] for name, row in zip(classes, counts.tolist(), strict=True))]
        (folder / "confusion").mkdir(exist_ok=True)
        (folder / "confusion" / f"{category}{f'-{shots}shot' if several else ''}.csv").write_text(as_csv(rows))


def clean(text: str) -> str:
    """Write a name as MLflow allows it; a category is called whatever its folder is.

    A name with other characters ends with a hash of it, so that `a#b` and `a%b` stay two names.
    """
    allowed = re.sub(r"[^\w/.\- :]", "_", text)
    return allowed if allowed == text else f"{allowed}-{digest(text)[:6]}"


def _seed_accuracies(cells: Averages, at: int) -> list[Metric]:
    """Return a value per category and seed, with the seed as its step."""
    over = {category: by_seed for (_, shots, category), by_seed in cells.items() if shots == OVER}
    return [
        Metric(f"seed_accuracy/{clean(category)}", score, at, seed)
        for category, by_seed in over.items()
        for seed, score in by_seed.items()
    ]


def _objectives(plan: Plan, trial: Trial, at: int) -> list[Metric]:
    """Return the trial's average by the plan's objective, and by each score that was measured."""
    kind = plan.objective.kind
    scored = trial.measures(kind) if kind in MEASURES else trial.scores()
    by_name = {"objective": [score for score in scored if objective.has_say(plan, score[2], score[1])]}
    if trial.measured:
        by_name |= {f"objective/{name}": trial.measures(name) for name in MEASURES}
    averages = {name: trial_average(scores, trial.averaged)[0] for name, scores in by_name.items()}
    return [Metric(name, average, at, 0) for name, average in averages.items() if not isnan(average)]


def _further(trial: Trial, at: int) -> list[Metric]:
    """Return other measures than accuracy, on average: over draws and shots, over seeds, over categories."""
    values: dict[str, dict[str, dict[int, list[float]]]] = {}  # by measure, category and seed
    for where, answers in trial.answers.items():
        labels = answers.truth, answers.predicted, len(answers.classes)
        measured = {name: measure(*labels) for name, measure in _OF_ANSWERS.items()}
        detected = trial.detected.get(where, {})
        measured |= {name: float(detected[name]) for name in tables.DETECTED if detected.get(name)}
        for name, value in measured.items():
            values.setdefault(name, {}).setdefault(where[0], {}).setdefault(where[1], []).append(value)
    averages = {
        name: mean_of(mean_of(map(mean_of, by_seed.values())) for by_seed in by_category.values())
        for name, by_category in values.items()
    }
    return [Metric(name, average, at, 0) for name, average in averages.items() if not isnan(average)]
