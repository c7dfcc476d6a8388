"""What OUT says of each trial by now, read as it grows: all that is ever delivered comes from here."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from fsamc.fold.metrics import confusion_matrix
from sweeps.results import tables
from sweeps.results.folder import TrialRecord, read_trials
from sweeps.results.objective import OBJECTIVES

Where = tuple[str, int, int]  # category, seed, draw
Row = dict[str, str]


@dataclass
class Answers:
    """The queries of one fold: its classes in the order of their labels, true and predicted labels."""

    classes: tuple[str, ...]
    truth: list[int] = field(default_factory=list)
    predicted: list[int] = field(default_factory=list)

    @property
    def confusion(self) -> np.ndarray:
        """Counts int64 [C, C]: row = true class, column = predicted class."""
        return confusion_matrix(self.truth, self.predicted, len(self.classes))


@dataclass
class Trial:
    """One trial and what its folds have given so far."""

    record: TrialRecord
    rows: dict[Where, Row] = field(default_factory=dict)  # of folds.csv
    answers: dict[Where, Answers] = field(default_factory=dict)  # of predictions.csv
    detected: dict[Where, Row] = field(default_factory=dict)  # of detection.csv
    measured: dict[Where, Row] = field(default_factory=dict)  # of objectives.csv

    @property
    def categories(self) -> list[str]:
        """Those that it has folds of."""
        return sorted({category for category, _, _ in self.rows})

    def folds(self) -> pd.DataFrame:
        """Its scored folds as `tables` take them, in a fixed order."""
        scored = [row for _, row in sorted(self.rows.items()) if row["status"] == "ok"]
        frame = pd.DataFrame(scored, columns=tables.FIXED).astype(dict.fromkeys(tables.WHOLE, int))
        return frame.astype(dict.fromkeys(tables.NUMBERS, float))


class Journal:
    """Reads OUT again and again, and only what is new. What a trial gave is let go of by `forget`."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._tables = _tails(out)
        self._trials: dict[int, Trial] = {}
        self._forgotten: set[int] = set()

    def read(self) -> dict[int, Trial]:
        """The trials by number. Those that are done have all their rows: these were written before."""
        try:
            self._read()
        except Replaced:  # by sorted ones, when the sweep ends: they hold all
            self._trials.clear()
            self._tables = _tails(self._out)
            self._read()
        return self._trials

    def _read(self) -> None:
        for record in read_trials(self._out):
            self._trials.setdefault(record.number, Trial(record)).record = record
        for row in self._tables["folds.csv"].rows():
            self._of(row).rows[_where(row)] = row
        for row in self._tables["predictions.csv"].rows():
            self._answer(self._of(row), row)
        for row in self._tables["detection.csv"].rows():
            self._of(row).detected[_where(row)] = row
        for row in self._tables[OBJECTIVES].rows():
            self._of(row).measured[_where(row)] = row

    def forget(self, number: int) -> None:
        """Keep nothing more of a trial than that it was there."""
        self._forgotten.add(number)
        self._trials[number] = Trial(self._trials[number].record)

    def _of(self, row: Row) -> Trial:
        number = int(row["trial"])
        known = self._trials.get(number)
        return Trial(TrialRecord(number, {})) if known is None or number in self._forgotten else known

    @staticmethod
    def _answer(trial: Trial, row: Row) -> None:
        where = _where(row)
        if where not in trial.answers:
            trial.answers[where] = Answers(tuple(json.loads(row["scores"])))
        found = trial.answers[where]
        found.truth.append(found.classes.index(row["truth"]))
        found.predicted.append(found.classes.index(row["predicted"]))


class Replaced(Exception):
    """A table is another file than it was."""


class Tail:
    """The rows of a table that is appended to, each once; a torn last line waits for its end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode: int | None = None
        self._place = 0
        self._columns: list[str] = []
        self._rest = b""

    def rows(self) -> Iterator[Row]:
        """Rows that have come since the last call. Raises Replaced."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            found = os.fstat(file.fileno())
            if self._inode not in (None, found.st_ino) or found.st_size < self._place:
                raise Replaced
            self._inode = found.st_ino
            file.seek(self._place)
            while block := file.read(1 << 24):
                self._place += len(block)
                yield from self._complete(self._rest + block)

    def _complete(self, text: bytes) -> Iterator[Row]:
        whole, end, self._rest = text.rpartition(b"\n")
        if whole.count(b'"') % 2:  # inside a quoted field that holds a line break
            whole, end, self._rest = b"", b"", text
        for cells in csv.reader(io.StringIO((whole + end).decode(errors="replace"), newline="")):
            if self._columns:
                yield dict(zip(self._columns, cells, strict=True))
            else:
                self._columns = cells


def _tails(out: Path) -> dict[str, Tail]:
    return {name: Tail(out / name) for name in ("folds.csv", "predictions.csv", "detection.csv", OBJECTIVES)}


def _where(row: Row) -> Where:
    return row["category"], int(row["seed"]), int(row["draw"])
