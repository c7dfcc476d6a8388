"""Reader of OUT: the one place where the files of a sweep's folder are parsed, and what they lost is missed."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from fsamc.config.scoring import MEASURES
from fsamc.data.credentials import hide_secrets_in
from fsamc.errors import BadInput
from fsamc.store.digests import digest
from sweeps.plan.kinds import mapping
from sweeps.plan.plan_file import check_complete
from sweeps.plan.settings import Plan
from sweeps.results import tables
from sweeps.results.choices import Recommendation, recommendation
from sweeps.results.files import read_file, read_lines
from sweeps.results.identity import Identity, check_current, read_identity, read_notes
from sweeps.results.objective import OBJECTIVE_COLUMNS, OBJECTIVES, ranking_by_objective
from sweeps.results.rows import Seal, read_rows, seals

WHOLE = ["trial", "seed", "draw", "shots"]
NUMBERS = ["accuracy", "correct", "queries", "seconds"]
TABLES = ("folds.csv", "predictions.csv", "detection.csv", OBJECTIVES)
SUPPORT_COLUMNS = ["category", "good", "shots", "draw", "role", "image"]
Support = Mapping[tuple[str, bool, int, int], Mapping[str, list[str]]]  # category, good, shots, draw; images per class


@dataclass
class TrialRecord:
    """One trial as proposed.

    Attributes:
        done: all its folds have been reported.
        stopped: why it was stopped before it had all its folds, if it was.
        estimate: the average that it was taken for when it was stopped (see `Objective.estimate_name`).
        failed: it came to its end without a score; a resumed sweep tries it again.
        started, ended: seconds since 1970.
        seals: of its rows in each table, by the table's name, once it is done.
        folds: what identifies its folds (`tables.FOLD`), where it was stopped before it had all; as `seals`.
    """

    number: int
    values: dict[str, Any]
    done: bool = False
    stopped: str | None = None
    estimate: float | None = None
    failed: bool = field(default=False, compare=False)
    started: float | None = field(default=None, compare=False)
    ended: float | None = field(default=None, compare=False)
    seals: dict[str, str] = field(default_factory=dict, compare=False)
    folds: list[tuple[Any, ...]] = field(default_factory=list, compare=False)

    @property
    def state(self) -> str:
        """As `tables.STATE`: done, stopped or open."""
        if self.stopped is not None:
            return tables.STOPPED
        return tables.DONE if self.done else tables.OPEN

    def learn(self, entry: Mapping[str, Any]) -> None:
        """Take in what a later line of trials.jsonl says."""
        self.done |= entry.get("done", False)
        self.failed |= entry.get("failed", False)
        self.stopped = entry.get("stopped", self.stopped)
        self.estimate = entry.get("estimate", self.estimate)
        self.ended = entry.get("ended", self.ended)
        self.seals = entry.get("rows", self.seals)
        self.folds = [tuple(fold) for fold in entry.get("folds", self.folds)]


def trial_records(entries: Iterable[Mapping[str, Any] | None]) -> list[TrialRecord]:
    """Put together the trials, by number, from lines of trials.jsonl; a trial whose values are lost is left out."""
    records: dict[int, TrialRecord] = {}
    learn_trials(records, entries)
    return [records[number] for number in sorted(records)]


def learn_trials(records: dict[int, TrialRecord], entries: Iterable[Mapping[str, Any] | None]) -> None:
    """Take further lines of trials.jsonl into the trials, by number."""
    for entry in entries:
        if entry is None or not isinstance(number := entry.get("trial"), int):
            continue
        if "values" in entry:
            records[number] = TrialRecord(number, entry["values"], started=entry.get("started"))
        if number in records:
            records[number].learn(entry)


class SweepReader:
    """One sweep's folder, each of its files parsed when it is first asked for, and once.

    What is written later is seen by another reader. A last line that a kill has torn, or that is being written, is
    left out of every file. Whatever else is missing, of what trials.jsonl says is done, is BadInput: a table is whole
    or it is none.
    """

    def __init__(self, out: Path) -> None:
        self.out = out

    @cached_property
    def plan(self) -> Plan:
        """The plan that the sweep ran. Raises BadInput if there is none, or it is torn."""
        path = self.out / "plan.yaml"
        text = read_file(path)
        if text is None:
            raise BadInput(f"{path}: No such file or directory; give the OUT folder of a sweep")
        try:
            check_complete(text.decode())
            tree = yaml.safe_load(text)
            check_current(self.out, mapping(tree))
            return Plan.model_validate(tree)
        except BadInput:
            raise
        except (yaml.YAMLError, ValueError) as error:  # pydantic's ValidationError is a ValueError
            line = " ".join(str(error).split())
            raise BadInput(f"{path}: {line}; expected the plan that the sweep wrote, restore it") from error

    @cached_property
    def identity(self) -> Identity | None:
        """Plan, data and run of the sweep; None before it has started."""
        return read_identity(self.out)

    @property
    def averaged(self) -> Mapping[int, Sequence[str]]:
        """By number of shots, the categories that the averages are over; empty where that was not written down."""
        return self.identity.averaged if self.identity else {}

    @cached_property
    def notes(self) -> dict[str, Any]:
        """sweep.json: status, what was spent, what to beware of; any key may be absent. Raises BadInput if torn."""
        return read_notes(self.out)

    @property
    def shown_notes(self) -> dict[str, Any]:
        """sweep.json for others to see: earlier versions kept addresses with their secrets."""
        return {key: hide_secrets_in(value) for key, value in self.notes.items()}

    @cached_property
    def trials(self) -> list[TrialRecord]:
        """Every trial that was proposed, by number; none before the first. Raises BadInput if a line is damaged."""
        path = self.out / "trials.jsonl"
        entries = list(read_lines(path))
        if None in entries:
            raise BadInput(f"{path}: line {entries.index(None) + 1} is no JSON object; {self._mend}")
        return trial_records(entries)

    @cached_property
    def folds(self) -> pd.DataFrame:
        """folds.csv: one row per fold, a fold that is listed twice (tried again after a failure) as last written.

        Its columns as `typed_folds` makes them; STATE, the fold's trial's, which trials.jsonl knows; and AVERAGED, as
        `tables.mark_averaged` makes it.

        Raises BadInput if the file is missing, has lost rows, lacks a column or holds a value of the wrong type.
        """
        path = self.out / "folds.csv"
        ended = self.notes.get("status") == "done"
        records = {record.number: record for record in self.trials}  # before their rows, which may be being added
        rows = read_rows(path)
        if missing := [name for name in tables.FIXED if name not in rows]:
            raise BadInput(f"{path}: no column {missing[0]!r}; expected the folds.csv of a sweep, give its OUT folder")
        self._check_seals("folds.csv", rows, records)
        try:
            folds = typed_folds(rows)
        except ValueError as error:
            raise BadInput(f"{path}: {error}; expected numbers, restore the file or resume the sweep") from error
        self._check_proposed(set(folds["trial"]), records, ended=ended)
        states = {number: record.state for number, record in records.items()}
        state = pd.Series([states.get(trial, tables.OPEN) for trial in folds["trial"]], folds.index, dtype=str)
        return tables.mark_averaged(folds.assign(**{tables.STATE: state}), self.averaged)

    @property
    def finished(self) -> pd.DataFrame:
        """The rows of `folds` that were scored."""
        return tables.finished(self.folds)

    @cached_property
    def measured(self) -> pd.DataFrame:
        """objectives.csv as `typed_measured` makes it; empty where the sweep measured nothing."""
        return typed_measured(self._rows(OBJECTIVES, OBJECTIVE_COLUMNS))

    @cached_property
    def board(self) -> pd.DataFrame:
        """Its trials, ranked as `ranking_by_objective` does."""
        return ranking_by_objective(self.plan, self.folds, self.measured)

    @cached_property
    def recommended(self) -> Recommendation | None:
        """The trial in best.yaml; None where the trials share no category."""
        return recommendation(self.plan, self.folds, self.measured)

    def predictions(self, trial: int | None) -> pd.DataFrame:
        """Read a trial's rows of predictions.csv: trial, FOLD, image, truth, predicted, scores; empty for None."""
        rows = self._of_trial("predictions.csv", ["image", "truth", "predicted", "scores"], trial)
        return rows.astype({"seed": int, "draw": int, "shots": int})

    def detection(self, trial: int | None) -> pd.DataFrame:
        """Read a trial's rows of detection.csv: trial, FOLD and DETECTED; empty for None."""
        rows = self._of_trial("detection.csv", tables.DETECTED, trial).astype({"shots": int})
        return rows.assign(**{name: pd.to_numeric(rows[name]).astype(float) for name in tables.DETECTED})

    @cached_property
    def support(self) -> pd.DataFrame:
        """support.csv, as text: category, good, shots, draw, role, image. Raises BadInput if it is not as written."""
        content = read_file(self.out / "support.csv")
        written = self.notes.get("support")
        if written is not None and (content is None or digest(content.decode(errors="replace")) != written):
            raise BadInput(f"{self.out / 'support.csv'}: is missing or not as the sweep wrote it; {self._mend}")
        return pd.DataFrame(columns=SUPPORT_COLUMNS) if content is None else read_rows(self.out / "support.csv")

    @property
    def support_images(self) -> Support:
        """The support images of support.csv per class. Raises BadInput as `support` does."""
        images: dict[tuple[str, bool, int, int], dict[str, list[str]]] = {}
        for row in self.support.to_dict("records"):
            if row["role"] == "support":
                key = row["category"], row["good"] == "true", int(row["shots"]), int(row["draw"])
                images.setdefault(key, {}).setdefault(row["image"].split("/")[1], []).append(row["image"])
        return images

    def check(self) -> None:
        """Raise BadInput where a file of the folder has lost something that a finished trial had."""
        _ = self.plan, self.folds, self.support
        for name in TABLES:
            self._rows(name, ["trial"])

    @property
    def _mend(self) -> str:
        return f"to restore it: fsamc sweep --out {shlex.quote(str(self.out))}"

    def _rows(self, name: str, columns: list[str], trial: int | None = None) -> pd.DataFrame:
        """Read a table that may not be there, as text; with `trial`, only the rows that begin with its number."""
        path = self.out / name
        records = {record.number: record for record in self.trials if trial in (None, record.number)}
        rows = read_rows(path, trial=trial) if path.exists() else pd.DataFrame(columns=columns, dtype=str)
        if missing := [column for column in columns if column not in rows]:
            raise BadInput(f"{path}: no column {missing[0]!r}; {self._mend}")
        self._check_seals(name, rows, records)
        return rows[columns]

    def _of_trial(self, name: str, columns: list[str], trial: int | None) -> pd.DataFrame:
        every = ["trial", *tables.FOLD, *columns]
        return pd.DataFrame(columns=every) if trial is None else self._rows(name, every, trial)

    def _check_seals(self, name: str, rows: pd.DataFrame, records: Mapping[int, TrialRecord]) -> None:
        """Raise BadInput where a finished trial's rows are not those that it was finished with."""
        expected = {number: record.seals[name] for number, record in records.items() if name in record.seals}
        if not expected:
            return
        there = seals(rows)
        lost = [number for number, seal in expected.items() if there.get(number, str(Seal())) != seal]
        if lost:
            raise BadInput(f"{self.out / name}: rows of trial {lost[0]} are missing or changed; {self._mend}")

    def _check_proposed(self, numbers: set[int], records: Mapping[int, TrialRecord], *, ended: bool) -> None:
        """Raise BadInput where trials.jsonl has lost lines of trials that have rows."""
        if unknown := numbers - records.keys():
            records = {record.number: record for record in SweepReader(self.out).trials}  # may have been added since
            unknown -= records.keys()
        unfinished = [number for number in numbers & records.keys() if ended and not records[number].done]
        if lost := sorted({*unknown, *unfinished}):
            raise BadInput(f"{self.out / 'trials.jsonl'}: has lost lines of trial {lost[0]}; {self._mend}")


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

    Returns trial, category, seed, draw, shots, and query, support, pseudo float64 (NaN where not measured).
    """
    rows = rows.astype(dict.fromkeys(WHOLE, "int64"))
    numbers = {name: pd.to_numeric(rows[name]).astype("float64") for name in ("query", *MEASURES)}
    return rows.assign(**numbers).drop_duplicates(["trial", *tables.FOLD], keep="last", ignore_index=True)


def _numbers_if_all(values: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(values, errors="coerce")
    present = values != ""  # where a key's condition is not met it has no value
    return numbers.astype(float) if present.any() and numbers[present].notna().all() else values
