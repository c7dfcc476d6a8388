"""Reports as Markdown."""

from __future__ import annotations

import html
import re
from typing import assert_never
from urllib.parse import quote

from sweeps.report.document.report_blocks import (
    Block,
    Bullets,
    Card,
    Cards,
    Cell,
    Heading,
    Notice,
    Paragraph,
    Picture,
    Plot,
    Report,
    Strip,
    Table,
    Tiles,
)


def to_markdown(report: Report) -> str:
    """Render a report; its plots and pictures are shown from its folder."""
    parts = [f"# {_escaped(report.title)}", *map(_rendered, report.notices)]
    for section in report.sections:
        parts += [f"## {_escaped(section.title)}", *map(_rendered, section.blocks)]
    return "\n\n".join(parts) + "\n"


def _rendered(block: Block) -> str:
    match block:
        case Heading(text):
            return f"### {_escaped(text)}"
        case Paragraph(text):
            return _escaped(text)
        case Notice(text):
            return f"> **{_escaped(text)}**"
        case Bullets(items):
            return "\n".join(f"- {_escaped(item)}" for item in items)
        case Tiles(tiles):
            rows: list[list[Cell | str]]
            rows = [[Cell(tile.label, strong=True), Cell(tile.value, strong=True), tile.note] for tile in tiles]
            return _table(Table.of(["", "average, %", ""], rows, names=3))
        case Table():
            return f"**{_escaped(block.title)}**\n\n{_table(block)}" if block.title else _table(block)
        case Plot():
            return f"![{_escaped(block.alt)}]({block.path})\n\n{_escaped(block.caption)}"
        case Picture(shows, path):
            return f"![{_escaped(shows)}]({quote(path)})"
        case Strip(caption):
            return _escaped(caption)
        case Cards(cards):
            return "\n".join(map(_card, cards))
        case _:
            assert_never(block)


def _card(card: Card) -> str:
    return "\n".join([f"- **{_escaped(card.title)}**", *(f"  - {_escaped(line)}" for line in card.lines)])


def _escaped(text: str) -> str:
    """Escape what Markdown, or the HTML it may hold, would read as markup: names may hold anything."""
    one_line = " ".join(html.escape(text, quote=False).split())
    return re.sub(r"([\\|`*\[\]]|(?<!\w)_|_(?!\w))", r"\\\1", one_line)


def _table(table: Table) -> str:
    """Lay a table out as GitHub reads it."""
    rule = [" --- " if place < table.names else " ---: " for place in range(len(table.header))]
    lines = [[f" {_escaped(name)} " for name in table.header], rule, *([_cell(c) for c in row] for row in table.rows)]
    return "\n".join(f"|{'|'.join(line)}|" for line in lines)


def _cell(cell: Cell) -> str:
    text = _escaped(cell.text)
    return f" **{text}** " if cell.strong and text else f" {text} "
