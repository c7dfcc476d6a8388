"""Rows of OUT's tables: read whole from files that grow or are torn, and sealed, so that a lost one is missed."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import xxhash

from fsamc.errors import BadInput
from sweeps.results.files import read_file

Row = dict[str, str]


@dataclass
class Seal:
    """Fingerprint of rows, whatever their order; as text, their number and a sum of their hashes."""

    rows: int = 0
    total: int = 0

    def add(self, cells: Iterable[str]) -> None:
        """Take in a row, each of its cells as the table's text has it."""
        self.rows += 1
        self.total += xxhash.xxh3_128_intdigest("\0".join(cells).encode())

    def __str__(self) -> str:
        return f"{self.rows}-{self.total % 2**128:032x}"


def seals(rows: pd.DataFrame) -> dict[int, str]:
    """Seal the rows of each trial; `rows` is text, with a column `trial`."""
    by_trial: dict[str, Seal] = {}
    for trial, cells in zip(rows["trial"], rows.itertuples(index=False, name=None), strict=True):
        by_trial.setdefault(trial, Seal()).add(cells)
    return {int(trial): str(seal) for trial, seal in by_trial.items() if trial.isdecimal()}


def as_csv(rows: Iterable[Sequence[object]]) -> str:
    """Write rows as the tables of OUT have them."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def read_rows(path: Path, *, trial: int | None = None) -> pd.DataFrame:
    """Read a table's complete rows as text, empty fields as "". Raises BadInput if it is missing or no CSV.

    With `trial`, only the rows that begin with its number: of a long table that is many times faster.
    """
    content = read_file(path)
    if content is None:
        raise BadInput(f"{path}: No such file or directory; give the OUT folder of a sweep that has started")
    complete, _ = _split_torn(content if trial is None else _rows_of(content, trial))
    try:
        if b"\0" in content:
            raise ValueError("holds NUL bytes")
        rows = pd.read_csv(io.BytesIO(complete), dtype=str, keep_default_na=False)
        if rows.isna().any(axis=None) or not isinstance(rows.index, pd.RangeIndex):
            raise ValueError("some rows have fewer or more cells than the first line")
    except ValueError as error:  # ParserError, EmptyDataError and UnicodeDecodeError are ValueErrors
        raise BadInput(
            f"{path}: {' '.join(str(error).split())}; expected a table, one line per row; the same sweep restores it"
        ) from error
    return rows


def readable_rows(path: Path, columns: list[str]) -> pd.DataFrame:
    """Read of a table what can still be read, as `read_rows` does; none of one that is missing or of other columns."""
    try:
        rows = read_rows(path)
    except BadInput:
        lines = (read_file(path) or b"").decode(errors="replace").split("\n")[:-1]
        cells = (_cells(line) for line in lines if "\0" not in line)
        rows = pd.DataFrame([row for row in cells if len(row) == len(columns) and row != columns], columns=columns)
    return rows if list(rows.columns) == columns else pd.DataFrame(columns=columns, dtype=str)


class Replaced(Exception):
    """A table is another file than it was."""


class _Growing:
    """Content of a file that is appended to, each piece once; a torn last line waits for its end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode: int | None = None
        self._place = 0
        self._torn = b""

    def _new_content(self, split: Callable[[bytes], tuple[bytes, bytes]]) -> Iterator[bytes]:
        """Yield what has come since the last call, up to where `split` says that it is whole. Raises Replaced."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            status = os.fstat(file.fileno())
            if self._inode not in (None, status.st_ino) or status.st_size < self._place:
                raise Replaced
            self._inode = status.st_ino
            file.seek(self._place)
            while block := file.read(1 << 24):
                self._place += len(block)
                complete, self._torn = split(self._torn + block)
                yield complete


class GrowingTable(_Growing):
    """The rows of a table that is appended to."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._columns: list[str] = []

    def new_rows(self) -> Iterator[Row]:
        """Yield the rows that have come since the last call. Raises Replaced."""
        for complete in self._new_content(_split_torn):
            for cells in csv.reader(io.StringIO(complete.decode(errors="replace"), newline="")):
                if self._columns:
                    yield dict(zip(self._columns, cells, strict=True))
                else:
                    self._columns = cells


class GrowingLines(_Growing):
    """The lines of a file that is appended to."""

    def new_lines(self) -> Iterator[bytes]:
        """Yield the lines that have come since the last call, without their ends. Raises Replaced."""
        for complete in self._new_content(_split_torn_line):
            yield from complete.split(b"\n")[:-1]


def _split_torn_line(content: bytes) -> tuple[bytes, bytes]:
    end = content.rfind(b"\n") + 1
    return content[:end], content[end:]


def _split_torn(content: bytes) -> tuple[bytes, bytes]:
    """Split a table into its complete rows and what follows them; a quoted field may hold line breaks."""
    end = content.rfind(b"\n") + 1
    quotes = content.count(b'"', 0, end)
    while quotes % 2:
        before = content.rfind(b"\n", 0, end - 1) + 1
        quotes -= content.count(b'"', before, end)
        end = before
    return content[:end], content[end:]


def _rows_of(content: bytes, trial: int) -> bytes:
    """Pick the header and the whole rows of one trial; a quoted field may hold line breaks."""
    rows = re.findall(rb'^%d,(?:[^"\r\n]|"[^"]*")*\r?\n' % trial, content, flags=re.MULTILINE)
    return b"".join([content[: content.find(b"\n") + 1], *rows])


def _cells(line: str) -> list[str]:
    """Split a line that is a row by itself; none where it is not."""
    try:
        return next(csv.reader([line], strict=True), [])
    except csv.Error:
        return []
