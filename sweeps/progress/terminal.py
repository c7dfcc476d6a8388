"""Screen of a running sweep: a bar and a line per trial in a terminal, lines only elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from fsamc.counting import counted
from sweeps.progress.events import (
    Best,
    Building,
    Counts,
    Done,
    Event,
    Finishing,
    FoldDone,
    Noted,
    ProgressView,
    Running,
    Started,
    TrialDone,
    TrialLost,
    TrialStopped,
    Warned,
)
from sweeps.report.document.numbers import duration
from sweeps.results import tables

_WIDTH = 44  # columns for what is being done, before the bar


class Screen(ProgressView):
    """A bar over the folds with the best so far and the time left, and a line per finished trial.

    Where the output is no terminal there is no bar, and lines say what the bar would.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._told: set[str] = set()
        self._doing = "running"
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[counts]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
            disable=not console.is_terminal,
            expand=True,
        )
        self._task = self._bar.add_task("starting", total=None, counts="", left="")

    def tell(self, event: Event) -> None:
        """Show it."""
        match event:
            case Started():
                self._line(_size(event))
                for backbone in event.backbones:
                    self._line(f"backbone {escape(backbone)}")
            case Warned(text=text, caveat=caveat):
                self._line(
                    f"[bold red]{escape(text)}[/bold red]" if caveat else f"[yellow]warning[/yellow] {escape(text)}"
                )
            case Noted(text=text):
                self._line(escape(text))
            case Running(on=on):
                self._doing = _doing(event.best)
                self._update(event.counts, self._doing)
                self._bar.start() if on else self._bar.stop()
            case Building(under_way=under_way, counts=counts):
                self._builds(under_way, counts)
            case FoldDone():
                self._update(event.counts)
                if event.status != "ok":
                    self._line(f"[red]failed[/red] {escape(failure(event))}")
            case TrialDone():
                self._trial(event)
            case TrialStopped(trial=trial, configuration=words, reason=reason):
                score = f"{tables.percent(event.estimate)} % (estimate)"
                how = f"[dim]{escape(reason)}, {_counts(event.counts)}[/dim]"
                self._line(f"trial {trial:>3}  {escape(words)}  {score}   {how}")
            case TrialLost(trial=trial):
                self._line(f"[red]failed[/red] trial {trial}: its process died")
            case Finishing():
                self._line(_finishing(event))
            case Done(status="paused", reason=reason):
                self._line(f"[yellow]{escape(reason)}[/yellow]")

    def _line(self, text: str) -> None:
        self.console.print(text, markup=True, highlight=False, soft_wrap=True)

    def _trial(self, trial: TrialDone) -> None:
        score = tables.percent(trial.mean, trial.std)
        best = f"best {_best(trial.best)}, " if trial.best else ""
        left = f", {_left(trial.counts)}" if trial.counts.eta else ""
        words = f"trial {trial.trial:>3}  {escape(trial.configuration)}  {score} %"
        self._line(f"{words}   [dim]{best}{_counts(trial.counts)}{left}[/dim]")
        self._doing = _doing(trial.best)
        self._update(trial.counts, self._doing)

    def _builds(self, under_way: Sequence[str], counts: Counts) -> None:
        self._update(counts, _building(under_way) if under_way else self._doing)
        if not self.console.is_terminal:
            for name in under_way:
                if name not in self._told:
                    self._line(f"preparing {escape(name)}")
        self._told.update(under_way)

    def _update(self, counts: Counts, doing: str | None = None) -> None:
        self._bar.update(
            self._task,
            total=counts.folds,
            completed=counts.folds_done,
            description=None if doing is None else escape(doing),
            counts=_counts(counts),
            left=_left(counts),
        )


def _building(under_way: Sequence[str]) -> str:
    """Return what is being built, or read and checked, in the room that there is."""
    text = f"preparing {under_way[0]}"
    more = f" (+{len(under_way) - 1})" if len(under_way) > 1 else ""
    return text + more if len(text) + len(more) <= _WIDTH else f"{text[: _WIDTH - len(more) - 3]}...{more}"


def _doing(best: Best | None) -> str:
    return f"best {_best(best)}" if best else "running"


def _size(started: Started) -> str:
    sizes = [
        counted(len(started.categories), "category"),
        counted(len(started.seeds), "seed"),
        counted(len(started.draws), "draw"),
        *([f"{', '.join(map(str, started.shots))} shots"] if len(started.shots) > 1 else []),
    ]
    return (
        f"[bold]{escape(started.name)}[/bold]: {counted(started.trials, 'trial')} ({started.algorithm}), "
        f"{counted(started.folds, 'fold')} on {' x '.join(sizes)}: {escape(', '.join(started.categories))}"
    )


def failure(fold: FoldDone) -> str:
    """Return which fold failed, and why."""
    reason = fold.status.removeprefix("failed: ")
    return f"trial {fold.trial}, {fold.category}, seed {fold.seed}, draw {fold.draw}: {reason}"


def _finishing(event: Finishing) -> str:
    again = "; Ctrl-C again stops at once" if event.reason == "interrupted" else ""
    running = f"finishing {counted(event.folds, 'running fold')}" if event.folds else "no fold is running"
    return f"[yellow]{event.reason}[/yellow]: {running}, no more are started{again}"


def _best(best: Best | None) -> str:
    return f"{tables.percent(best.mean, best.std)} %" if best else tables.DASH


def _counts(counts: Counts) -> str:
    return f"{counts.folds_done}/{counts.folds} folds, {counts.trials_done}/{counts.trials} trials"


def _left(counts: Counts) -> str:
    if counts.eta is None:
        return "time left: not known yet"
    return f"about {duration(counts.eta)} left" if counts.eta else ""
