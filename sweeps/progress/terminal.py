"""Screen of a running sweep: a bar and a line per trial in a terminal, lines only elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from sweeps.progress.events import (
    Best,
    Building,
    Done,
    Event,
    Far,
    Finishing,
    FoldDone,
    Noted,
    Running,
    Started,
    TrialDone,
    TrialLost,
    TrialStopped,
    View,
    Warned,
)
from sweeps.report.document.numbers import counted, duration
from sweeps.results import tables

_WIDTH = 44  # columns for what is being done, before the bar


class Screen(View):
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
            case Warned(text=text, caveat=caveat):
                self._line(f"[bold red]{text}[/bold red]" if caveat else f"[yellow]warning[/yellow] {escape(text)}")
            case Noted(text=text):
                self._line(escape(text))
            case Running(on=on):
                self._doing = _doing(event.best)
                self._update(event.far, self._doing)
                self._bar.start() if on else self._bar.stop()
            case Building(under_way=under_way, far=far):
                self._builds(under_way, far)
            case FoldDone():
                self._update(event.far)
                if event.status != "ok":
                    self._line(f"[red]failed[/red] {escape(failure(event))}")
            case TrialDone():
                self._trial(event)
            case TrialStopped(trial=trial, configuration=words, reason=reason):
                self._line(f"trial {trial:>3}  {escape(words)}  [dim]{escape(reason)}, {_counts(event.far)}[/dim]")
            case TrialLost(trial=trial):
                self._line(f"[red]failed[/red] trial {trial}: its process died")
            case Finishing():
                self._line(_finishing(event))
            case Done(status="paused", reason=reason):
                self._line(f"[yellow]{escape(reason)}[/yellow]")

    def _line(self, text: str) -> None:
        self.console.print(text, highlight=False, soft_wrap=True)

    def _trial(self, trial: TrialDone) -> None:
        score = tables.percent(trial.mean, trial.std)
        best = f"best {_best(trial.best)}, " if trial.best else ""
        left = f", {_left(trial.far)}" if trial.far.eta else ""
        words = f"trial {trial.trial:>3}  {escape(trial.configuration)}  {score} %"
        self._line(f"{words}   [dim]{best}{_counts(trial.far)}{left}[/dim]")
        self._doing = _doing(trial.best)
        self._update(trial.far, self._doing)

    def _builds(self, under_way: Sequence[str], far: Far) -> None:
        self._update(far, _building(under_way) if under_way else self._doing)
        if not self.console.is_terminal:
            for name in under_way:
                if name not in self._told:
                    self._line(f"building {escape(name)}")
        self._told.update(under_way)

    def _update(self, far: Far, doing: str | None = None) -> None:
        self._bar.update(
            self._task,
            total=far.folds,
            completed=far.folds_done,
            description=None if doing is None else escape(doing),
            counts=_counts(far),
            left=_left(far),
        )


def _building(under_way: Sequence[str]) -> str:
    """Return what is being built, in the room that there is."""
    text = f"building {under_way[0]}"
    more = f" (+{len(under_way) - 1})" if len(under_way) > 1 else ""
    return text + more if len(text) + len(more) <= _WIDTH else f"{text[: _WIDTH - len(more) - 3]}...{more}"


def _doing(best: Best | None) -> str:
    return f"best {_best(best)}" if best else "running"


def _size(started: Started) -> str:
    sizes = [
        counted(len(started.categories), "category"),
        counted(len(started.seeds), "seed"),
        counted(len(started.draws), "draw"),
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


def _counts(far: Far) -> str:
    return f"{far.folds_done}/{far.folds} folds, {far.trials_done}/{far.trials} trials"


def _left(far: Far) -> str:
    if far.eta is None:
        return "time left: not known yet"
    return f"about {duration(far.eta)} left" if far.eta else ""
