"""Bar of what takes long before a sweep starts: pictures that are hashed and looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from fsamc.reading import Tell


@contextmanager
def reading_bar(console: Console, doing: str) -> Iterator[Tell]:
    """Show on a terminal what is being done, and while files are read how many of them; nothing is left behind."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(doing, total=None)

        def tell(what: str, done: int, of: int) -> None:
            bar.update(task, description=what, completed=done, total=of)
            if done == of:
                bar.reset(task, description=doing, total=None)

        yield tell
