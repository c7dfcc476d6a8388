"""What the screen shows: before, while and after a sweep runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from sweeps import tables
from sweeps.prepare import Prepared
from sweeps.splits import left_out_lines, splits

_WIDTH = 44  # columns for what is being done, before the bar


class SweepProgress:
    """A bar over the folds with an estimate of the time left, and a line per finished trial.

    Where the output is no terminal there is no bar, and lines say what the bar would.

    Args:
        console: where to.
        folds: how many there will be.
        by: the objective, which says what is best.
    """

    def __init__(self, console: Console, *, folds: int, by: str = "query") -> None:
        self._by = "" if by == "query" else f" by {by}"
        self._console = console
        self._total = folds
        self._done = 0
        self._best: float | None = None
        self._told: set[str] = set()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("folds"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            expand=True,
            speed_estimate_period=3600.0,  # folds take seconds to minutes: a short memory would forget all of them
        )
        self._task = self._bar.add_task("starting", total=folds)

    def __enter__(self) -> SweepProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.builds(())
        self._bar.stop()

    def fold(self, row: Mapping[str, Any]) -> None:
        """A fold has finished; `row` is its line of folds.csv."""
        self._done += 1
        self._bar.update(self._task, completed=self._done)
        if row["status"] != "ok":
            where = f"trial {row['trial']}, {row['category']}, seed {row['seed']}, draw {row['draw']}"
            reason = row["status"].removeprefix("failed: ")
            self._console.print(f"[red]failed[/red] {escape(where)}: {escape(reason)}", highlight=False, soft_wrap=True)

    def trial(self, number: int, label: str, mean: float, std: float, *, score: float) -> None:
        """A trial has finished with this average accuracy over its categories, and this score by the objective."""
        if not pd.isna(score) and (self._best is None or score > self._best):
            self._best = score
        best = "" if self._best is None else f"best {tables.percent(self._best)} %{self._by}, "
        self._console.print(
            f"trial {number:>3}  {escape(label)}  {tables.percent(mean, std)} %   "
            f"[dim]{best}{self._done}/{self._total} folds[/dim]",
            highlight=False,
        )

    def lost(self, number: int) -> None:
        """A trial ended without its folds, because its own process died again and again."""
        self._console.print(f"[red]failed[/red] trial {number}: its process died", highlight=False)

    def builds(self, under_way: Sequence[str]) -> None:
        """What is being built at this moment: a cold sweep does little else for its first minutes."""
        if under_way:
            text = f"building {under_way[0]}"
            more = f" (+{len(under_way) - 1})" if len(under_way) > 1 else ""
            if len(text) + len(more) > _WIDTH:
                text = f"{text[: _WIDTH - len(more) - 3]}..."
            text += more
        else:
            text = "running" if self._best is None else f"best {tables.percent(self._best)} %{self._by}"
        self._bar.update(self._task, description=escape(text))
        if not self._console.is_terminal:
            for name in under_way:
                if name not in self._told:
                    self._console.print(f"building {escape(name)}", highlight=False, soft_wrap=True)
        self._told.update(under_way)


def announce(prepared: Prepared, *, trials: int, folds: int, console: Console) -> None:
    """The sweep's size, and what to beware of."""
    for warning in prepared.warnings:
        console.print(f"[yellow]warning[/yellow] {escape(warning)}", highlight=False, soft_wrap=True)
    for line in left_out_lines(splits(prepared)):
        console.print(escape(line), highlight=False, soft_wrap=True)
    for mark in prepared.marks:
        console.print(f"[bold red]{mark}[/bold red]")
    plan = prepared.plan
    sizes = [
        _counted(len(prepared.categories), "category", "categories"),
        _counted(len(plan.folds.seeds), "seed"),
        _counted(len(plan.folds.draws), "draw"),
    ]
    console.print(
        f"[bold]{escape(plan.name)}[/bold]: {_counted(trials, 'trial')} ({plan.search.algorithm}), "
        f"{_counted(folds, 'fold')} on {' x '.join(sizes)}: {escape(', '.join(prepared.categories))}",
        highlight=False,
        soft_wrap=True,
    )


def summary_table(summary: pd.DataFrame, labels: Mapping[int, str], *, title: str) -> Table:
    """Trial by category: mean ± std over seeds in percent, best of each column marked."""
    text = tables.format_table(summary)
    table = Table(
        title=escape(title), title_justify="left", caption="accuracy in %, mean ± std over seeds; * best of a column"
    )
    table.add_column("trial", justify="right")
    table.add_column("configuration")
    for name in text.columns:
        table.add_column(escape(str(name)), justify="right")
    for trial, row in text.iterrows():
        table.add_row(str(trial), escape(labels.get(int(str(trial)), "")), *row)
    return table


def stage_table(stages: Mapping[str, float], builds: Mapping[str, tuple[int, float]]) -> Table:
    """Where the time went: shared builds by kind, and the folds' own stages with their shares."""
    table = Table(title="where the time went", title_justify="left")
    for name, side in (("stage", "left"), ("builds", "right"), ("seconds", "right"), ("of fold time", "right")):
        table.add_column(name, justify=side)  # type: ignore[arg-type]
    for kind, (count, seconds) in builds.items():
        table.add_row(f"build {kind}", str(count), f"{seconds:.1f}", "")
    total = sum(stages.values())
    for name, seconds in stages.items():
        table.add_row(f"fold {name}", "", f"{seconds:.1f}", f"{100 * seconds / total:.1f} %" if total else "")
    return table


def _counted(count: int, one: str, many: str | None = None) -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"
