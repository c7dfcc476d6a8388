"""Objective that chooses among trials: one number per fold, for the search, for racing and for the best.

What is reported of the chosen trial is its accuracy, whatever chose it.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from fsamc.config.scoring import MEASURES
from fsamc.counting import counted
from fsamc.fold.result import FoldResult
from sweeps.plan.settings import Plan
from sweeps.results import tables

OBJECTIVES = "objectives.csv"
OBJECTIVE_COLUMNS = ["trial", *tables.FOLD, "query", *MEASURES]


def fold_score(plan: Plan, result: FoldResult) -> float:
    """Score a fold by the plan's objective, in [0, 1], higher is better; NaN for a fold that has no say."""
    if not has_say(plan, result.category, result.shots):
        return float("nan")
    return result.measured[plan.objective.kind] if plan.objective.kind in MEASURES else result.accuracy


def has_say(plan: Plan, category: str, shots: int) -> bool:
    """Whether the objective looks at a fold: not at the target's, nor at other shots than those that choose."""
    objective = plan.objective
    return category not in objective.target and objective.shots in ("mean", shots)


def scored(plan: Plan, folds: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """Pick the folds that have a say, their accuracy replaced by `fold_score`: what the choice is made from.

    Args:
        plan: its objective.
        folds: as `SweepReader.folds` has them.
        measured: as `SweepReader.measured` has them.
    """
    objective = plan.objective
    folds = folds if objective.shots == "mean" else folds[folds["shots"] == objective.shots]
    if objective.kind not in MEASURES:
        return folds[~folds["category"].isin(objective.target)]
    return by_measure(folds, measured, objective.kind)


def by_measure(folds: pd.DataFrame, measured: pd.DataFrame, name: str) -> pd.DataFrame:
    """Pick the folds that have a further score, with it in place of their accuracy."""
    by_fold = measured.set_index(["trial", *tables.FOLD])[name]
    scores = by_fold.reindex(pd.MultiIndex.from_frame(folds[["trial", *tables.FOLD]]))
    return folds.assign(accuracy=scores.to_numpy(float)).dropna(subset="accuracy")


def reported(plan: Plan, folds: pd.DataFrame) -> pd.DataFrame:
    """Pick the folds whose accuracy is reported of the chosen trial: the target's, where there is one."""
    return folds[folds["category"].isin(plan.objective.target)] if plan.objective.target else folds


def ranking_by_objective(plan: Plan, folds: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """Rank trials by the objective: `tables.ranking`, whose differences, intervals and ties are the objective's.

    `mean` and `std` are those of the accuracy that is reported; a further column `objective` has the average that
    ranks.
    """
    board = tables.ranking(scored(plan, folds, measured))
    board = board.assign(objective=board["mean"])
    if plan.objective.is_reported:
        return board
    summary = tables.over_shots(tables.summarise(reported(plan, folds)))
    accuracy = summary[summary["category"] == tables.AVERAGE].set_index("trial")
    return board.assign(mean=board["trial"].map(accuracy["mean"]), std=board["trial"].map(accuracy["std"]))


def chosen_trial(plan: Plan, folds: pd.DataFrame, measured: pd.DataFrame) -> int | None:
    """Pick the trial that the objective chooses; none where the trials share no category."""
    return tables.best_trial(scored(plan, folds, measured))


def equivalents(plan: Plan, board: pd.DataFrame, estimates: Mapping[int, float]) -> list[int]:
    """List the trials that end no more than the margin below the best one, itself among them, by number.

    Args:
        plan: `search.stopping.margin`.
        board: as `ranking_by_objective` makes it.
        estimates: of the trials that were stopped early, by number.
    """
    if board.empty:
        return []
    complete = dict(zip(board["trial"], board["objective"], strict=True))
    least = board["objective"].iloc[0] - plan.search.stopping.margin
    return sorted(int(trial) for trial, score in {**estimates, **complete}.items() if round(score - least, 12) >= 0)


def equivalent_line(plan: Plan, board: pd.DataFrame, estimates: Mapping[int, float]) -> str:
    """Say the same, and who decided; nothing where the search does not go by the margin."""
    same = equivalents(plan, board, estimates) if plan.search.until == "decided" else []
    margin = f"{100 * plan.search.stopping.margin:g} points"
    numbers = ", ".join(map(str, same))
    return f"equivalent: {numbers}; within {margin} of the best, as {plan.search.stops_by} decided" if same else ""


def chosen_metrics(board: pd.DataFrame) -> dict[str, float]:
    """Name the chosen trial's number, its accuracy that is reported and its objective's score; empty without one."""
    if board.empty:
        return {}
    best = board.iloc[0]
    numbers = {"best_trial": best["trial"], "best_accuracy": best["mean"], "best_objective": best["objective"]}
    return {name: float(value) for name, value in numbers.items() if pd.notna(value)}


def measured_row(number: int, result: FoldResult) -> list[object]:
    """Make a fold's row of objectives.csv."""
    query = result.accuracy if result.scored_by == "queries" else ""
    further = (result.measured.get(name, "") for name in MEASURES)
    return [number, result.category, result.seed, result.draw, result.shots, query, *further]


def what_chooses(plan: Plan) -> str:
    """Say what chooses among this plan's trials, and what to think of it."""
    shots = plan.objective.shots
    return _what_chooses(plan) if shots == "mean" else f"{_what_chooses(plan)}, at {counted(shots, 'shot')}"


def _what_chooses(plan: Plan) -> str:
    kind = plan.objective.kind
    if kind == "support":
        return "leave-one-out on the support images"
    if kind == "pseudo":
        return "held-out pseudo-defects"
    if kind == "transfer":
        return f"accuracy on the categories other than {', '.join(plan.objective.target)}"
    if plan.folds.score == "support":
        return "leave-one-out on the support images, which is also what is reported: selection on the test set"
    return "accuracy on the queries that are reported: selection on the test set"
