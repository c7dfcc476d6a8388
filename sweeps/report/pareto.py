"""Accuracy against time: which trials are beaten in neither."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sweeps.report.evidence import Evidence
from sweeps.report.grid import Cell, Grid, duration, shown
from sweeps.results.tables import finished, percent

MOST_ROWS = 15


def time_and_accuracy(evidence: Evidence) -> pd.DataFrame:
    """Complete trials, quickest first.

    Returns columns trial, mean, std, seconds: a fold's mean, and unbeaten: no other trial is at least as good in both
    accuracy and time, and better in one.
    """
    board = evidence.ranked[evidence.ranked["complete"]]
    seconds = finished(evidence.folds).groupby("trial")["seconds"].mean()
    found = board[["trial", "mean", "std"]].assign(seconds=board["trial"].map(seconds)).dropna(subset="seconds")
    return found.assign(unbeaten=unbeaten(found["mean"].to_numpy(), found["seconds"].to_numpy())).sort_values(
        ["seconds", "mean", "trial"], ascending=[True, False, True], ignore_index=True
    )


def unbeaten(accuracy: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Bool [T]: whether no other is at least as accurate and as quick, and one of them more so."""
    order = np.lexsort((-accuracy, seconds))
    best = np.maximum.accumulate(np.concatenate([[-np.inf], accuracy[order][:-1]]))
    ahead = np.empty(len(order), bool)
    ahead[order] = accuracy[order] > best
    equals = {(a, s) for a, s in zip(accuracy[ahead], seconds[ahead], strict=True)}
    return ahead | np.array([pair in equals for pair in zip(accuracy, seconds, strict=True)], bool)


def unbeaten_trials(evidence: Evidence, times: pd.DataFrame) -> Grid | None:
    """The unbeaten trials with their settings, quickest first; of many, the most accurate ones."""
    front = times[times["unbeaten"]]
    if len(times) < 2:
        return None
    settings = {key: evidence.of_trials(key).map(shown) for key in evidence.keys}
    rows = [
        [
            Cell(str(row["trial"]), strong=row["trial"] == evidence.best),
            duration(row["seconds"]),
            percent(row["mean"], row["std"]),
            *(values[row["trial"]] for values in settings.values()),
        ]
        for _, row in front.tail(MOST_ROWS).iterrows()
    ]
    return Grid.of(["trial", "time of a fold", "average, %", *settings], rows, names=0)
