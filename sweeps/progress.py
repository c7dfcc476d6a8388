"""What the screen shows while a sweep runs."""

from __future__ import annotations

from collections import Counter
from types import TracebackType
from typing import Any

import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from sweeps import tables


class SweepProgress:
    """A bar over the folds with an estimate of the time left, and a line per finished trial.

    Where the output is no terminal there is no bar, and the lines carry the count.
    """

    def __init__(self, console: Console, *, folds: int) -> None:
        self._console = console
        self._total = folds
        self._done = 0
        self._best: float | None = None
        self._built: Counter[str] = Counter()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("folds"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("starting", total=folds)

    def __enter__(self) -> SweepProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def fold(self, row: dict[str, Any]) -> None:
        """A fold has finished; `row` is its line of folds.csv."""
        self._done += 1
        self._bar.update(self._task, completed=self._done)
        if row["status"] != "ok":
            where = f"trial {row['trial']}, {row['category']}, seed {row['seed']}, draw {row['draw']}"
            self._console.print(f"[red]failed[/red] {where}: {row['status'].removeprefix('failed: ')}", highlight=False)

    def trial(self, number: int, label: str, mean: float, std: float) -> None:
        """A trial has finished with this average over its categories."""
        if self._best is None or mean > self._best:
            self._best = mean
        count = f"{self._done}/{self._total} folds"
        self._console.print(
            f"trial {number:>3}  {label}  {tables.percent(mean, std)} %   "
            f"[dim]best {tables.percent(self._best)} %, {count}[/dim]",
            highlight=False,
        )
        self._bar.update(self._task, description=f"best {tables.percent(self._best)} %")

    def builds(self, built: Counter[str]) -> None:
        """So much has been built by now: what a cold sweep does before its first fold."""
        if built != self._built:
            self._built = built
            text = ", ".join(f"{count} {kind}" for kind, count in sorted(built.items()))
            if self._done == 0:
                self._bar.update(self._task, description=f"built {text}")
                if not self._console.is_terminal:
                    self._console.print(f"built {text}", highlight=False)


def summary_table(summary: pd.DataFrame, labels: dict[int, str], *, title: str) -> Table:
    """Trial by category: mean ± std over seeds in percent, best of each column marked."""
    text = tables.format_table(summary)
    table = Table(title=title, title_justify="left", caption="accuracy in %, mean ± std over seeds; * best of a column")
    table.add_column("trial", justify="right")
    table.add_column("configuration")
    for name in text.columns:
        table.add_column(str(name), justify="right")
    for trial, row in text.iterrows():
        table.add_row(str(trial), labels.get(int(str(trial)), ""), *row)
    return table


def stage_table(stages: dict[str, float], builds: dict[str, tuple[int, float]]) -> Table:
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
