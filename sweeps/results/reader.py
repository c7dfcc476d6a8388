"""Reader of OUT: the one place where the files of a sweep's folder are parsed, whole or while they grow."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pydantic
import yaml

from fsamc.config.scoring import MEASURES
from fsamc.errors import BadInput
from sweeps.plan.settings import Plan
from sweeps.results import tables
from sweeps.results.files import read_json, read_lines
from sweeps.results.identity import Identity, read_identity
from sweeps.results.objective import OBJECTIVE_COLUMNS, OBJECTIVES

WHOLE = ["trial", "seed", "draw", "shots"]
NUMBERS = ["accuracy", "correct", "queries", "seconds"]
TABLES = ("folds.csv", "predictions.csv", "detection.csv", OBJECTIVES)
Row = dict[str, str]


@dataclass
class TrialRecord:
    """One trial as proposed.

    Attributes:
        done: all its folds have been reported.
        stopped: why it was stopped before it had all its folds, if it was.
        failed: it came to its end without a score; a resumed sweep tries it again.
        started, ended: seconds since 1970; None in what earlier versions wrote.
    """

    number: int
    values: dict[str, Any]
    done: bool = False
    stopped: str | None = None
    failed: bool = field(default=False, compare=False)
    started: float | None = field(default=None, compare=False)
    ended: float | None = field(default=None, compare=False)


class SweepReader:
    """One sweep's folder, each of its files parsed when it is first asked for, and once.

    What is written later is seen by another reader. A last line that a kill has torn, or that is being written, is
    left out of every file.

    Args:
        out: the folder.
        fold_rows: the rows of folds.csv as text, where whoever has just written it has them at hand.
    """

    def __init__(self, out: Path, *, fold_rows: pd.DataFrame | None = None) -> None:
        self.out = out
        self._fold_rows = fold_rows

    @cached_property
    def plan(self) -> Plan:
        """The plan that the sweep ran. Raises BadInput if there is none, or it is torn."""
        path = self.out / "plan.yaml"
        try:
            return Plan.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise BadInput(f"{path}: {error.strerror}; give the OUT folder of a sweep") from error
        except (yaml.YAMLError, pydantic.ValidationError) as error:
            line = " ".join(str(error).split())
            raise BadInput(f"{path}: {line}; expected the plan that the sweep wrote, restore it") from error

    @cached_property
    def identity(self) -> Identity | None:
        """Plan, data and run of the sweep; None before it has started."""
        return read_identity(self.out)

    @cached_property
    def notes(self) -> dict[str, Any]:
        """sweep.json: status, what was spent, what to beware of; any key may be absent. Raises BadInput if torn."""
        return read_json(self.out / "sweep.json")

    @cached_property
    def trials(self) -> list[TrialRecord]:
        """Every trial that was proposed, by number; none before the first."""
        records: dict[int, TrialRecord] = {}
        for entry in read_lines(self.out / "trials.jsonl"):  # a trial whose line is torn is proposed again
            number = entry["trial"]
            if "values" in entry:
                records[number] = TrialRecord(number, entry["values"], started=entry.get("started"))
            if (record := records.get(number)) is None:  # nobody knows its values
                continue
            record.done |= entry.get("done", False)
            record.failed |= entry.get("failed", False)
            record.stopped = entry.get("stopped", record.stopped)
            record.ended = entry.get("ended", record.ended)
        return [records[number] for number in sorted(records)]

    @cached_property
    def folds(self) -> pd.DataFrame:
        """folds.csv: one row per fold, a fold that is listed twice (tried again after a failure) as last written.

        Its columns as `typed_folds` makes them, and `stopped`, which trials.jsonl knows: why the fold's trial was
        stopped before its other folds were scored, empty if it was not.

        Raises BadInput if the file is missing, lacks a column or holds a value of the wrong type.
        """
        path = self.out / "folds.csv"
        rows = read_rows(path) if self._fold_rows is None else self._fold_rows
        if missing := [name for name in tables.FIXED if name not in rows]:
            raise BadInput(f"{path}: no column {missing[0]!r}; expected the folds.csv of a sweep, give its OUT folder")
        try:
            folds = typed_folds(rows)
        except ValueError as error:
            raise BadInput(f"{path}: {error}; expected numbers, restore the file or resume the sweep") from error
        reasons = {record.number: record.stopped or "" for record in self.trials}
        stopped = pd.Series([reasons.get(trial, "") for trial in folds["trial"]], folds.index, dtype=str)
        return folds.assign(**{tables.STOPPED: stopped})

    @property
    def finished(self) -> pd.DataFrame:
        """The rows of `folds` that were scored."""
        return tables.finished(self.folds)

    @cached_property
    def measured(self) -> pd.DataFrame:
        """objectives.csv as `typed_measured` makes it; empty where the sweep measured nothing."""
        return typed_measured(self._rows(OBJECTIVES, OBJECTIVE_COLUMNS))

    def predictions(self, trial: int | None) -> pd.DataFrame:
        """Read a trial's rows of predictions.csv: trial, category, seed, draw, truth, predicted; empty for None."""
        rows = self._of_trial("predictions.csv", ["truth", "predicted"], trial)
        return rows.astype({"seed": int, "draw": int})

    def detection(self, trial: int | None) -> pd.DataFrame:
        """Read a trial's rows of detection.csv: trial, category, seed, draw and DETECTED; empty for None."""
        rows = self._of_trial("detection.csv", tables.DETECTED, trial)
        return rows.assign(**{name: pd.to_numeric(rows[name]).astype(float) for name in tables.DETECTED})

    @cached_property
    def support(self) -> pd.DataFrame:
        """support.csv, as text: category, good, shots, draw, role, image."""
        return self._rows("support.csv", ["category", "good", "shots", "draw", "role", "image"])

    def _rows(self, name: str, columns: list[str], trial: int | None = None) -> pd.DataFrame:
        """Read a table that may not be there, as text; with `trial`, only the rows that begin with its number."""
        path = self.out / name
        return read_rows(path, columns, trial=trial) if path.exists() else pd.DataFrame(columns=columns)

    def _of_trial(self, name: str, columns: list[str], trial: int | None) -> pd.DataFrame:
        every = ["trial", *tables.FOLD, *columns]
        return pd.DataFrame(columns=every) if trial is None else self._rows(name, every, trial)


def typed_folds(rows: pd.DataFrame) -> pd.DataFrame:
    """Give rows of folds.csv as text their types, sorted, each fold once as last written. Raises ValueError.

    Returns the columns of the file: trial, seed, draw, shots int64; accuracy, correct, queries, seconds float64 (NaN
    where a fold failed); a swept key is float64 where all its values are numbers (NaN where it has none), else str.
    """
    folds = rows.astype(dict.fromkeys(WHOLE, "int64"))
    folds[NUMBERS] = folds[NUMBERS].apply(pd.to_numeric).astype("float64")
    for key in tables.swept_keys(folds):
        folds[key] = _numbers_if_all(folds[key])
    where = ["trial", *tables.FOLD]
    return folds.drop_duplicates(where, keep="last").sort_values(where, ignore_index=True)


def typed_measured(rows: pd.DataFrame) -> pd.DataFrame:
    """Give rows of objectives.csv as text their types, each fold once as last written.

    Returns trial, category, seed, draw, and query, support, pseudo float64 (NaN where not measured).
    """
    rows = rows.astype(dict.fromkeys(("trial", "seed", "draw"), "int64"))
    numbers = {name: pd.to_numeric(rows[name]).astype("float64") for name in ("query", *MEASURES)}
    return rows.assign(**numbers).drop_duplicates(["trial", *tables.FOLD], keep="last", ignore_index=True)


def read_rows(path: Path, columns: list[str] | None = None, *, trial: int | None = None) -> pd.DataFrame:
    """Read a CSV file's complete rows as text, empty fields as "". Raises BadInput if it is missing or no CSV.

    With `trial`, only the rows that begin with its number: of a long table that is many times faster.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror or error}; give the OUT folder of a sweep that has started") from error
    complete, _ = _split_torn(content if trial is None else _rows_of(content, trial))
    text = complete.decode("utf-8", errors="replace")
    try:
        return pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False, usecols=columns)
    except ValueError as error:  # ParserError and EmptyDataError are ValueErrors
        raise BadInput(f"{path}: {' '.join(str(error).split())}; expected a table, one line per row") from error


class Replaced(Exception):
    """A table is another file than it was."""


class GrowingTable:
    """The rows of a table that is appended to, each once; a torn last line waits for its end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode: int | None = None
        self._place = 0
        self._columns: list[str] = []
        self._torn = b""

    def new_rows(self) -> Iterator[Row]:
        """Yield the rows that have come since the last call. Raises Replaced."""
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
                complete, self._torn = _split_torn(self._torn + block)
                for cells in csv.reader(io.StringIO(complete.decode(errors="replace"), newline="")):
                    if self._columns:
                        yield dict(zip(self._columns, cells, strict=True))
                    else:
                        self._columns = cells


def _split_torn(content: bytes) -> tuple[bytes, bytes]:
    """Split a table into its complete rows and what follows them; a quoted field may hold line breaks."""
    end = content.rfind(b"\n") + 1
    while content.count(b'"', 0, end) % 2:
        end = content.rfind(b"\n", 0, end - 1) + 1
    return content[:end], content[end:]


def _rows_of(content: bytes, trial: int) -> bytes:
    """Pick the header and the whole rows of one trial; a quoted field may hold line breaks."""
    rows = re.findall(rb'^%d,(?:[^"\r\n]|"[^"]*")*\r?\n' % trial, content, flags=re.MULTILINE)
    return b"".join([content[: content.find(b"\n") + 1], *rows])


def _numbers_if_all(values: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(values, errors="coerce")
    present = values != ""  # where a key's condition is not met it has no value
    return numbers.astype(float) if present.any() and numbers[present].notna().all() else values
