"""Baselines of a sweep: what guessing would score, and how far a configuration is from the default."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from fsamc.config.dotted import flatten
from fsamc.fold.config import FoldConfig
from fsamc.fold.inputs import takes_pseudo_defects
from sweeps.report.evidence import Evidence
from sweeps.results.tables import AVERAGE, FOLD, finished, over_shots, summarise

# Resolved for the machine, or given with the images: no choice of the plan's.
_GIVEN = ("features.backbone", "features.weights", "features.precision", "pseudo.foreground")


@dataclass(frozen=True)
class Chance:
    """Average accuracies in [0, 1] of who sees no image, over the folds of the best trial.

    Attributes:
        guessing: any class of the category, each as likely.
        commonest: always the class that most of the queries have.
    """

    guessing: float
    commonest: float


def chance(evidence: Evidence) -> Chance | None:
    """Average what guessing scores as accuracies are averaged; None where there are no predictions to count."""
    if evidence.best is None or evidence.predictions.empty:
        return None
    asked = evidence.predictions.groupby(FOLD)
    classes = asked["scores"].first().map(lambda scores: len(json.loads(scores)))
    guessing = 1 / classes.clip(lower=asked["truth"].nunique())
    commonest = asked["truth"].agg(lambda truth: truth.value_counts(normalize=True).iloc[0])
    return Chance(_average(evidence, guessing), _average(evidence, commonest))


def _average(evidence: Evidence, by_fold: pd.Series) -> float:
    folds = finished(evidence.folds[evidence.folds["trial"] == evidence.best])
    scores = by_fold.reindex(pd.MultiIndex.from_frame(folds[FOLD])).to_numpy()
    summary = over_shots(summarise(folds.assign(accuracy=scores)))
    return float(summary.loc[summary["category"] == AVERAGE, "mean"].sum())


def not_default(config: FoldConfig) -> list[str]:
    """List the dotted keys whose value is not the default, of those that bite in this configuration."""
    default = flatten(FoldConfig().model_dump(mode="json"))
    own = flatten(config.model_dump(mode="json", exclude={"shots", "compute", "scoring"}))
    idle = tuple(_idle(config))
    keys = [key for key, value in own.items() if default.get(key) != value]
    return [key for key in keys if key not in _GIVEN and not key.startswith(idle)]


def default_trial(evidence: Evidence) -> int | None:
    """Find the first ranked trial whose settings are all at their defaults."""
    trials = sorted(evidence.board["trial"])
    return next((trial for trial in trials if not not_default(evidence.configs[trial])), None)


def _idle(config: FoldConfig) -> Iterator[str]:
    """Yield the beginnings of keys that change nothing in this configuration."""
    if not config.head.trained:
        yield from ("pretrain.", "finetune.")
    if not takes_pseudo_defects(config):
        yield "pseudo."
