"""Comparison with the paper: a table per column of the paper's that a trial answers, our numbers beside its."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from fsamc.counting import counted
from fsamc.errors import BadInput
from fsamc.fold.config import FoldConfig
from sweeps.report.document.numbers import listed, percentage_points
from sweeps.report.document.report_blocks import Block, Bullets, Cell, Heading, Table
from sweeps.report.evidence import Evidence
from sweeps.report.paper_tables import PaperTable, of_their_data, paper_tables, rows_mean
from sweeps.results.tables import AVERAGE, finished, mark_averaged, over_shots, percent, summarise

OF_ROWS, SHARED = "mean of the paper's rows", "mean of the shared rows"
EXCEEDS, DAGGER = " *", " \N{DAGGER}"
ROUNDING = 0.0005  # as a share; a printed average that is further from its rows' mean is odd


def compare_with_paper(evidence: Evidence, out: Path) -> list[Block]:
    """Show every table of the paper that the sweep in `out` answers, as far as it got: a heading, tables, notes.

    A sweep that is named after a table it answers is compared with that one alone.

    Raises BadInput if there is none.
    """
    answered = {table: trials for table in paper_tables() if (trials := _answers(evidence, table))}
    if not answered:
        presets = ", ".join(table.name for table in paper_tables())
        raise BadInput(f"{out}: no trial answers a table of the paper; sweep one of the presets {presets}")
    named = [table for table in answered if table.name == evidence.plan.name]
    shown = named or of_their_data(answered, finished(evidence.folds)["category"])
    return [block for table in shown for block in _comparison(evidence, table, answered[table])]


def compare_column(folds: pd.DataFrame, table: PaperTable, column: str) -> pd.DataFrame:
    """Compare one trial's folds, at the column's shots, with a column of the paper's, row by row.

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
    compared = pd.concat([ours, paper.add_prefix("paper_")], axis=1)
    compared = compared.reindex([*rows, *(name for name in mine if name not in there), AVERAGE])
    if rows:
        compared.loc[OF_ROWS] = [*(ours.loc[AVERAGE] if same else [np.nan] * 2), rows_mean(paper), np.nan]
    if rows and shared and not same:
        of_shared = _ours(folds[folds["category"].isin(shared)]).loc[AVERAGE]
        compared.loc[SHARED] = [*of_shared, paper.loc[shared, "mean"].mean(), np.nan]
    compared.columns = pd.Index(["ours", "ours_std", "paper", "paper_std"])
    gap = compared["ours"] - compared["paper"]
    compared["difference"] = gap.where((compared.index != AVERAGE) | same)
    spread = compared[["ours_std", "paper_std"]].fillna(0).max(axis=1)
    compared["exceeds"] = compared["difference"].abs() > spread
    return compared


def _ours(folds: pd.DataFrame) -> pd.DataFrame:
    """Return mean, std by category and `average`, over the categories of these folds."""
    own = {shots: {*folds.loc[folds["shots"] == shots, "category"]} for shots in folds["shots"].unique().tolist()}
    return (
        over_shots(summarise(mark_averaged(folds, own)))
        .set_index("category")[["mean", "std"]]
        .reindex([*sorted(set(folds["category"])), AVERAGE])
    )


def _answers(evidence: Evidence, table: PaperTable) -> dict[str, list[int]]:
    """List, per column of a table, the trials that answer it and have a finished fold, in order of their numbers."""
    done = finished(evidence.folds)
    having = sorted({*zip(done["trial"].tolist(), done["shots"].tolist(), strict=True)})
    columns = [
        (table.answered_by(_config(evidence, trial, shots)), trial)
        for trial, shots in having
        if trial in evidence.configs
    ]
    by_column = {column: [trial for answered, trial in columns if answered == column] for column in table.columns}
    return {column: trials for column, trials in by_column.items() if trials}


def _config(evidence: Evidence, trial: int, shots: int) -> FoldConfig:
    return evidence.configs[trial].model_copy(update={"shots": shots})


def _comparison(evidence: Evidence, table: PaperTable, answers: dict[str, list[int]]) -> list[Block]:
    done = finished(evidence.folds)
    first = {column: trials[0] for column, trials in answers.items()}
    rows = {
        column: compare_column(
            done[(done["trial"] == trial) & (done["shots"] == table.columns[column].shots)], table, column
        )
        for column, trial in first.items()
    }
    tables = [_table(rows[column], f"{_heading(column)}, trial {trial}") for column, trial in first.items()]
    notes = [*_others(answers), *_departures(evidence, table, answers), *_folds(evidence, table)]
    return [Heading(table.title), *tables, Bullets([*notes, *_legend(list(rows.values()))], small=True)]


def _heading(column: str) -> str:
    return counted(int(column), "shot") if column.isdigit() else column


def _table(compared: pd.DataFrame, title: str) -> Table:
    odd = _is_odd(compared)
    rows: list[list[Cell | str]] = [
        [
            str(name),
            percent(row["ours"], row["ours_std"], digits=2),
            percent(row["paper"], row["paper_std"], digits=2) + DAGGER * (odd and name == AVERAGE),
            Cell(percentage_points(row["difference"], digits=2) + EXCEEDS * row["exceeds"], strong=row["exceeds"]),
        ]
        for name, row in compared.iterrows()
    ]
    return Table.of(["category", "ours, %", "paper, %", "difference"], rows, title=title)


def _is_odd(compared: pd.DataFrame) -> bool:
    """Whether the printed average is not the mean of the paper's rows."""
    means = compared["paper"].reindex([AVERAGE, OF_ROWS])
    return bool(abs(means.iloc[0] - means.iloc[1]) > ROUNDING)


def _others(answers: dict[str, list[int]]) -> Iterator[str]:
    for column, (_, *others) in answers.items():
        if others:
            yield f"{_heading(column)}: trials {listed(others)} answer it too; shown is the first that was proposed."


def _departures(evidence: Evidence, table: PaperTable, answers: dict[str, list[int]]) -> Iterator[str]:
    """Other settings than the paper's: once, or by column where they are not the same."""
    by_column = {
        column: table.departures(_config(evidence, trials[0], table.columns[column].shots), column)
        for column, trials in answers.items()
    }
    alike = all(departures == next(iter(by_column.values())) for departures in by_column.values())
    for column, departures in list(by_column.items())[: 1 if alike else None]:
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


def _legend(tables: list[pd.DataFrame]) -> Iterator[str]:
    """Explain the marks, where there are any."""
    if any(compared["exceeds"].any() for compared in tables):
        yield "*: larger than either standard deviation, ours and the paper's; one that is not there counts as 0."
    if any(_is_odd(compared) for compared in tables):
        yield f"{DAGGER.strip()}: the paper's printed average is not the mean of its own rows, which stands below it."
    averages = pd.concat([compared.loc[[AVERAGE]] for compared in tables])
    if averages["difference"].isna().any():
        yield "Averages over different categories are not compared: ours is over those that have finished folds."
