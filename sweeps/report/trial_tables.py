"""Tables of trials: the ranking, the accuracies per category, the leave-one-category-out estimate."""

from __future__ import annotations

from collections.abc import Mapping
from math import nan
from typing import Any

import pandas as pd

from sweeps.finals.final_tables import FinalScores
from sweeps.report.document.numbers import interval, percentage_points, shown
from sweeps.report.document.report_blocks import Cell, Table
from sweeps.report.evidence import Evidence
from sweeps.results.reader import TrialRecord
from sweeps.results.tables import AVERAGE, DASH, format_table, percent

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
            *_settings(settings, row["trial"]),
        ]
        for _, row in board[board["trial"].isin(trials)].iterrows()
    ]
    for record in evidence.stopped[: max(0, MOST_TRIALS - len(rows))]:
        trial = f"{record.number} (stopped)"
        told = [*_estimated(record, board), "", _after(record)]
        if own:
            told.insert(1, "")  # of the reported accuracy there is no estimate
        rows.append(["", trial, *told, *_settings(settings, record.number)])
    target = evidence.plan.objective.target
    average = f"average on {', '.join(target)}, %" if target else "average, %"
    by = ["objective, %", average, "objective to the best, points"] if own else [average, "to the best, points"]
    header = ["", "trial", *by, "95 % interval", "worse than the best?", *settings]
    return Table.of(header, rows, names=0, marked=_tied(evidence, trials))


def _settings(settings: Mapping[str, pd.Series], trial: int) -> list[str]:
    return [values[trial] for values in settings.values()]


def _estimated(record: TrialRecord, board: pd.DataFrame) -> list[str]:
    """Show what a stopped trial was taken for, marked as an estimate, and how far that is from the best."""
    if record.estimate is None:
        return [DASH, DASH]
    gap = record.estimate - board["objective"].head(1).sum() if len(board) else nan
    return [f"{percent(record.estimate)} (estimate)", percentage_points(gap)]


def _after(record: TrialRecord) -> str:
    """Say "stopped after 2 of 8 folds", which is how the reason begins."""
    return str(record.stopped).partition(":")[0]


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


def final_tables(final: FinalScores, best: int | None) -> list[Table]:
    """List the finalists' accuracies with their intervals: per category and on average, over shots and at each."""
    shots = final.scores["shots"]
    made = []
    for number in [pd.NA, *(sorted(set(shots.dropna())) if shots.nunique() > 1 else [])]:
        these = final.scores[shots.isna() if pd.isna(number) else shots == number]
        rows = [
            [
                f"trial {row['trial']}",
                row["category"],
                Cell(percent(row["mean"]), strong=row["trial"] == best),
                f"{percent(row['low'])} to {percent(row['high'])}",
                percentage_points(row["difference"]),
                interval(row["difference_low"], row["difference_high"]),
                str(row["images"]),
            ]
            for row in these.to_dict("records")
        ]
        title = "" if shots.nunique() < 2 else "mean over the shots" if pd.isna(number) else f"{number} shots"
        header = ["trial", "category", "accuracy, %", "95 % interval", "to the base, points", "of that", "images"]
        made.append(Table.of(header, rows, names=2, title=title))
    return made


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
