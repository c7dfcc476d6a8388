"""The report as Markdown."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from sweeps.report.content import Content
from sweeps.report.grid import Cell, Grid


def render_markdown(content: Content, plots: dict[str, str]) -> str:
    """Write the whole report; `plots` are paths relative to it."""
    environment = jinja2.Environment(  # not autoescape: `finalize` escapes as Markdown needs it
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        finalize=_escaped,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["table"] = _table
    text = environment.get_template("report.md.j2").render(content=content, plots=plots)
    return re.sub(r"\n{3,}", "\n\n", text)


def _escaped(value: Any) -> Any:
    """Escape what Markdown, or the HTML it may hold, would read as markup: names may hold anything."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    one_line = " ".join(html.escape(value, quote=False).split())
    return re.sub(r"([\\|`*\[\]]|(?<!\w)_|_(?!\w))", r"\\\1", one_line)


def _table(grid: Grid) -> Markup:
    """Lay a grid out as a GitHub table."""
    rule = [" --- " if index < grid.names else " ---: " for index in range(len(grid.header))]
    lines = [[f" {_escaped(name)} " for name in grid.header], rule, *([_cell(c) for c in row] for row in grid.rows)]
    return Markup("\n".join(f"|{'|'.join(line)}|" for line in lines))


def _cell(cell: Cell) -> str:
    text = _escaped(cell.text)
    return f" **{text}** " if cell.strong and text else f" {text} "
