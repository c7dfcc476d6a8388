"""Views of a sweep as lines: the fewest, for a cron job, and JSON, for another program."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import sys
import threading
from typing import Any, TextIO

import pandas as pd
from rich.console import Console

from sweeps.environment import printable
from sweeps.progress.events import Building, Counts, Done, Event, FoldDone, ProgressView, Running, TrialLost, Warned
from sweeps.progress.summary_table import summary_tables
from sweeps.progress.terminal import Screen, failure
from sweeps.request import Mode


def make_view(mode: Mode, console: Console) -> ProgressView:
    """Make the view of that name; the screen's and the quiet one's words go to `console`."""
    if mode == "json":
        return JsonLines(sys.stdout)
    return Quiet(console, sys.stderr) if mode == "quiet" else Screen(console)


class Quiet(ProgressView):
    """The final table on the console, what went wrong on `errors`, and nothing else."""

    def __init__(self, console: Console, errors: TextIO) -> None:
        self.console = Console(quiet=True)
        self._console, self._errors = console, errors

    def tell(self, event: Event) -> None:
        """Print what must not be missed."""
        match event:
            case Warned(text=text):
                self._complain(f"warning: {text}")
            case FoldDone(status=status) if status != "ok":
                self._complain(f"failed {failure(event)}")
            case TrialLost(trial=trial):
                self._complain(f"trial {trial}: its process died")
            case Done(summary=summary) if summary is not None:
                self._console.print(*summary_tables(summary, event.labels, title=event.name), sep="")
                for line in (*event.caveats, *([event.reason] if event.status == "paused" else [])):
                    self._console.print(line, soft_wrap=True, highlight=False, markup=False)
            case Done(status="paused", reason=reason):
                self._console.print(reason, soft_wrap=True, highlight=False, markup=False)

    def _complain(self, text: str) -> None:
        print(f"fsamc: {printable(text)}", file=self._errors, flush=True)


class JsonLines(ProgressView):
    """An object per line, and nothing else: `event` is the name of the event, the other keys are its fields.

    `counts` and `best` are spread: `folds_done`, `folds`, `trials_done`, `trials`, `eta` in seconds; `best_trial`,
    `best_mean`, `best_std`, `best_score`. What is not a number is null. `summary` lists the rows of summary.csv.
    """

    def __init__(self, stream: TextIO) -> None:
        self.console = Console(quiet=True)
        self._stream, self._lock = stream, threading.Lock()
        self._building: tuple[str, ...] = ()

    def tell(self, event: Event) -> None:
        """Print the event; what is being built, where that has changed."""
        if isinstance(event, Running) or (isinstance(event, Building) and event.under_way == self._building):
            return
        self._building = event.under_way if isinstance(event, Building) else self._building
        with self._lock:
            print(json.dumps({"event": _name(event), **_fields(event)}, allow_nan=False), file=self._stream, flush=True)


_NAMES = {"Warned": "warning", "Noted": "note", "FoldDone": "fold", "TrialDone": "trial", "NewBest": "best"}


def _name(event: Event) -> str:
    kind = type(event).__name__
    return _NAMES.get(kind) or re.sub(r"(?<!^)(?=[A-Z])", "_", kind).lower()


def _fields(event: Event) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(event):
        value = getattr(event, field.name)
        if isinstance(value, Counts):
            fields |= dataclasses.asdict(value)
        elif field.name == "best":
            names = ("trial", "mean", "std", "score")
            fields |= {f"best_{name}": _plain(getattr(value, name)) if value else None for name in names}
        else:
            fields[field.name] = _plain(value)
    return fields


def _plain(value: Any) -> Any:
    """Return the value as JSON has it."""
    if isinstance(value, pd.DataFrame):
        return [{str(name): _plain(cell) for name, cell in row.items()} for row in value.to_dict("records")]
    if value is pd.NA or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.item() if hasattr(value, "item") else value
