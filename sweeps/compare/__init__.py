"""Comparison of sweeps and of trials, on the screen and as a page like the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from fsamc.store.durable import write_whole
from sweeps.checks.disk import check_writable
from sweeps.compare.comparison import compare_sides, verdicts, warnings_of
from sweeps.compare.side import read_sides
from sweeps.report.document.console import on_screen
from sweeps.report.document.page import to_page
from sweeps.report.document.report_blocks import Report

__all__ = ["compare_folders", "compared_as_json"]


def compare_folders(outs: Sequence[Path], page: Path | None) -> Iterator[RenderableType]:
    """Compare the sweeps or trials that `outs` name, write a page if one is asked for, and yield what the screen shows.

    Raises BadInput if there is no comparison, or the page's folder cannot be written to.
    """
    comparison = compare_sides(read_sides(outs))
    if page is not None:
        _write_page(comparison, page)
    yield from on_screen(comparison)


def compared_as_json(outs: Sequence[Path], page: Path | None) -> dict[str, Any]:
    """Do the same for programs: the trials, with differences in [-1, 1]."""
    first, *others = sides = read_sides(outs)
    rows = [
        {"sweep": other.name, "trial": other.trial, "folds": 0, "conclusion": "no fold in common"}
        if verdict is None
        else {"sweep": other.name, "trial": other.trial, **asdict(verdict), "conclusion": verdict.conclusion}
        for other, verdict in zip(others, verdicts(sides), strict=True)
    ]
    if page is not None:
        _write_page(compare_sides(sides), page)
    return {"sweep": first.name, "trial": first.trial, "compared": rows, "warnings": warnings_of(sides)}


def _write_page(comparison: Report, page: Path) -> None:
    check_writable(page.absolute().parent)
    page.parent.mkdir(parents=True, exist_ok=True)
    write_whole(page, to_page(comparison, page.parent))
