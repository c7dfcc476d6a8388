"""Options that several commands share, and the screen."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from typing import Annotated

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

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


def show_table(table: Table, rows: Iterable[Text], screen: Console = console) -> None:
    """Print a table, or where it would break a word, its `rows` below each other."""
    words = {word for column in table.columns for cell in column.cells for word in str(cell).split()}
    lines = screen.render_lines(table)
    if words <= {word for line in lines for word in "".join(segment.text for segment in line).split()}:
        screen.print(table)
        return
    for row in rows:
        wide = any(len(word) > screen.width for word in row.plain.split())  # which the terminal breaks
        screen.print(row, highlight=False, soft_wrap=wide)


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
