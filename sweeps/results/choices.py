"""Choices of each objective among a sweep's trials, and what they are worth on the queries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from fsamc.config.scoring import MEASURES
from fsamc.counting import counted
from sweeps.plan.settings import Plan
from sweeps.results import tables
from sweeps.results.objective import by_measure, scored, what_chooses

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


@dataclass(frozen=True)
class Recommendation:
    """A trial that is recommended, that in best.yaml: the best one, or the base where tuning is not shown to beat it.

    Attributes:
        trial: recommended.
        best: the trial that the objective chose.
        over: what was left out in turn, `category`, `draw` or `seed`; empty where there was nothing to leave out.
        gain: how far the trial chosen on the others is above the base on what was left out, by the objective; the mean
            over `folds` pairs, (category, seed, draw), each the mean over the shots.
        low: its lower bound, one-sided at 95 %, by Student's t over these pairs; NaN for fewer than two.
    """

    trial: int
    best: int
    over: str = ""
    gain: float = np.nan
    low: float = np.nan
    folds: int = 0

    @property
    def abstains(self) -> bool:
        """Whether the base is recommended in place of another best trial."""
        return self.trial != self.best

    @property
    def line(self) -> str:
        """Say in a sentence whether tuning beat the base, and what best.yaml is; nothing where nothing was tuned."""
        if self.best == 0 or (not self.over and not self.abstains):
            return ""
        what = f"best.yaml is trial {self.trial}" + (", the base, and not the best trial" if self.abstains else "")
        if not self.over:
            return f"{what}: there is one category, one draw and one seed, so nothing says whether tuning beat the base"
        points = [f"{100 * one:+.1f}".replace("-", "\N{MINUS SIGN}") for one in (self.gain, self.low)]
        told = "above it" if self.low > 0 else "not above it by more than the noise"
        return (
            f"{what}: chosen without a {self.over}, a trial is {points[0]} points to the base there, {told} (at least "
            f"{points[1]} with 95 % confidence, Student's t over {counted(self.folds, 'fold')})"
        )


def recommendation(plan: Plan, folds: pd.DataFrame, measured: pd.DataFrame) -> Recommendation | None:
    """Recommend the trial that the objective chose, or the base where leaving out does not show that tuning beat it.

    Each category is left out in turn: what scores best on the others is compared with the base, trial 0, on the one
    left out, in pairs of folds. Of one category it is the draws, or else the seeds, that are left out, which shows
    less: they share their images. Where the base lacks folds, or the plan does not abstain, the best is recommended.

    None where the trials share no category.
    """
    by_objective = scored(plan, folds, measured)
    board = tables.ranking(by_objective)
    if board.empty:
        return None
    best, complete = int(board["trial"].iloc[0]), board.loc[board["complete"], "trial"]
    if best == 0 or 0 not in set(complete):
        return Recommendation(best, best)
    these = tables.mark_averaged(by_objective, tables.averaged_categories(by_objective))
    these = tables.finished(these[these[tables.AVERAGED] & these["trial"].isin(complete)])
    pairs = these.pivot_table(index=["category", "seed", "draw"], columns="trial", values="accuracy").dropna()
    over = next((name for name in ("category", "draw", "seed") if pairs.index.unique(name).size > 1), "")
    gaps = _gaps_left_out(pairs, over) if over else pd.Series(dtype=float)
    gain, n = float(gaps.mean()), len(gaps)
    low = gain - float(stdtrit(n - 1, 0.95) * gaps.std() / np.sqrt(n)) if n > 1 else np.nan
    shown = low > 0 or not plan.objective.abstain
    return Recommendation(best if shown else 0, best, over, gain, low, n)


def _gaps_left_out(pairs: pd.DataFrame, over: str) -> pd.Series:
    """Return by fold how far above the base the trial is that was best on the other categories, draws or seeds."""
    left_out = pairs.index.get_level_values(over)
    gaps = []
    for one in left_out.unique():
        means = pairs[left_out != one].groupby(level="category").mean().mean().round(12)
        here = pairs[left_out == one]
        gaps.append(here[means.index[int(means.to_numpy().argmax())]] - here[0])
    return pd.concat(gaps)


def choice_line(plan: Plan, board: pd.DataFrame) -> str:
    """Say the sweep's own choice: what chose, what it scored, and how many trials cannot be told apart from it."""
    if board.empty:
        return "no trial is chosen: they share no category in which each has a finished fold"
    best, others = board.iloc[0], board.iloc[1:]
    on = f" on {', '.join(plan.objective.target)}" if plan.objective.target else ""
    by = what_chooses(plan)
    score = "" if plan.objective.is_reported else f" ({tables.percent(best['objective'])} %)"
    line = f"trial {best['trial']}: {tables.percent(best['mean'], best['std'])} %{on}, chosen by {by}{score}"
    if others.empty:
        return f"trial {best['trial']} is the only one: nothing was chosen"
    tied = int(others["tied"].sum())
    which = "no other trial can" if tied == len(others) else f"{tied} of the {len(others)} other trials cannot"
    return f"{line}; {which} be told apart from it"


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
