"""Summary on the screen when a sweep has come to its end: the table, what chose, what was spent, where to look."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from sweeps.checks.prepare import Prepared
from sweeps.classifiers.sweep_classifiers import classifiers_line
from sweeps.figures.sweep_figures import figures_line
from sweeps.finals.final_tables import FinalScores, read_final
from sweeps.plan.labels import label
from sweeps.plan.settings import Plan
from sweeps.progress.summary_table import summary_tables
from sweeps.results.choices import choice_line
from sweeps.results.folder import SweepFolder
from sweeps.results.objective import equivalent_line
from sweeps.results.reader import TrialRecord
from sweeps.results.usage import Usage, saved_line, views_lines
from sweeps.tracking.uri import is_server


def show_results(
    folder: SweepFolder,
    prepared: Prepared,
    summary: pd.DataFrame,
    *,
    labels: Mapping[int, str],
    usage: Usage,
    builds: dict[str, tuple[int, float]],
    mlflow: list[str],
    console: Console,
) -> None:
    """Print it.

    Args:
        folder: the sweep's OUT.
        prepared: its plan, and the caveats that stand on all its numbers.
        summary: its table; trials that were stopped early are not shown of it.
        labels: the trials' configurations in words.
        usage: time and memory.
        builds: number and seconds by kind.
        mlflow: where the runs are.
        console: printed to.
    """
    plan, out = prepared.plan, folder.root
    ended = summary[~summary["trial"].isin([record.number for record in folder.records() if record.stopped])]
    console.print(*summary_tables(ended, labels, title=plan.name), sep="")
    own, advice = choice_line(plan, folder.saved.board), folder.saved.recommended
    if final := read_final(out, folder.notes):
        console.print(_final_table(final, labels))
        if advice and (number := final.of(advice.trial)):
            _print_plain(console, number.line)
        own = f"the search's own number, of {own}"
    _print_plain(console, own)
    if advice and advice.line:
        _print_plain(console, advice.line)
    for caveat in prepared.caveats:
        console.print(Text(caveat, style="bold red"))
    console.print(_stage_table(usage.stages, builds))
    report = out / "report.html"
    lines = [
        f"peak memory {usage.peak_memory / 2**30:.1f} GiB, {usage.seconds:.0f} s in all",
        *(f"views    {line}" for line in views_lines(folder.notes)),
        *_equivalent_lines(folder),
        *saved_line(folder.notes),
        *([f"report   {report}"] if report.exists() else []),
        *figures_line(folder),
        *classifiers_line(folder.notes, out),
        *mlflow,
    ]
    for line in lines:
        _print_plain(console, line)


def _equivalent_lines(folder: SweepFolder) -> list[str]:
    """Say which trials make no difference, where the search went by that."""
    estimates = {one.number: one.estimate for one in folder.records() if one.estimate is not None}
    line = equivalent_line(folder.plan, folder.saved.board, estimates)
    return [line] if line else []


def _final_table(final: FinalScores, labels: Mapping[int, str]) -> Table:
    """Make a table of the finalists by category, the best by the search first, each with its interval."""
    caption = "accuracy in % on images that had no say, with 95 % intervals; points to the base"
    trial, score, ahead = (Column(name, justify="right") for name in ("trial", "final", "to the base"))
    title = Text("final", style="italic")
    table = Table(trial, "configuration", score, ahead, title=title, title_justify="left", caption=caption)
    for one in final.trials:
        if number := final.of(one):
            table.add_row(str(one), Text(labels.get(one, "")), number.words.replace(" %", ""), number.ahead)
    return table


def _stage_table(stages: Mapping[str, float], builds: Mapping[str, tuple[int, float]]) -> Table:
    """Make a table of where the time went: shared builds by kind, and the folds' own stages with their shares."""
    numbers = (Column(name, justify="right") for name in ("builds", "seconds", "of fold time"))
    table = Table("stage", *numbers, title="where the time went", title_justify="left")
    for kind, (count, seconds) in builds.items():
        table.add_row(f"build {kind}", str(count), f"{seconds:.1f}", "")
    total = sum(stages.values())
    for name, seconds in stages.items():
        table.add_row(f"fold {name}", "", f"{seconds:.1f}", f"{100 * seconds / total:.1f} %" if total else "")
    return table


def labels_of(plan: Plan, records: Iterable[TrialRecord]) -> dict[int, str]:
    """Return the trials' configurations in words, by number."""
    return {one.number: label(plan, one.values) for one in records}


def mlflow_lines(out: Path, where: str, page: str | None, undelivered: str | None) -> list[str]:
    """Say how to see the runs at the tracking URI `where`, or how to deliver them: OUT has all results anyway."""
    if undelivered or page is None:
        why = undelivered or "nothing is delivered"
        mend = f"fsamc track {shlex.quote(str(out))}"
        return [f"MLflow   {why}; the results are whole in {out}, and this delivers them: {mend}"]
    if is_server(where):
        return [f"MLflow   {where.rstrip('/')}{page}"]
    return [f"MLflow   fsamc ui {shlex.quote(str(out))}"]


def _print_plain(console: Console, line: str) -> None:
    console.print(line, soft_wrap=True, highlight=False, markup=False)
