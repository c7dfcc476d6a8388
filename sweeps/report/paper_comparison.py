"""Our numbers beside the paper's: a table per column of the paper's that a trial answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from fsamc.errors import BadInput
from sweeps.report.evidence import Evidence
from sweeps.report.grid import Cell, Grid, counted, listed, points
from sweeps.report.paper_tables import PaperTable, of_their_data, paper_tables, rows_mean
from sweeps.results.tables import AVERAGE, finished, percent, summarise

OF_ROWS, SHARED = "mean of the paper's rows", "mean of the shared rows"
MARK, DAGGER = " *", " \N{DAGGER}"
ROUNDING = 0.0005  # as a share; a printed average that is further from its rows' mean is odd


@dataclass(frozen=True)
class Comparison:
    """One of the paper's tables beside the trials that answer it: its columns by heading, then what to know of them."""

    title: str
    columns: list[tuple[str, Grid]]
    notes: list[str]


def beside_paper(evidence: Evidence, out: Path) -> list[Comparison]:
    """Every table of the paper that the sweep in `out` answers, as far as it got.

    A sweep that is named after a table it answers is compared with that one alone.

    Raises BadInput if there is none.
    """
    answered = {table: trials for table in paper_tables() if (trials := _answers(evidence, table))}
    if not answered:
        presets = ", ".join(table.name for table in paper_tables())
        raise BadInput(f"{out}: no trial answers a table of the paper; sweep one of the presets {presets}")
    named = [table for table in answered if table.name == evidence.plan.name]
    shown = named or of_their_data(answered, finished(evidence.folds)["category"])
    return [_comparison(evidence, table, answered[table]) for table in shown]


def compare(folds: pd.DataFrame, table: PaperTable, column: str) -> pd.DataFrame:
    """One trial's folds beside a column of the paper's, row by row.

    Rows: the paper's categories, then those that it has not, then three averages: as printed beside ours over our own
    categories; the mean of the paper's rows; the mean of the rows that both have, unless that is all of them. The
    difference of an average is given only where both are over the same categories.

    Returns columns ours, ours_std, paper, paper_std, difference float64 as shares, NaN where there is none, and
    exceeds: whether the difference is larger than either standard deviation, a missing one counting as 0.
    """
    ours, paper = _ours(folds), table.printed(column)
    rows = [name for name in paper.index if name != AVERAGE]
    there = rows or list(table.categories)  # of the ablation only averages are printed
    mine = [name for name in ours.index if name != AVERAGE]
    shared = [name for name in there if name in mine]
    same = set(there) == set(mine)
    beside = pd.concat([ours, paper.add_prefix("paper_")], axis=1)
    beside = beside.reindex([*rows, *(name for name in mine if name not in there), AVERAGE])
    if rows:
        beside.loc[OF_ROWS] = [*(ours.loc[AVERAGE] if same else [np.nan] * 2), rows_mean(paper), np.nan]
    if rows and shared and not same:
        of_shared = _ours(folds[folds["category"].isin(shared)]).loc[AVERAGE]
        beside.loc[SHARED] = [*of_shared, paper.loc[shared, "mean"].mean(), np.nan]
    beside.columns = pd.Index(["ours", "ours_std", "paper", "paper_std"])
    gap = beside["ours"] - beside["paper"]
    beside["difference"] = gap.where((beside.index != AVERAGE) | same)
    spread = beside[["ours_std", "paper_std"]].fillna(0).max(axis=1)
    beside["exceeds"] = beside["difference"].abs() > spread
    return beside


def _ours(folds: pd.DataFrame) -> pd.DataFrame:
    """mean, std by category and `average`, over the categories of these folds."""
    return summarise(folds).set_index("category")[["mean", "std"]].reindex([*sorted(set(folds["category"])), AVERAGE])


def _answers(evidence: Evidence, table: PaperTable) -> dict[str, list[int]]:
    """Per column of a table the trials that answer it and have a finished fold, in order of their numbers."""
    having = sorted(set(finished(evidence.folds)["trial"]))
    found = [(table.answered_by(evidence.configs[trial]), trial) for trial in having if trial in evidence.configs]
    by_column = {column: [trial for answered, trial in found if answered == column] for column in table.columns}
    return {column: trials for column, trials in by_column.items() if trials}


def _comparison(evidence: Evidence, table: PaperTable, answers: dict[str, list[int]]) -> Comparison:
    done = finished(evidence.folds)
    besides = {column: compare(done[done["trial"] == trials[0]], table, column) for column, trials in answers.items()}
    columns = [(f"{_heading(column)}, trial {answers[column][0]}", _grid(beside)) for column, beside in besides.items()]
    notes = [*_others(answers), *_departures(evidence, table, answers), *_folds(evidence, table)]
    return Comparison(table.title, columns, [*notes, *_legend(list(besides.values()))])


def _heading(column: str) -> str:
    return counted(int(column), "shot") if column.isdigit() else column


def _grid(beside: pd.DataFrame) -> Grid:
    odd = _is_odd(beside)
    rows: list[list[Cell | str]] = [
        [
            str(name),
            percent(row["ours"], row["ours_std"], digits=2),
            percent(row["paper"], row["paper_std"], digits=2) + DAGGER * (odd and name == AVERAGE),
            Cell(points(row["difference"], digits=2) + MARK * row["exceeds"], strong=row["exceeds"]),
        ]
        for name, row in beside.iterrows()
    ]
    return Grid.of(["category", "ours, %", "paper, %", "difference"], rows)


def _is_odd(beside: pd.DataFrame) -> bool:
    """Whether the printed average is not the mean of the paper's rows."""
    means = beside["paper"].reindex([AVERAGE, OF_ROWS])
    return bool(abs(means.iloc[0] - means.iloc[1]) > ROUNDING)


def _others(answers: dict[str, list[int]]) -> Iterator[str]:
    for column, (_, *others) in answers.items():
        if others:
            yield f"{_heading(column)}: trials {listed(others)} answer it too; shown is the first that was proposed."


def _departures(evidence: Evidence, table: PaperTable, answers: dict[str, list[int]]) -> Iterator[str]:
    """Other settings than the paper's: once, or by column where they are not the same."""
    found = {column: table.departures(evidence.configs[trials[0]], column) for column, trials in answers.items()}
    alike = all(departures == next(iter(found.values())) for departures in found.values())
    for column, departures in list(found.items())[: 1 if alike else None]:
        if departures:
            where = "Ours" if alike else f"{_heading(column)}: ours"
            yield f"{where} differ from the paper's settings (in brackets) in {listed(departures, most=20)}."


def _folds(evidence: Evidence, table: PaperTable) -> Iterator[str]:
    ours, paper = evidence.plan.folds, table.plan.folds
    if (ours.seeds, ours.draws) != (paper.seeds, paper.draws):
        yield (
            f"Ours are over seeds {listed(ours.seeds)} and draws {listed(ours.draws)}; "
            f"the paper's over seeds {listed(paper.seeds)} and draw {listed(paper.draws)}."
        )


def _legend(besides: list[pd.DataFrame]) -> Iterator[str]:
    """What the marks say, where there are any."""
    if any(beside["exceeds"].any() for beside in besides):
        yield "*: larger than either standard deviation, ours and the paper's; one that is not there counts as 0."
    if any(_is_odd(beside) for beside in besides):
        yield f"{DAGGER.strip()}: the paper's printed average is not the mean of its own rows, which stands below it."
    averages = pd.concat([beside.loc[[AVERAGE]] for beside in besides])
    if averages["difference"].isna().any():
        yield "Averages over different categories are not compared: ours is over those that have finished folds."
