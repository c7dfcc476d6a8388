"""Accuracies that a sweep found for the configuration that it chose."""

from __future__ import annotations

from pathlib import Path

from fsamc.errors import BadInput
from sweeps.results import tables
from sweeps.results.reader import SweepReader


def scores_of_sweep(plan: str | None, category: str) -> dict[str, float]:
    """Return the accuracies of the sweep whose `best.yaml` a plan is, by what they are; empty where it is none.

    Those of the category at each number of shots; of the sweep's average where it was not among its categories.
    """
    file = Path(plan) if plan else Path()
    if file.name != "best.yaml" or not (file.parent / "summary.csv").is_file():
        return {}
    saved = SweepReader(file.parent)
    try:
        return trial_accuracies(saved, saved.recommended.trial, category) if saved.recommended else {}
    except BadInput:  # only some of its files were copied: best.yaml is a plan by itself
        return {}


def trial_accuracies(saved: SweepReader, trial: int, category: str) -> dict[str, float]:
    """Return a trial's accuracies on a category at each number of shots, or on average if it has none there."""
    summary = tables.summarise(saved.folds)
    of_trial = summary[(summary["trial"] == trial) & summary["shots"].notna()]
    here = of_trial[of_trial["category"] == category]
    rows, what = (here, "sweep") if len(here) else (of_trial[of_trial["category"] == tables.AVERAGE], "sweep's average")
    at = zip(rows["shots"].tolist(), rows["mean"].tolist(), strict=True)
    return {f"{what}, {shots} shot{'s' * (shots != 1)}": float(mean) for shots, mean in at if mean == mean}
