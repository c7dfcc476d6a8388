"""Reports on the screen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import RenderableType
from rich.table import Table as ScreenTable
from rich.text import Text

from sweeps.report.document.report_blocks import Block, Bullets, Heading, Paragraph, Report, Table


def on_screen(report: Report) -> Iterator[RenderableType]:
    """Yield warnings first, then section by section."""
    yield from (Text(f"warning: {notice.text}", style="bold yellow") for notice in report.notices)
    for section in report.sections:
        yield from blocks_on_screen([Heading(section.title), *section.blocks])
        yield Text()


def blocks_on_screen(blocks: Iterable[Block]) -> Iterator[RenderableType]:
    """Yield headings, text and tables, with a line between groups; a screen shows no picture."""
    for block in blocks:
        match block:
            case Heading(text):
                yield Text(text, style="bold")
            case Paragraph(text, small):
                yield Text(text, style="dim" if small else "")
            case Bullets(items):
                yield from (Text(item, style="dim") for item in items)
                yield Text()
            case Table():
                yield _table(block)


def _table(table: Table) -> ScreenTable:
    shown = ScreenTable(title=table.title or None, title_justify="left", title_style="italic")
    for place, name in enumerate(table.header):
        shown.add_column(name, justify="left" if place < table.names else "right")
    for row in table.rows:
        shown.add_row(*(Text(cell.text, style="bold" if cell.strong else "") for cell in row))
    return shown
