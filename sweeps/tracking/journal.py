"""Journal of what OUT says of each trial by now, read as it grows: all that is ever delivered comes from here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fsamc.fold.metrics import confusion_matrix
from sweeps.results.files import parse_line
from sweeps.results.objective import OBJECTIVES
from sweeps.results.reader import TABLES, SweepReader, TrialRecord, learn_trials
from sweeps.results.rows import GrowingLines, GrowingTable, Replaced, Row
from sweeps.statistics.averages import Score

Where = tuple[str, int, int, int]  # category, seed, draw, shots


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
    averaged: Mapping[int, Sequence[str]] = field(default_factory=dict)  # as `Identity.averaged`

    @property
    def categories(self) -> list[str]:
        """Those that it has folds of."""
        return sorted({category for category, *_ in self.rows})

    def scores(self) -> list[Score]:
        """Its scored folds, with their accuracies."""
        return [
            (*_cell(self, where), float(row["accuracy"])) for where, row in self.rows.items() if row["status"] == "ok"
        ]

    def measures(self, name: str) -> list[Score]:
        """Its scored folds for which objectives.csv has a score of that name, with it."""
        measured = {where: row[name] for where, row in self.measured.items() if row[name]}
        scored = (where for where, row in self.rows.items() if row["status"] == "ok" and where in measured)
        return [(*_cell(self, where), float(measured[where])) for where in scored]


class Journal:
    """Reads OUT again and again, and only what is new. What a trial gave is let go of by `forget`."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._forgotten: set[int] = set()
        self._begin()

    def _begin(self) -> None:
        self._lines = GrowingLines(self._out / "trials.jsonl")
        self._tables = {name: GrowingTable(self._out / name) for name in TABLES}
        self._records: dict[int, TrialRecord] = {}
        self._trials: dict[int, Trial] = {}

    def read(self) -> dict[int, Trial]:
        """Return the trials by number. Those that are done have all their rows: these were written before."""
        try:
            self._read()
        except Replaced:  # by sorted ones, when the sweep ends: they hold all
            self._begin()
            self._read()
        return self._trials

    def _read(self) -> None:
        averaged = SweepReader(self._out).averaged
        entries = [parse_line(line) for line in self._lines.new_lines()]
        if None in entries:
            self._begin()  # until somebody restores the line, which is named here
            _ = SweepReader(self._out).trials
        learn_trials(self._records, entries)
        for number, record in self._records.items():
            self._trials.setdefault(number, Trial(record, averaged=averaged)).record = record
        for row in self._tables["folds.csv"].new_rows():
            self._of(row).rows[_where(row)] = row
        for row in self._tables["predictions.csv"].new_rows():
            self._answer(self._of(row), row)
        for row in self._tables["detection.csv"].new_rows():
            self._of(row).detected[_where(row)] = row
        for row in self._tables[OBJECTIVES].new_rows():
            self._of(row).measured[_where(row)] = row

    def forget(self, number: int) -> None:
        """Keep nothing more of a trial than that it was there."""
        if number not in self._forgotten:
            self._forgotten.add(number)
            self._trials[number] = Trial(self._trials[number].record)

    def _of(self, row: Row) -> Trial:
        number = int(row["trial"])
        trial = self._trials.get(number)
        return Trial(TrialRecord(number, {})) if trial is None or number in self._forgotten else trial

    @staticmethod
    def _answer(trial: Trial, row: Row) -> None:
        where = _where(row)
        if where not in trial.answers:
            trial.answers[where] = Answers(tuple(json.loads(row["scores"])))
        answers = trial.answers[where]
        answers.truth.append(answers.classes.index(row["truth"]))
        answers.predicted.append(answers.classes.index(row["predicted"]))


def _cell(trial: Trial, where: Where) -> tuple[int, int, str, int]:
    category, seed, _, shots = where
    return trial.record.number, shots, category, seed


def _where(row: Row) -> Where:
    return row["category"], int(row["seed"]), int(row["draw"]), int(row["shots"])
