"""Tables of a sweep, as pure functions of its finished folds: none depends on the order of the rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from sweeps.results.files import write_whole

AVERAGE = "average"
DASH = "\N{EN DASH}"
FOLD = ["category", "seed", "draw"]
FIXED = ["trial", "config", *FOLD, "shots", "head", "accuracy", "correct", "queries", "status", "seconds"]
DETECTED = ["workflow_accuracy", "detection_recall", "false_alarm_rate", "auroc"]
STOPPED = "stopped"


def swept_keys(folds: pd.DataFrame) -> list[str]:
    """List the dotted keys that differ between trials: the columns after the fixed ones."""
    return [name for name in folds.columns if name not in [*FIXED, STOPPED]]


def finished(folds: pd.DataFrame) -> pd.DataFrame:
    """Pick the folds that were scored, in a fixed order, so that sums do not depend on the order of arrival."""
    return folds[folds["status"] == "ok"].sort_values(["trial", *FOLD], ignore_index=True)


def not_stopped(folds: pd.DataFrame) -> pd.DataFrame:
    """Pick the folds of trials that were not stopped early; a table of which nobody said so has none that were."""
    return folds[folds[STOPPED] == ""] if STOPPED in folds else folds


def common_categories(folds: pd.DataFrame) -> list[str]:
    """List categories in which every trial has a finished fold; one without any, or stopped early, has no say."""
    having = finished(not_stopped(folds))[["trial", "category"]].drop_duplicates()
    trials = having.groupby("category").size()
    return sorted(trials.index[trials == having["trial"].nunique()])


def seed_scores(folds: pd.DataFrame) -> pd.DataFrame:
    """Average accuracy per trial, category and seed over draws; per seed also the `average` over common categories.

    A seed without a finished fold in each of the common categories has no `average`: it would be one over others. Nor
    has a trial that was stopped early.
    """
    common = common_categories(folds)
    scores = finished(folds).groupby(["trial", "category", "seed"], as_index=False)["accuracy"].mean()
    averaged = scores["category"].isin(common) & scores["trial"].isin(not_stopped(folds)["trial"])
    per_seed = scores[averaged].groupby(["trial", "seed"])["accuracy"].agg(["mean", "count"])
    averages = per_seed.loc[per_seed["count"] == len(common), "mean"].rename("accuracy").reset_index()
    return pd.concat([scores, averages.assign(category=AVERAGE)[scores.columns]], ignore_index=True)


def trial_scores(folds: pd.DataFrame) -> pd.DataFrame:
    """Score each trial by itself, from finished folds: over its own categories, whatever other trials have.

    Returns columns mean, std over seeds of the average over categories, and seconds, the mean of what its folds took;
    indexed by trial. A seed without a fold in each of the trial's categories does not count; nor does a trial of none.
    """
    scores = folds.groupby(["trial", "category", "seed"], as_index=False)["accuracy"].mean()
    per_seed = scores.groupby(["trial", "seed"])["accuracy"].agg(["mean", "count"])
    whole = folds.groupby("trial")["category"].nunique().reindex(per_seed.index, level="trial")
    by_trial = per_seed.loc[per_seed["count"] == whole, "mean"].groupby("trial").agg(["mean", "std"])
    return by_trial.assign(seconds=folds.groupby("trial")["seconds"].mean())


def pareto(folds: pd.DataFrame) -> list[int]:
    """List complete trials that none beats: better in accuracy or seconds, and no worse in the other. Best first."""
    board = ranking(folds)
    board = board[board["complete"]]
    mean = board["mean"].round(12).to_numpy()
    seconds = board["trial"].map(trial_scores(finished(folds))["seconds"]).to_numpy()
    at_least = (mean[:, None] >= mean) & (seconds[:, None] <= seconds)
    beaten = (at_least & ((mean[:, None] > mean) | (seconds[:, None] < seconds))).any(axis=0)
    return [int(trial) for trial in board.loc[~np.asarray(beaten, dtype=bool), "trial"]]


def summarise(folds: pd.DataFrame) -> pd.DataFrame:
    """Take mean and sample standard deviation (n - 1) over seeds of every trial, per category and on average.

    The mean over draws is taken first. The standard deviation of `average` is that of the per-seed averages (paper
    4.1.3). One seed has none (NaN).

    Returns columns trial, category, mean, std, seeds, categories: how many categories `average` is over, else empty.
    """
    summary = (
        seed_scores(folds)
        .groupby(["trial", "category"], as_index=False)["accuracy"]
        .agg(["mean", "std", "count"])
        .rename(columns={"count": "seeds"})
    )
    is_average = summary["category"] == AVERAGE
    summary["categories"] = pd.array(np.where(is_average, len(common_categories(folds)), 0), dtype="Int64")
    summary.loc[~is_average, "categories"] = pd.NA
    return (
        summary.assign(last=is_average)
        .sort_values(["trial", "last", "category"], ignore_index=True)
        .drop(columns="last")
    )


def write_summary(summary: pd.DataFrame, out: Path) -> None:
    """Write summary.csv whole or not at all: a reader never sees half of it."""
    write_whole(out / "summary.csv", summary.to_csv(index=False))


def ranking(folds: pd.DataFrame) -> pd.DataFrame:
    """Rank trials by their `average`, best first, each with its paired difference to the best one.

    Pairing over shared folds takes out what both trials have in common: the category, its support and its bank. The
    95 % interval is Student's t over the differences per (category, seed), each the mean over shared draws. A sweep
    has few of these (4 for two categories and two seeds), where a bootstrap is too narrow and t honestly wide. Seeds
    of one category are not quite independent, so with few categories it is still a little narrow; and the best of
    many trials is partly the luckiest, which no interval around a difference to it can show.

    A trial with fewer finished folds in the common categories than another has comes after the complete ones. One that
    was stopped early is not ranked; see `stopped_early`.

    Returns columns trial, shots, mean, std, seeds, folds, complete, difference, low, high, tied: the interval holds 0,
    or there is none to be had (fewer than two differences). Empty if no category is common to all trials.
    """
    summary = summarise(folds)
    board = summary[summary["category"] == AVERAGE].drop(columns=["category", "categories"])
    done = finished(not_stopped(folds))
    done = done[done["category"].isin(common_categories(folds))]
    by_trial = done.groupby("trial")
    board = board.assign(shots=board["trial"].map(by_trial["shots"].first()), folds=board["trial"].map(by_trial.size()))
    board["complete"] = board["folds"] == board["folds"].max()
    board = _best_first(board)
    scores = done.pivot(index=FOLD, columns="trial", values="accuracy")[board["trial"]]
    board[["difference", "low", "high"]] = paired_difference(scores, scores[board["trial"].iloc[:1]]).to_numpy()
    board["tied"] = ~((board["high"] < 0) | (board["low"] > 0))
    order = ["trial", "shots", "mean", "std", "seeds", "folds", "complete", "difference", "low", "high", "tied"]
    return board[order]


def stopped_early(folds: pd.DataFrame) -> pd.DataFrame:
    """List trials that were stopped before all their folds were scored, the least bad first.

    Returns columns trial, folds: how many were scored; difference: their mean difference to the best trial on the
    folds that both have, NaN if none; reason.
    """
    if STOPPED not in folds:
        return pd.DataFrame(columns=["trial", "folds", "difference", "reason"])
    done = finished(folds)
    stopped, best = done[done[STOPPED] != ""], best_trial(folds)
    scores = done.set_index(["trial", *FOLD])["accuracy"]
    rows = [
        {
            "trial": trial,
            "folds": len(of_trial),
            "difference": np.nan if best is None else (scores.loc[trial] - scores.loc[best]).mean(),
            "reason": of_trial[STOPPED].iloc[0],
        }
        for trial, of_trial in stopped.groupby("trial")
    ]
    table = pd.DataFrame(rows, columns=["trial", "folds", "difference", "reason"])
    return table.sort_values(["difference", "trial"], ascending=[False, True], ignore_index=True)


def _best_first(board: pd.DataFrame) -> pd.DataFrame:
    """Complete trials first, then by mean; equal means (to 1e-12, the noise of summing) by trial number."""
    keys = board.assign(rounded=board["mean"].round(12))
    order = keys.sort_values(["complete", "rounded", "trial"], ascending=[False, False, True]).index
    return board.loc[order].reset_index(drop=True)


def paired_difference(scores: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Mean of `scores` minus `other` over the folds that both have, and its 95 % interval.

    Both are indexed by (category, seed, draw), with a column per trial; `other` has one, or as many as `scores`. A
    difference per (category, seed) is the mean over its draws; Student's t goes over these.

    Returns columns difference, low, high, a row per column of `scores`; NaN where there is nothing to say.
    """
    per_fold = scores - other.reindex(scores.index).to_numpy() if len(scores.columns) else scores
    gaps = per_fold.groupby(level=["category", "seed"]).mean()
    count, mean = gaps.count(), gaps.mean()
    half = stdtrit(np.maximum(count - 1, 1), 0.975) * gaps.std() / np.sqrt(count.clip(lower=1))
    return pd.DataFrame({"difference": mean, "low": mean - half, "high": mean + half})


def best_trial(folds: pd.DataFrame) -> int | None:
    """Pick the trial with the highest `average`, ties to the lower number; none if the trials share no category."""
    board = ranking(folds)
    return int(board["trial"].iloc[0]) if len(board) else None


def percent(mean: float, std: float | None = None, *, digits: int = 1) -> str:
    """Write `61.3`, `61.3 ± 2.1`, or with a dash for what is not there; from shares in [0, 1]."""
    if np.isnan(mean):
        return DASH
    spread = "" if std is None else f" ± {DASH if np.isnan(std) else f'{100 * std:.{digits}f}'}"
    return f"{100 * mean:.{digits}f}{spread}"


def format_table(summary: pd.DataFrame, *, mark: str = " *") -> pd.DataFrame:
    """Lay out trial by category, `average` last: "mean ± std" in percent, a dash where there is nothing.

    Every column's best value carries `mark`; that of a trial stopped early, over a few lucky folds, does not.
    """
    cells = [percent(mean, std) for mean, std in zip(summary["mean"], summary["std"], strict=True)]
    ranked = summary["trial"].isin(summary.loc[summary["category"] == AVERAGE, "trial"])
    means = summary["mean"].round(12)
    if ranked.any():
        means = means.where(ranked)
    best = means == means.groupby(summary["category"]).transform("max")
    marked = summary.assign(cell=[cell + mark * top for cell, top in zip(cells, best, strict=True)])
    table = marked.pivot(index="trial", columns="category", values="cell").fillna(DASH)
    return table[[*(name for name in table.columns if name != AVERAGE), *([AVERAGE] if AVERAGE in table else [])]]
