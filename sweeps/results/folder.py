"""Writer of OUT, the folder of one sweep: whole rows at a time, and what a resumed sweep goes on from."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from cluster.folds import Outcome
from fsamc.errors import BadInput
from fsamc.store.durable import sync, write_whole
from sweeps.plan.configurations import alone, swept, variants
from sweeps.plan.load import config_hash, to_yaml
from sweeps.plan.plan_file import complete_plan
from sweeps.plan.settings import Plan
from sweeps.results import objective, tables
from sweeps.results.files import append, read_lines
from sweeps.results.fold_rows import DETECTION, PREDICTIONS, fold_row, table_rows
from sweeps.results.identity import NOTES, claim, identity_copy, read_notes
from sweeps.results.reader import WHOLE, SweepReader, TrialRecord, trial_records
from sweeps.results.rows import Seal, as_csv, read_rows, readable_rows, seals

FIGURES, GALLERY = "figures", "gallery.html"


Finder = Callable[[TrialRecord], Sequence[Outcome] | None]  # the folds of a finished trial; None where one is not there


class SweepFolder:
    """Writes OUT and reads it back. Rows are appended as folds finish, and sorted when the sweep ends.

    A trial is done when all its rows are on the disk: its line in trials.jsonl, which says so and seals them, is
    written after they have been flushed. A fold's result is in a store, flushed, before its rows are written; so rows
    need not be flushed one by one.

    Attributes:
        run: what tells this sweep from others of the same plan; an interrupted sweep goes on under the same.
        averaged: as in `Identity`.
        notes: sweep.json, what was spent, what to beware of.
        saved: what is in the folder by now; each file is parsed at most once between two rows written.
        restored: numbers of the trials whose rows the folder had lost, and has again.
        lost: numbers of the trials whose rows it has lost, and that are to be run again.
    """

    def __init__(self, root: Path, plan: Plan) -> None:
        self.root = root
        self.plan = plan
        self.run = ""
        self.averaged: Mapping[int, Sequence[str]] = {}
        self.notes: dict[str, Any] = {}
        self.saved = SweepReader(root)
        self.restored: list[int] = []
        self.lost: list[int] = []
        self._columns = list(dict.fromkeys([*tables.FIXED, *swept(plan)]))
        self._tables = {"folds.csv": self._columns, "predictions.csv": PREDICTIONS}
        if any(config.detection.enabled for config in variants(plan)):
            self._tables["detection.csv"] = DETECTION
        if plan.scoring.measure:
            self._tables[objective.OBJECTIVES] = objective.OBJECTIVE_COLUMNS
        self._running: dict[int, _Reported] = {}
        self._notes_were_damaged = False

    def open(
        self,
        contents: Mapping[str, str],
        averaged: Mapping[int, Sequence[str]] | None = None,
        *,
        extending: int | None = None,
        mode: str = "auto",
        find: Finder = lambda _: None,
    ) -> list[TrialRecord]:
        """Start or continue the sweep, as `claim` does; return the trials that were proposed before.

        Of a trial that is done its rows are kept. Where some are missing or changed, all are written anew from what
        `find` gives, or the trial is not done. The folds of other trials are reported again.
        """
        self.averaged = averaged or {}
        self.run = claim(self.root, self.plan, contents, self.averaged, extending=extending, mode=mode)
        self.notes = self._notes_so_far()
        records = trial_records(read_lines(self.root / "trials.jsonl"))
        rows = {name: readable_rows(self.root / name, columns) for name, columns in self._tables.items()}
        whole = self._whole(records, {name: seals(table) for name, table in rows.items()})
        kept = {name: [table[table["trial"].isin(whole)]] for name, table in rows.items()}
        for record in records:
            if record.done and str(record.number) not in whole:
                for name, restored in self._restore(record, find(record) or ()).items():
                    kept[name].append(pd.DataFrame(restored, columns=self._tables[name], dtype=str))
        for name, parts in kept.items():
            _write_rows(self.root / name, pd.concat(parts))
        write_whole(self.root / "trials.jsonl", "".join(map(_line, records)))
        if self.notes:
            self.note({"status": "running", "trials": len(records)})
        self.saved = SweepReader(self.root)
        return records

    def repairs(self) -> list[str]:
        """Say what had been lost, and what becomes of it."""
        told = {"are written again from their results": self.restored, "are lost: it is run again": self.lost}
        anew = "was damaged; it is written anew, without the time and the memory of earlier runs"
        notes = [f"{self.root / NOTES}: {anew}"] if self._notes_were_damaged else []
        return notes + [
            f"{self.root}: rows of trial {number} were missing or changed; they {how}"
            for how, numbers in told.items()
            for number in numbers
        ]

    def proposed(self, record: TrialRecord) -> None:
        """Note a new trial before it starts, so that a resumed sweep asks the same."""
        record.started = time.time()
        self._log(_line(record))

    def done(self, number: int, *, stopped: str | None = None, estimate: float | None = None) -> None:
        """Note that all of a trial's folds have been reported, or why it was stopped early and what it is taken for."""
        trial = self._running.pop(number, _Reported.nothing(self._tables))
        for name in trial.seals:
            sync(self.root / name)
        how = {"stopped": stopped, "estimate": estimate, "folds": trial.folds} if stopped is not None else {}
        self._ended(number, {"done": True, "rows": trial.sealed(), **how})

    def failed(self, number: int) -> None:
        """Note that a trial came to its end without a score. The next run of the sweep tries it again."""
        self._running.pop(number, None)
        self._ended(number, {"failed": True})

    def fold(self, number: int, values: Mapping[str, Any], outcome: Outcome) -> dict[str, Any]:
        """Append a finished fold's row, its predictions, what was detected and measured; return the row."""
        trial = self._running.setdefault(number, _Reported.nothing(self._tables))
        row = fold_row(number, trial.config_of(outcome), values, outcome)
        rows = table_rows(row, outcome, self._columns)
        for name in rows:
            append(self.root / name, as_csv(rows[name]))
        trial.add(rows)
        trial.folds.append([row[name] for name in tables.FOLD])
        self.saved = SweepReader(self.root)
        return row

    def has_rows(self) -> bool:
        """Whether any fold was scored."""
        return not self.saved.finished.empty

    def scores(self) -> dict[int, dict[str, float]]:
        """Mean and std by the objective, and seconds, of every trial with scored folds (`tables.trial_scores`)."""
        scores = tables.trial_scores(self._with_say())
        return {int(str(trial)): dict(row) for trial, row in scores.astype(float).iterrows()}

    def fold_scores(self) -> dict[int, dict[tuple[str, int, int, int], float]]:
        """By the objective, of every scored fold that has a say, by trial and (category, seed, draw, shots)."""
        scores: dict[int, dict[tuple[str, int, int, int], float]] = {}
        folds = self._with_say()
        columns = (folds[name].tolist() for name in ("trial", *tables.FOLD, "accuracy"))
        for trial, category, seed, draw, shots, accuracy in zip(*columns, strict=True):
            scores.setdefault(trial, {})[category, seed, draw, shots] = accuracy
        return scores

    def finish(self, told: str = "") -> pd.DataFrame:
        """Sort the tables, write summary.csv and best.yaml, which says what else was `told`; return the summary."""
        for name, columns in self._tables.items():
            self._sort(name, columns)
        self.saved = SweepReader(self.root)
        folds = self.saved.folds
        summary = tables.summarise(folds)
        tables.write_summary(summary, self.root)
        if "seconds" in self.plan.search.goals:
            self.note({"pareto": tables.pareto(folds)})
        if recommended := self.saved.recommended:
            best = recommended.trial
            plan = alone(self.plan, {record.number: record.values for record in self.saved.trials}[best])
            chosen = "the base" if recommended.abstains else f"chosen by {objective.what_chooses(self.plan)}"
            why = [f"trial {best}, {chosen}", recommended.line if recommended.abstains else "", told]
            write_whole(
                self.root / "best.yaml", complete_plan(to_yaml(plan), " ".join("; ".join(filter(None, why)).split()))
            )
        return summary

    def note(self, facts: Mapping[str, Any]) -> None:
        """Enter facts into sweep.json."""
        self.notes |= facts
        write_whole(self.root / NOTES, json.dumps({**self.notes, **identity_copy(self.root)}, indent=2))

    def records(self) -> list[TrialRecord]:
        """Every trial that was proposed, by number."""
        return self.saved.trials

    def _notes_so_far(self) -> dict[str, Any]:
        """Read sweep.json; one that is damaged is as good as none."""
        try:
            return read_notes(self.root)
        except BadInput:
            self._notes_were_damaged = True
            (self.root / NOTES).unlink()
            return {}

    def _with_say(self) -> pd.DataFrame:
        """Scored folds that have a say, with their score by the objective as their accuracy."""
        return objective.scored(self.plan, self.saved.finished, self.saved.measured)

    def _ended(self, number: int, how: Mapping[str, Any]) -> None:
        self._log(json.dumps({"trial": number, **how, "ended": round(time.time(), 3)}) + "\n")

    def _log(self, line: str) -> None:
        """Append a line to trials.jsonl, and have it on the disk."""
        append(self.root / "trials.jsonl", line)
        sync(self.root / "trials.jsonl")
        self.saved = SweepReader(self.root)

    def _whole(self, records: Iterable[TrialRecord], there: Mapping[str, Mapping[int, str]]) -> set[str]:
        """Return the numbers (text) of finished trials that have all rows in every table; `there`: seals by table."""
        whole = set()
        for record in records:
            seals_there = {name: there[name].get(record.number, str(Seal())) for name in self._tables}
            if record.done and record.seals == seals_there:
                whole.add(str(record.number))
        return whole

    def _restore(self, record: TrialRecord, outcomes: Sequence[Outcome]) -> dict[str, list[list[str]]]:
        """Make a finished trial's rows anew, and seal them; without outcomes there are none, and it is not done."""
        trial = _Reported.nothing(self._tables)
        made: dict[str, list[list[str]]] = {name: [] for name in self._tables}
        for outcome in outcomes:
            row = fold_row(record.number, trial.config_of(outcome), record.values, outcome)
            rows = table_rows(row, outcome, self._columns)
            trial.add(rows)
            for name in rows:
                made[name] += rows[name]
        if outcomes:
            self.restored.append(record.number)
            record.seals = trial.sealed()
        else:
            self.lost.append(record.number)
            record.done, record.stopped, record.estimate, record.folds = False, None, None, []
        return made

    def _sort(self, name: str, columns: list[str]) -> None:
        rows = read_rows(self.root / name)
        rows = rows.assign(**{key: pd.to_numeric(rows[key]) for key in WHOLE})
        _write_rows(self.root / name, rows.sort_values(columns[:1] + tables.FOLD, kind="stable"))


@dataclass
class _Reported:
    """Summary of a trial's rows so far: a seal (count and hash) per table, and the identity of each fold."""

    seals: dict[str, Seal]
    folds: list[list[Any]] = field(default_factory=list)
    _config: str = ""  # the hash that all its folds share, made once

    @classmethod
    def nothing(cls, names: Iterable[str]) -> _Reported:
        return cls({name: Seal() for name in names})

    def config_of(self, outcome: Outcome) -> str:
        self._config = self._config or config_hash(outcome.fold.config)
        return self._config

    def add(self, rows: Mapping[str, Iterable[list[str]]]) -> None:
        for name in rows:
            for cells in rows[name]:
                self.seals[name].add(cells)

    def sealed(self) -> dict[str, str]:
        return {name: str(seal) for name, seal in self.seals.items()}


def _line(record: TrialRecord) -> str:
    entry: dict[str, Any] = {"trial": record.number, "values": record.values}
    if record.started is not None:
        entry["started"] = round(record.started, 3)
    if record.done:
        told = {
            "done": True,
            "rows": record.seals,
            "stopped": record.stopped,
            "estimate": record.estimate,
            "folds": record.folds,
            "ended": record.ended,
        }
        entry |= {name: value for name, value in told.items() if value not in (None, [], {})}
    return json.dumps(entry) + "\n"


def _write_rows(path: Path, rows: pd.DataFrame) -> None:
    write_whole(path, rows.to_csv(index=False, lineterminator="\n"))
