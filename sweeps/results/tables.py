"""Tables of a sweep, as pure functions of its finished folds: none depends on the order of the rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from fsamc.counting import counted
from fsamc.store.durable import write_whole
from sweeps.statistics import averages

AVERAGE = averages.AVERAGE
DASH = "\N{EN DASH}"
FOLD = ["category", "seed", "draw", "shots"]
FIXED = ["trial", "config", *FOLD, "head", "accuracy", "correct", "queries", "status", "seconds"]
DETECTED = ["workflow_accuracy", "detection_recall", "false_alarm_rate", "auroc"]
STATE, AVERAGED = "state", "averaged"  # what the reader adds to the columns of folds.csv
DONE, STOPPED, OPEN = "done", "stopped", "open"  # states of a trial: has all its folds, was stopped early, goes on


def swept_keys(folds: pd.DataFrame) -> list[str]:
    """List the dotted keys that differ between trials: the columns after the fixed ones."""
    return [name for name in folds.columns if name not in [*FIXED, STATE, AVERAGED]]


def finished(folds: pd.DataFrame) -> pd.DataFrame:
    """Pick the folds that were scored, in a fixed order, so that sums do not depend on the order of arrival."""
    return folds[folds["status"] == "ok"].sort_values(["trial", *FOLD], ignore_index=True)


def not_stopped(folds: pd.DataFrame) -> pd.DataFrame:
    """Pick the folds of trials that were not stopped early; a table of which nobody said so has none that were."""
    return folds[folds[STATE] != STOPPED] if STATE in folds else folds


def mark_averaged(folds: pd.DataFrame, averaged: Mapping[int, Collection[str]]) -> pd.DataFrame:
    """Mark the folds that the averages are over, in a column AVERAGED.

    `averaged`: by number of shots, the categories in which every trial of the sweep has folds (`Prepared.averaged`);
    empty where that was not written down, and then the table says it.
    """
    if not averaged:
        return folds
    cells = [(category, int(shots)) for shots, names in averaged.items() for category in names]
    here = pd.MultiIndex.from_frame(folds[["category", "shots"]])
    return folds.assign(**{AVERAGED: here.isin(pd.MultiIndex.from_tuples(cells, names=here.names))})


def averaged_categories(folds: pd.DataFrame) -> dict[int, list[str]]:
    """List, by number of shots, the categories that the average is over.

    They are marked in the column AVERAGED. In a table without it they are those in which every trial has a finished
    fold; one without any, or stopped early, has no say.
    """
    if AVERAGED in folds:
        cells = folds.loc[folds[AVERAGED], ["shots", "category"]].drop_duplicates()
    else:
        having = finished(not_stopped(folds))[["trial", "shots", "category"]].drop_duplicates()
        trials = having.groupby(["shots", "category"], as_index=False).size()
        cells = trials[trials["size"] == having["trial"].nunique()]
    averaged: dict[int, list[str]] = {}
    for shots, name in sorted(cells[["shots", "category"]].itertuples(index=False, name=None)):
        averaged.setdefault(int(shots), []).append(name)
    return averaged


def seed_scores(folds: pd.DataFrame) -> pd.DataFrame:
    """Average accuracy per trial, shots, category and seed over draws, and on: see `averages.seed_averages`.

    Returns columns trial, shots Int64 (NA for the mean over them), category (or `average`), seed, accuracy.
    """
    cells = averages_of(folds)
    rows = [(*cell, seed, score) for cell in _in_order(cells) for seed, score in sorted(cells[cell].items())]
    return _typed(pd.DataFrame(rows, columns=["trial", "shots", "category", "seed", "accuracy"]))


def averages_of(folds: pd.DataFrame) -> averages.Averages:
    """Average the scored folds as `seed_scores` does, into plain numbers."""
    scored, ranked = finished(folds), set(not_stopped(folds)["trial"])
    columns = (scored[name].tolist() for name in ("trial", "shots", "category", "seed", "accuracy"))
    scores = [*zip(*columns, strict=True)]
    return averages.seed_averages(scores, averaged_categories(folds), stopped={*scored["trial"]} - ranked)


def _in_order(cells: Iterable[averages.Cell]) -> list[averages.Cell]:
    """Sort by trial, then shots, the mean over them last, then category, `average` last."""
    return sorted(cells, key=lambda cell: (cell[0], cell[1] == averages.OVER, cell[1], cell[2] == AVERAGE, cell[2]))


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    """Give a table of cells its types, also where it has no rows."""
    shots = table["shots"].astype("Int64")
    types = dict.fromkeys(("trial", "seed", "seeds"), "int64") | dict.fromkeys(("accuracy", "mean", "std"), "float64")
    types = {name: kind for name, kind in {**types, "category": "str"}.items() if name in table}
    return table.assign(shots=shots.mask(shots == averages.OVER)).astype(types)


def over_shots(table: pd.DataFrame) -> pd.DataFrame:
    """Pick the rows that are the mean over the numbers of shots: of one that is `summarise`'s or `seed_scores`'."""
    return table[table["shots"].isna()].drop(columns="shots")


def by_shots(summary: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Pick a summary's rows at each number of shots, by what they are at: "2 shots"."""
    numbers = sorted({*summary["shots"].dropna().tolist()})
    return [(counted(n, "shot"), summary[summary["shots"] == n].drop(columns="shots")) for n in numbers]


def trial_scores(folds: pd.DataFrame) -> pd.DataFrame:
    """Return each trial's accuracy: mean and std of its `average`, and seconds, the mean of what its folds took.

    Indexed by trial; NaN for one that has no average.
    """
    average = over_shots(summarise(folds)).query("category == @AVERAGE").set_index("trial")
    seconds = folds.groupby("trial")["seconds"].mean()
    return average[["mean", "std"]].reindex(seconds.index).assign(seconds=seconds)


def pareto(folds: pd.DataFrame) -> list[int]:
    """List complete trials that none beats: better in accuracy or seconds, and no worse in the other. Best first."""
    board = ranking(folds)
    board = board[board["complete"]]
    seconds = board["trial"].map(trial_scores(finished(folds))["seconds"])
    return [int(trial) for trial in board.loc[unbeaten(board["mean"].to_numpy(), seconds.to_numpy()), "trial"]]


def unbeaten(accuracy: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Return bool [T]: whether no other trial is at least as accurate and as quick, and in one of the two better."""
    accuracy = accuracy.round(12)  # the noise of summing
    order = np.lexsort((-accuracy, seconds))
    best = np.maximum.accumulate(np.concatenate([[-np.inf], accuracy[order][:-1]]))
    ahead = np.empty(len(order), bool)
    ahead[order] = accuracy[order] > best
    equals = {(a, s) for a, s in zip(accuracy[ahead], seconds[ahead], strict=True)}
    return ahead | np.array([pair in equals for pair in zip(accuracy, seconds, strict=True)], bool)


def summarise(folds: pd.DataFrame) -> pd.DataFrame:
    """Take mean and sample standard deviation (n - 1) over seeds of every trial, per category and on average.

    The mean over draws is taken first, then, in the rows without shots, that over the numbers of shots. The standard
    deviation of `average` is that of the per-seed averages (paper 4.1.3). One seed has none (NaN). The `average`
    without shots is the trial's accuracy, wherever one looks.

    Returns columns trial, shots, category, mean, std, seeds, categories: how many `average` is over, else empty.
    """
    common = averaged_categories(folds)
    over = {shots: len(names) for shots, names in common.items()}
    over[averages.OVER] = len(set().union(*common.values()))
    cells = averages_of(folds)
    rows = []
    for cell in _in_order(cells):
        scores = [score for score in cells[cell].values() if not np.isnan(score)]
        categories = over[cell[1]] if cell[2] == AVERAGE else pd.NA
        rows.append((*cell, averages.mean_of(scores), averages.deviation_of(scores), len(scores), categories))
    columns = ["trial", "shots", "category", "mean", "std", "seeds", "categories"]
    return _typed(pd.DataFrame(rows, columns=columns).astype({"categories": "Int64"}))


def write_summary(summary: pd.DataFrame, out: Path) -> None:
    """Write summary.csv whole or not at all: a reader never sees half of it."""
    write_whole(out / "summary.csv", summary.to_csv(index=False))


def ranking(folds: pd.DataFrame) -> pd.DataFrame:
    """Rank trials by their `average`, best first, each with its paired difference to the best one.

    Pairing over shared folds takes out what both trials have in common: the category, its support and its bank. The
    95 % interval is Student's t over the differences per (category, seed), each the mean over shared draws and shots. A
    sweep has few of these (4 for two categories and two seeds), where a bootstrap is too narrow and t honestly wide.
    Seeds of one category are not quite independent, so with few categories it is still a little narrow; and the best of
    many trials is partly the luckiest, which no interval around a difference to it can show.

    The difference is that of the averages. A trial that has not all of its folds comes after the complete ones, and its
    difference is on the folds that it shares with the best. Which trials do is in the column STATE; in a table without
    it, those that have as many finished folds in the averaged categories as any other. One that was stopped early is
    not ranked.

    Returns columns trial, mean, std, seeds, folds, complete, difference, low, high, tied: the interval holds 0, or
    there is none to be had (fewer than two differences). Empty if no trial has an average.
    """
    summary = over_shots(summarise(folds))
    board = summary[summary["category"] == AVERAGE].drop(columns=["category", "categories"])
    common = averaged_categories(folds)
    done = mark_averaged(finished(not_stopped(folds)), common)
    done = done[done[AVERAGED]] if common else done
    board = board.assign(folds=board["trial"].map(done.groupby("trial").size()))
    whole = board["folds"] == board["folds"].max()
    board["complete"] = board["trial"].isin(folds.loc[folds[STATE] == DONE, "trial"]) if STATE in folds else whole
    board = _best_first(board)
    scores = done.pivot(index=FOLD, columns="trial", values="accuracy")[board["trial"]]
    paired = paired_difference(scores, scores[board["trial"].iloc[:1]])
    half = (paired["high"] - paired["low"]).to_numpy() / 2
    of_means = board["mean"] - board["mean"].head(1).sum()
    difference = of_means.where(board["complete"], paired["difference"].to_numpy())
    board = board.assign(difference=difference, low=difference - half, high=difference + half)
    board["tied"] = ~((board["high"] < 0) | (board["low"] > 0))
    order = ["trial", "mean", "std", "seeds", "folds", "complete", "difference", "low", "high", "tied"]
    return board[order]


def _best_first(board: pd.DataFrame) -> pd.DataFrame:
    """Complete trials first, then by mean; equal means (to 1e-12, the noise of summing) by trial number."""
    keys = board.assign(rounded=board["mean"].round(12))
    order = keys.sort_values(["complete", "rounded", "trial"], ascending=[False, False, True]).index
    return board.loc[order].reset_index(drop=True)


def paired_difference(scores: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Mean of `scores` minus `other` over the folds that both have, and its 95 % interval.

    Both are indexed by FOLD, with a column per trial; `other` has one, or as many as `scores`. A difference per
    (category, seed) is the mean over its draws and shots; Student's t goes over these.

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
    """Lay out a summary at one number of shots, or over them: trial by category, `average` last.

    A cell is "mean ± std" in percent, a dash where there is nothing.
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
