"""Choices of each objective among a sweep's trials, and what they are worth on the queries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from fsamc.config.scoring import MEASURES
from sweeps.plan.settings import Plan
from sweeps.results import tables
from sweeps.results.objective import by_measure, ranking_by_objective, what_chooses

CHOICES = ["shots", "objective", "category", "trial", "score", "accuracy", "std", "best", "correlation", "trials"]


def choices(folds: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """List what each objective would have chosen, within each number of shots and, of several, by their mean.

    The objectives: `query`; `support` and `pseudo` where they were measured; and, within each number of shots,
    `transfer`, which for each category chooses on the others. Compared are trials with all of their folds.

    Returns columns shots (NA for the mean over them); objective; category, the one that is scored, or `average`; trial,
    the choice, ties to the lower number; score, its average by the objective; accuracy, std of the choice on the
    queries; best, the highest accuracy that any trial has there; correlation, Spearman's, of objective and accuracy
    over the trials (NaN for fewer than three trials or no variation); trials, how many. A row `average` of transfer has
    no trial and no score.
    """
    rows = []
    for shots, these, common in _conditions(folds):
        rows += [{"shots": shots, **row} for row in (*_on_all(these, measured), *_on_others(these, common))]
    return pd.DataFrame(rows, columns=CHOICES).astype({"trial": "Int64", "shots": "Int64"})


def leave_one_category_out(folds: pd.DataFrame) -> pd.DataFrame:
    """Estimate what choosing a trial is worth on a category that had no say in the choice.

    For each averaged category: the complete trial that was best on the mean of the other categories (ties to the lower
    number) and its accuracy on this one, within each number of shots.

    Returns columns shots, category, trial, accuracy, std; per shots a row per category and the `average` row (no
    trial; per seed the mean over categories, then mean and std over seeds); of several shots a last `average` row
    without shots, their mean. Empty with fewer than two averaged categories.
    """
    rows: list[dict[str, Any]] = []
    per_seed = []
    for shots, these, common in _conditions(folds):
        if others := _on_others(these, common):
            per_seed.append(others[-1]["seeds"])
            rows += [{"shots": shots, **row} for row in others]
    if len(per_seed) > 1:
        over = pd.DataFrame(per_seed).mean(skipna=False)
        average = {"category": tables.AVERAGE, "trial": pd.NA, "accuracy": over.mean(), "std": over.std()}
        rows.append({"shots": pd.NA, **average})
    columns = ["shots", "category", "trial", "accuracy", "std"]
    return pd.DataFrame(rows, columns=columns).astype({"trial": "Int64", "shots": "Int64"})


def choice_line(plan: Plan, folds: pd.DataFrame, measured: pd.DataFrame) -> str:
    """Say the sweep's own choice: what chose, what it scored, and how many trials cannot be told apart from it."""
    board = ranking_by_objective(plan, folds, measured)
    if board.empty:
        return "no trial is chosen: they share no category in which each has a finished fold"
    best, others = board.iloc[0], board.iloc[1:]
    on = f" on {', '.join(plan.objective.target)}" if plan.objective.target else ""
    by = what_chooses(plan)
    score = "" if plan.objective.is_reported else f" ({tables.percent(best['objective'])} %)"
    line = f"trial {best['trial']}: {tables.percent(best['mean'], best['std'])} %{on}, chosen by {by}{score}"
    if others.empty:
        return f"trial {best['trial']} is the only one: nothing was chosen"
    return f"{line}; {others['tied'].sum()} of the {len(others)} other trials cannot be told apart from it"


def _conditions(folds: pd.DataFrame) -> Iterator[tuple[Any, pd.DataFrame, list[str]]]:
    """Yield each number of shots, the averaged folds there of trials that have all of theirs, and their categories.

    After several numbers comes NA with all of these folds, and no categories: those differ from shots to shots.
    """
    board, averaged = tables.ranking(folds), tables.averaged_categories(folds)
    complete = board.loc[board["complete"], "trial"]
    if complete.empty:
        return
    these = tables.mark_averaged(folds[folds["trial"].isin(complete)], averaged)
    these = these[these[tables.AVERAGED]]
    for shots, common in averaged.items():
        yield shots, these[these["shots"] == shots], common
    if len(averaged) > 1:
        yield pd.NA, these, []


def _on_all(folds: pd.DataFrame, measured: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield what the objectives choose that look at all categories."""
    accuracy, average = _seeds(folds), [tables.AVERAGE]
    yield _chosen("query", tables.AVERAGE, _means(accuracy, average), accuracy, average)
    for name in MEASURES:
        scores = by_measure(folds, measured, name)
        if scores["trial"].nunique() == folds["trial"].nunique():
            yield _chosen(name, tables.AVERAGE, _means(_seeds(scores), average), accuracy, average)


def _on_others(folds: pd.DataFrame, common: list[str]) -> list[dict[str, Any]]:
    """List what is chosen for each category on the others, and the average of that; empty for one category."""
    if len(common) < 2:
        return []
    accuracy = _seeds(folds)
    others = {name: [other for other in common if other != name] for name in common}
    rows = [_chosen("transfer", name, _means(accuracy, others[name]), accuracy, [name]) for name in common]
    return [*rows, _together(rows, accuracy)]


def _seeds(folds: pd.DataFrame) -> pd.DataFrame:
    """Accuracy over the shots of `folds`, by (trial, category or `average`), a column per seed."""
    scores = tables.over_shots(tables.seed_scores(folds))
    return scores.set_index(["trial", "category", "seed"])["accuracy"].unstack("seed")


def _over(seeds: pd.DataFrame, categories: list[str]) -> pd.DataFrame:
    """Average over categories by trial, a column per seed; NaN for a seed that lacks one of them."""
    of_these = seeds[seeds.index.get_level_values("category").isin(categories)]
    total: pd.DataFrame = of_these.groupby(level="trial").sum(min_count=len(categories))
    return total / len(categories)


def _means(seeds: pd.DataFrame, categories: list[str]) -> pd.Series:
    """Average by trial, rounded beyond the noise of summing so that ties are ties."""
    return _over(seeds, categories).mean(axis=1).round(12)


def _chosen(objective: str, category: str, scores: pd.Series, accuracy: pd.DataFrame, on: list[str]) -> dict[str, Any]:
    """Choose by `scores` of trials; the choice, and its accuracy on some categories."""
    trial = scores.index[int(scores.to_numpy().argmax())]
    reported = _over(accuracy, on)
    means = reported.mean(axis=1)
    return {
        "objective": objective,
        "category": category,
        "trial": trial,
        "score": scores[trial],
        "accuracy": means[trial],
        "std": reported.loc[trial].std(),
        "best": means.max(),
        "correlation": spearman(scores, means),
        "trials": len(scores),
    }


def _together(rows: list[dict[str, Any]], accuracy: pd.DataFrame) -> dict[str, Any]:
    """Average what was chosen for each category on the others."""
    seeds = pd.DataFrame({row["category"]: accuracy.loc[(row["trial"], row["category"])] for row in rows})
    per_seed = seeds.mean(axis=1, skipna=False)
    table = pd.DataFrame(rows)
    return {
        "objective": "transfer",
        "category": tables.AVERAGE,
        "trial": pd.NA,
        "score": np.nan,
        "accuracy": per_seed.mean(),
        "std": per_seed.std(),
        "best": table["best"].mean(),
        "correlation": table["correlation"].mean(),
        "trials": rows[0]["trials"],
        "seeds": per_seed,
    }


def spearman(one: pd.Series, other: pd.Series) -> float:
    """Rank correlation of two scores by trial; NaN for fewer than three trials or where one does not vary."""
    pairs = pd.concat([one.round(12), other.round(12)], axis=1, join="inner").dropna().astype(float)
    if len(pairs) < 3 or (pairs.nunique() == 1).any():
        return float("nan")
    return float(np.corrcoef(pairs.rank().to_numpy(), rowvar=False)[0, 1])
