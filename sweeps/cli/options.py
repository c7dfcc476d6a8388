"""Options that several commands share, and the screen."""

from __future__ import annotations

import gc
import inspect
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Annotated

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text
from typer.models import ParameterInfo

from sweeps.environment import printable
from sweeps.request import DATA


class SafeConsole(Console):
    """Screen on which names mean nothing: neither markup nor what a terminal obeys, such as a change of its colours."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Yield the segments, whose texts can be shown as they are."""
        for segment in super().render(renderable, options):
            text = "\n".join(map(printable, segment.text.split("\n")))
            yield segment if segment.control else Segment(text, segment.style)


# A pipe has no width; in a log, tables should not be squeezed into 80 columns.
console = SafeConsole(
    markup=False, width=None if sys.stdout and sys.stdout.isatty() else int(os.environ.get("COLUMNS", "120"))
)

DataArgument = Annotated[str, typer.Argument(metavar="DATA", help=DATA)]


def say(line: object) -> None:
    """Print a line as it is: not wrapped, nothing in it coloured or taken for markup."""
    console.print(str(line), soft_wrap=True, highlight=False, markup=False)


def show(part: RenderableType) -> None:
    """Print a part of a report: text is wrapped by the terminal, and no table breaks a word."""
    if isinstance(part, Table):
        show_table(part)
    else:
        console.print(part, soft_wrap=isinstance(part, Text))


def show_table(table: Table, rows: Iterable[Text] | None = None, screen: Console = console) -> None:
    """Print a table, or where it would break a word, its `rows` below each other, by default as `column: cell`."""
    cells = [str(cell) for column in table.columns for cell in (column.header, *column.cells)]
    lines = screen.render_lines(table)
    if set(_words(cells)) <= set(_words("".join(segment.text for segment in line) for line in lines)):
        screen.print(table)
        return
    if table.title and rows is None:
        screen.print(table.title)
    for row in _rows(table) if rows is None else rows:
        wide = any(len(word) > screen.width for word in row.plain.split())  # which the terminal breaks
        screen.print(row, highlight=False, soft_wrap=wide)


def _words(texts: Iterable[str]) -> Iterator[str]:
    return (word for text in texts for word in text.split())


def _rows(table: Table) -> Iterator[Text]:
    """Write each row of a table as a line."""
    names = [str(column.header) for column in table.columns]
    for row in zip(*(column.cells for column in table.columns), strict=True):
        cells = [f"{name}: {cell}" if name else str(cell) for name, cell in zip(names, row, strict=True) if str(cell)]
        yield Text("; ".join(cells))


def signature_of(request: type) -> inspect.Signature:
    """Return the fields of a request that are arguments of its command: those with an annotation of Typer's."""
    signature = inspect.signature(request, eval_str=True)
    arguments = [
        parameter
        for parameter in signature.parameters.values()
        if any(isinstance(note, ParameterInfo) for note in getattr(parameter.annotation, "__metadata__", ()))
    ]
    return signature.replace(parameters=arguments)


def collect_rarely() -> None:
    """Look for garbage less often: of the million objects of the libraries that a sweep loads, none ever is any.

    Each look at them takes a second, and the tables and the report of 2,000 trials make dozens of looks.
    """
    gc.set_threshold(100_000)


def quiet_ray() -> None:
    """Set what Ray and Tune read when they are imported: the screen and OUT belong to the sweep."""
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")
    os.environ.setdefault("RAY_CHDIR_TO_TRIAL_DIR", "0")
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "600")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
