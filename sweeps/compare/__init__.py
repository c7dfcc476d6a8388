"""Comparison of finished sweeps, on the screen and as a page like the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import RenderableType

from fsamc.store.durable import write_whole
from sweeps.checks.disk import check_writable
from sweeps.compare.comparison import compare_sweeps
from sweeps.report.document.console import on_screen
from sweeps.report.document.page import to_page
from sweeps.report.document.report_blocks import Report

__all__ = ["compare_folders"]


def compare_folders(outs: Sequence[Path], page: Path | None) -> Iterator[RenderableType]:
    """Compare the sweeps in `outs`, write the page if one is asked for, and yield what the screen shows.

    Raises BadInput if there is no comparison, or the page's folder cannot be written to.
    """
    comparison = compare_sweeps(outs)
    if page is not None:
        _write_page(comparison, page)
    yield from on_screen(comparison)


def _write_page(comparison: Report, page: Path) -> None:
    check_writable(page.absolute().parent)
    page.parent.mkdir(parents=True, exist_ok=True)
    write_whole(page, to_page(comparison, page.parent))
