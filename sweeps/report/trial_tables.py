"""Tables of trials: the ranking, the accuracies per category, the leave-one-category-out estimate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from sweeps.report.document.numbers import counted, interval, percentage_points, shown
from sweeps.report.document.report_blocks import Cell, Table
from sweeps.report.evidence import Evidence
from sweeps.results.tables import AVERAGE, DASH, format_table, percent, stopped_early

MOST_TRIALS = 30


def shown_trials(evidence: Evidence) -> list[int]:
    """List the best trials, and the base wherever it stands; the first ones where none is ranked."""
    ranked = list(evidence.board["trial"]) or sorted(set(evidence.summary["trial"]))
    return ranked[:MOST_TRIALS] + [trial for trial in ranked[MOST_TRIALS:] if trial == 0]


def ranking_table(evidence: Evidence, trials: list[int]) -> Table:
    """Rank trials, best first; those that cannot be told apart from the best are marked. Stopped ones come last."""
    board = evidence.board.assign(place=range(1, len(evidence.board) + 1))
    settings = {key: evidence.of_trials(key).map(shown) for key in evidence.keys}
    own = not evidence.plan.objective.is_reported  # then the differences are in another score than the average
    rows = [
        [
            str(row["place"]),
            f"{row['trial']}{'' if row['complete'] else ' (incomplete)'}",
            *([percent(row["objective"])] if own else []),
            *_against_best(row, row["trial"] == evidence.best),
            *_settings(settings, row),
        ]
        for _, row in board[board["trial"].isin(trials)].iterrows()
    ]
    room = max(0, MOST_TRIALS - len(rows))
    unscored = ["", ""] if own else [""]
    for _, row in stopped_early(evidence.folds).head(room).iterrows():
        told = [*unscored, percentage_points(row["difference"]), "", _after(row)]
        rows.append(["", f"{row['trial']} (stopped)", *told, *_settings(settings, row)])
    target = evidence.plan.objective.target
    average = f"average on {', '.join(target)}, %" if target else "average, %"
    by = ["objective, %", average, "objective to the best, points"] if own else [average, "to the best, points"]
    header = ["", "trial", *by, "95 % interval", "worse than the best?", *settings]
    return Table.of(header, rows, names=0, marked=_tied(evidence, trials))


def _settings(settings: Mapping[str, pd.Series], row: pd.Series) -> list[str]:
    return [values[row["trial"]] for values in settings.values()]


def _after(row: pd.Series) -> str:
    return f"stopped after {counted(row['folds'], 'fold')}"


def _tied(evidence: Evidence, trials: list[int]) -> list[int]:
    board = evidence.board[evidence.board["trial"].isin(trials)]
    return [place for place, tied in enumerate(board["tied"] & board["mean"].notna()) if tied]


def _against_best(row: pd.Series, is_best: bool) -> list[Cell | str]:
    average = percent(row["mean"], row["std"])
    if is_best:
        return [Cell(average, strong=True), "", "", "best"]
    worse = "cannot be told" if row["tied"] else "yes" if row["difference"] < 0 else "no, but incomplete"
    return [average, percentage_points(row["difference"]), interval(row["low"], row["high"]), worse]


def scores_tables(evidence: Evidence, trials: list[int]) -> list[Table]:
    """List mean and standard deviation of trials per category: a table per number of shots, and of their mean."""
    several = len(evidence.shots) > 1
    tables = [(at if several else "", format_table(summary).reindex(trials)) for at, summary in evidence.summaries()]
    return [
        Table.of(
            ["trial", *table.columns],
            ([str(trial), *row] for trial, *row in table.fillna(DASH).itertuples()),
            names=0,
            title=title,
        )
        for title, table in tables
    ]


def leave_one_out_table(evidence: Evidence) -> Table:
    """Compare, on each category, the trial that the others chose with the best trial."""
    several = len(evidence.shots) > 1
    best = evidence.summary[evidence.summary["trial"] == evidence.best]
    best = best.set_index([best["shots"].fillna(0), "category"])[["mean", "std"]]
    header = [
        "category",
        *(["shots"] if several else []),
        "chosen on the others",
        "accuracy here, %",
        "best trial here, %",
    ]
    rows = [
        [
            row["category"],
            *([_shots(row["shots"])] if several else []),
            _trial(row["trial"]),
            Cell(percent(row["accuracy"], row["std"]), strong=row["category"] == AVERAGE),
            percent(*best.loc[(0 if pd.isna(row["shots"]) else row["shots"], row["category"])]),
        ]
        for _, row in evidence.leave_one_out.iterrows()
    ]
    return Table.of(header, rows)


def _shots(number: Any) -> str:
    return "mean" if pd.isna(number) else str(number)


def _trial(number: Any) -> str:
    return "" if pd.isna(number) else f"trial {number}"
