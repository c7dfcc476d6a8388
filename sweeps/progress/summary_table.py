"""Table of trial by category on a screen; as many below one another as it takes for every number to be whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd
from rich.console import Console, ConsoleOptions
from rich.table import Table
from rich.text import Text

from fsamc.counting import counted
from sweeps.results import tables

_LABEL = 24  # characters of a configuration that are not broken for a column more
_BORDER = 3  # columns of the screen between two of the table
_ROWS = 50  # trials that a screen shows; summary.csv and the report have all


def summary_tables(summary: pd.DataFrame, labels: Mapping[int, str], *, title: str) -> list[SummaryTable]:
    """Make a table per number of shots, and one of their mean; of one number, that alone."""
    by_shots, over = tables.by_shots(summary), tables.over_shots(summary)
    if len(by_shots) < 2:
        return [SummaryTable(over, labels, title=title)]
    titled = [*((f"{title}, {at}", of) for at, of in by_shots), (f"{title}, mean over the shots", over)]
    return [SummaryTable(of, labels, title=about) for about, of in titled]


class SummaryTable:
    """Mean ± std over seeds in percent, the best of each column marked.

    Args:
        summary: at one number of shots, or over them.
        labels: the trials' configurations in words.
        title: of the table.
    """

    def __init__(self, summary: pd.DataFrame, labels: Mapping[int, str], *, title: str) -> None:
        self._trials = summary["trial"].nunique()
        self._cells = tables.format_table(summary[summary["trial"].isin(_best(summary))])
        self._labels, self._title = labels, title

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Table]:
        """Yield the tables, side by side in one where there is room."""
        parts = self._parts(options.max_width)
        for number, names in enumerate(parts):
            yield self._table(names, first=number == 0, last=number == len(parts) - 1)

    def _parts(self, room: int) -> list[list[str]]:
        """Divide the columns into tables that have room for them."""
        labels = [self._labels.get(int(trial), "") for trial in self._cells.index]
        word = max(len(word) for label in ["configuration", *labels] for word in label.split())
        label = max(word, min(_LABEL, max(map(len, labels), default=0)))
        left = room - len("│ trial │ ") - label - _BORDER
        parts: list[list[str]] = [[]]
        free = left
        for name in self._cells.columns:
            width = max(len(str(name)), *map(len, self._cells[name])) + _BORDER
            if parts[-1] and width > free:
                parts.append([])
                free = left
            parts[-1].append(name)
            free -= width
        return parts

    def _table(self, names: Sequence[str], *, first: bool, last: bool) -> Table:
        table = Table(
            title=Text(self._title, style="italic") if first else None,
            title_justify="left",
            caption=self._caption() if last else None,
        )
        table.add_column("trial", justify="right", no_wrap=True)
        table.add_column("configuration", min_width=len("configuration"))
        for name in names:
            table.add_column(Text(str(name)), justify="right", no_wrap=True)
        for trial, row in self._cells[[*names]].iterrows():
            table.add_row(str(trial), Text(self._labels.get(int(str(trial)), "")), *row)
        return table

    def _caption(self) -> str:
        caption = "accuracy in %, mean ± std over seeds; * best of a column"
        left = self._trials - len(self._cells)
        return f"{caption}; {counted(left, 'further trial', 'are')} in summary.csv" if left else caption


def _best(summary: pd.DataFrame) -> pd.Series:
    """Pick the trials that are shown: of many, those that are best on average."""
    average = summary[summary["category"] == tables.AVERAGE]
    ranked = average.sort_values("mean", ascending=False, kind="stable")["trial"]
    return pd.concat([ranked, summary["trial"]]).drop_duplicates().head(_ROWS)
