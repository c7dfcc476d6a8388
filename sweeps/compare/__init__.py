"""Finished sweeps side by side: on the screen, and as a page like the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import RenderableType
from rich.text import Text

from sweeps.checks.disk import check_writable
from sweeps.compare.comparison import Comparison, compare_sweeps
from sweeps.report.page import environment
from sweeps.report.screen import as_table
from sweeps.results.files import write_whole

__all__ = ["compare_folders"]


def on_screen(compared: Comparison) -> Iterator[RenderableType]:
    """Warnings first, then the tables."""
    yield from (Text(f"warning: {warning}", style="bold yellow") for warning in compared.warnings)
    for part in compared.parts:
        yield as_table(part.title, part.grid) if part.grid else Text(f"{part.title}: {part.without}")
        yield Text(part.note, style="dim")
        yield Text()


def write_page(compared: Comparison, page: Path) -> None:
    """Write one HTML file that needs nothing else. Raises BadInput if its folder cannot be written to."""
    check_writable(page.absolute().parent)
    page.parent.mkdir(parents=True, exist_ok=True)
    write_whole(page, environment().get_template("compare.html.j2").render(compared=compared))


def compare_folders(outs: Sequence[Path], page: Path | None) -> Iterator[RenderableType]:
    """Compare the sweeps in `outs`, write the page if one is asked for, and say it all. Raises BadInput."""
    compared = compare_sweeps(outs)
    if page is not None:
        write_page(compared, page)
    yield from on_screen(compared)
