"""What of the report is for the screen: our numbers beside the paper's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from sweeps.report.evidence import gather
from sweeps.report.grid import Grid
from sweeps.report.paper_comparison import beside_paper


def paper_on_screen(out: Path) -> Iterator[RenderableType]:
    """Titles, tables and notes of a sweep beside the paper. Raises BadInput if it answers no table of the paper."""
    for compared in beside_paper(gather(out), out):
        yield Text(compared.title, style="bold")
        yield from (as_table(heading, grid) for heading, grid in compared.columns)
        yield from (Text(note, style="dim") for note in compared.notes)
        yield Text()


def as_table(heading: str, grid: Grid) -> Table:
    """A grid with its heading, for the screen."""
    table = Table(title=heading, title_justify="left", title_style="italic")
    for place, name in enumerate(grid.header):
        table.add_column(name, justify="left" if place < grid.names else "right")
    for row in grid.rows:
        table.add_row(*(Text(cell.text, style="bold" if cell.strong else "") for cell in row))
    return table
