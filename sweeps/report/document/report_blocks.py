"""Blocks that a report is made of; every renderer knows how to show each kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BEST_MARK = " *"  # of the best of a column, in tables of text


@dataclass(frozen=True)
class Heading:
    """A heading within a section."""

    text: str


@dataclass(frozen=True)
class Paragraph:
    """Text; `small` for what explains its neighbour."""

    text: str
    small: bool = False


@dataclass(frozen=True)
class Notice:
    """A warning that must not be overlooked; `severe` where the numbers are not what they seem."""

    text: str
    severe: bool = False


@dataclass(frozen=True)
class Bullets:
    """A list of sentences; `small` as in Paragraph."""

    items: Sequence[str]
    small: bool = False


@dataclass(frozen=True)
class Tile:
    """One number of the headline, in percent, and what it is."""

    label: str
    value: str
    note: str


@dataclass(frozen=True)
class Tiles:
    """The numbers to remember."""

    tiles: Sequence[Tile]


@dataclass(frozen=True)
class Cell:
    """Text of one cell; `strong` for the best of its column, `shade` in [0, 1] for a cell that is coloured."""

    text: str
    strong: bool = False
    shade: float | None = None

    @classmethod
    def of(cls, content: Cell | str) -> Cell:
        """Take a cell as it is, and make one of text; text that ends with the best mark becomes strong."""
        if isinstance(content, Cell):
            return content
        return cls(content.removesuffix(BEST_MARK), strong=content.endswith(BEST_MARK))


@dataclass(frozen=True)
class Table:
    """A table: `names` leading columns are text and stand left, the others are numbers and stand right.

    Attributes:
        title: its caption; tables with one stand side by side where there is room.
        marked: places of the rows that are highlighted where there is colour.
    """

    header: list[str]
    rows: list[list[Cell]]
    names: int
    title: str = ""
    marked: Sequence[int] = ()

    @classmethod
    def of(
        cls,
        header: Sequence[str],
        rows: Iterable[Iterable[Cell | str]],
        *,
        names: int = 1,
        title: str = "",
        marked: Sequence[int] = (),
    ) -> Table:
        """Build a table from cells and plain text."""
        return cls(list(header), [[Cell.of(content) for content in row] for row in rows], names, title, marked)

    @property
    def shaded(self) -> bool:
        """Whether cells are coloured."""
        return any(cell.shade is not None for row in self.rows for cell in row)


@dataclass(frozen=True)
class Plot:
    """A plot, drawn to `plots/NAME.png` in the report's folder.

    Attributes:
        alt: says what it shows to who cannot see it.
        draw: draws it, when it is written.
    """

    name: str
    alt: str
    caption: str
    draw: Callable[[], Figure]

    @property
    def path(self) -> str:
        """Its file, relative to the report."""
        return f"plots/{self.name}.png"


@dataclass(frozen=True)
class Picture:
    """A picture that is in the report's folder already: what it shows, and its file relative to the report."""

    shows: str
    path: str


@dataclass(frozen=True)
class Thumbnail:
    """A small picture that is in no file: what it shows, and its JPEG."""

    shows: str
    jpeg: bytes


@dataclass(frozen=True)
class Strip:
    """Small pictures in a row; of text, only the caption is left."""

    caption: str
    pictures: Sequence[Thumbnail]


@dataclass(frozen=True)
class Card:
    """One of several alike: a title, lines of text, and rows of pictures that only a page shows."""

    title: str
    lines: Sequence[str]
    strips: Sequence[Strip] = ()


@dataclass(frozen=True)
class Cards:
    """Cards side by side where there is room."""

    cards: Sequence[Card]


Block = Heading | Paragraph | Notice | Bullets | Tiles | Table | Plot | Picture | Strip | Cards


@dataclass(frozen=True)
class Section:
    """A section and its address within the page."""

    id: str
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Report:
    """A report on one sweep, or on several; `kind` says which."""

    kind: str
    title: str
    notices: Sequence[Notice]
    sections: Sequence[Section]

    @property
    def blocks(self) -> Iterator[Block]:
        """The blocks of all sections."""
        return (block for section in self.sections for block in section.blocks)

    @property
    def plots(self) -> list[Plot]:
        """Its plots."""
        return [block for block in self.blocks if isinstance(block, Plot)]
