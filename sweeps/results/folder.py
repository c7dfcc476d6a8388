"""Writer of OUT, the folder of one sweep: whole rows at a time, and what a resumed sweep goes on from."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from cluster.folds import Outcome
from fsamc.fold.result import FoldResult
from sweeps.plan.configurations import configuration, swept, variants
from sweeps.plan.load import config_hash, to_yaml
from sweeps.plan.settings import Plan
from sweeps.results import objective, tables
from sweeps.results.files import append, write_whole
from sweeps.results.identity import claim
from sweeps.results.reader import SweepReader, TrialRecord, read_rows

DETECTION = ["trial", "category", "seed", "draw", "threshold", *tables.DETECTED]
FIGURES = "figures"
PREDICTIONS = ["trial", "category", "seed", "draw", "image", "truth", "predicted", "scores"]


class SweepFolder:
    """Writes OUT and reads it back. Rows are appended as folds finish, and sorted when the sweep ends.

    Attributes:
        run: what tells this sweep from others of the same plan; an interrupted sweep goes on under the same.
        notes: sweep.json, what was spent, what to beware of.
        saved: what is in the folder by now; each file is parsed at most once between two rows written.
    """

    def __init__(self, root: Path, plan: Plan) -> None:
        self.root = root
        self.plan = plan
        self.run = ""
        self.notes: dict[str, Any] = {}
        self.saved = SweepReader(root)
        self._columns = list(dict.fromkeys([*tables.FIXED, *swept(plan)]))
        self._tables = {"folds.csv": self._columns, "predictions.csv": PREDICTIONS}
        if any(config.detection.enabled for config in variants(plan)):
            self._tables["detection.csv"] = DETECTION
        if plan.scoring.measure:
            self._tables[objective.OBJECTIVES] = objective.OBJECTIVE_COLUMNS

    def open(self, contents: Mapping[str, str], *, extending: int | None = None) -> list[TrialRecord]:
        """Start or continue the sweep; return the trials that were proposed before, with their reported folds kept."""
        self.run = claim(self.root, self.plan, contents, extending=extending)
        earlier = SweepReader(self.root)
        self.notes, records = earlier.notes, earlier.trials
        write_whole(self.root / "trials.jsonl", "".join(map(_line, records)))  # a torn line must not take in the next
        done = {str(record.number) for record in records if record.done}
        kept = {name: self._keep(name, columns, done) for name, columns in self._tables.items()}
        self.saved = SweepReader(self.root, fold_rows=kept["folds.csv"])
        return records

    def proposed(self, record: TrialRecord) -> None:
        """Note a new trial before it starts, so that a resumed sweep asks the same."""
        record.started = time.time()
        self._append("trials.jsonl", _line(record))

    def done(self, number: int, *, stopped: str | None = None) -> None:
        """Note that all of a trial's folds have been reported, or that it was stopped early, and why."""
        self._ended(number, {"done": True} | ({} if stopped is None else {"stopped": stopped}))

    def failed(self, number: int) -> None:
        """Note that a trial came to its end without a score. The next run of the sweep tries it again."""
        self._ended(number, {"failed": True})

    def _ended(self, number: int, how: Mapping[str, Any]) -> None:
        entry = {"trial": number, **how, "ended": round(time.time(), 3)}
        self._append("trials.jsonl", json.dumps(entry) + "\n")

    def fold(self, number: int, values: Mapping[str, Any], outcome: Outcome) -> dict[str, Any]:
        """Append a finished fold's row, its predictions, what was detected and measured; return the row."""
        row = self._row(number, values, outcome)
        if outcome.result is not None:
            self._append("predictions.csv", _csv(_predictions(number, outcome.result)))
            if outcome.result.threshold is not None:
                self._append("detection.csv", _csv([_detection(number, outcome.result)]))
            if outcome.result.measured:
                self._append(objective.OBJECTIVES, _csv([objective.measured_row(number, outcome.result)]))
        self._append("folds.csv", _csv([[row.get(name, "") for name in self._columns]]))
        return row

    def has_rows(self) -> bool:
        """Whether any fold was scored."""
        return not self.saved.finished.empty

    def scores(self) -> dict[int, dict[str, float]]:
        """Mean and std by the objective, and seconds, of every trial with scored folds (`tables.trial_scores`)."""
        scores = tables.trial_scores(self._with_say())
        return {int(str(trial)): dict(row) for trial, row in scores.astype(float).iterrows()}

    def fold_scores(self) -> dict[int, dict[Hashable, float]]:
        """By the objective, of every scored fold that has a say, by trial and (category, seed, draw)."""
        scores: dict[int, dict[Hashable, float]] = {}
        folds = self._with_say()
        columns = (folds[name].tolist() for name in ("trial", *tables.FOLD, "accuracy"))
        for trial, category, seed, draw, accuracy in zip(*columns, strict=True):
            scores.setdefault(trial, {})[(category, seed, draw)] = accuracy
        return scores

    def finish(self) -> pd.DataFrame:
        """Sort the tables, write summary.csv and best.yaml; return the summary."""
        by_name = {name: self._sort(name, columns) for name, columns in self._tables.items()}
        self.saved = SweepReader(self.root, fold_rows=by_name["folds.csv"])
        folds = self.saved.folds
        summary = tables.summarise(folds)
        tables.write_summary(summary, self.root)
        if "seconds" in self.plan.search.goals:
            self.note({"pareto": tables.pareto(folds)})
        best = objective.chosen_trial(self.plan, folds, self.saved.measured)
        if best is not None:
            values = {record.number: record.values for record in self.saved.trials}[best]
            plan = self.plan.model_copy(
                update={
                    "name": f"{self.plan.name}-best",
                    "base": configuration(self.plan, values),
                    "space": {},
                    "configurations": (),
                    "search": self.plan.search.model_copy(update={"sampler": "tpe", "storage": None, "study": None}),
                }
            )
            chosen = " ".join(f"trial {best}, chosen by {objective.what_chooses(self.plan)}".split())
            write_whole(self.root / "best.yaml", f"# {chosen}\n{to_yaml(plan)}")
        return summary

    def note(self, facts: Mapping[str, Any]) -> None:
        """Enter facts into sweep.json."""
        self.notes |= facts
        write_whole(self.root / "sweep.json", json.dumps(self.notes, indent=2))

    def _row(self, number: int, values: Mapping[str, Any], outcome: Outcome) -> dict[str, Any]:
        fold, result = outcome.fold, outcome.result
        return {
            "trial": number,
            "config": config_hash(fold.config),
            "category": fold.category,
            "seed": fold.seed,
            "draw": fold.draw,
            "shots": fold.config.shots,
            "head": fold.config.head.kind,
            "accuracy": result.accuracy if result else "",
            "correct": result.correct if result else "",
            "queries": result.queries if result else "",
            "status": "ok" if result else f"failed: {outcome.error}",
            "seconds": round(result.seconds, 3) if result else "",
            **{key: _cell(value) for key, value in values.items()},
        }

    def records(self) -> list[TrialRecord]:
        """Every trial that was proposed, by number."""
        return self.saved.trials

    def _with_say(self) -> pd.DataFrame:
        """Scored folds that have a say, with their score by the objective as their accuracy."""
        return objective.scored(self.plan, self.saved.finished, self.saved.measured)

    def _append(self, name: str, text: str) -> None:
        append(self.root / name, text)
        self.saved = SweepReader(self.root)

    def _keep(self, name: str, columns: list[str], done: set[str]) -> pd.DataFrame:
        """Rewrite a table with the rows of finished trials only; the others' folds are reported again."""
        path = self.root / name
        rows = read_rows(path) if path.exists() else pd.DataFrame(columns=columns)
        kept = rows[rows["trial"].isin(done)]
        _write_rows(path, kept)
        return kept

    def _sort(self, name: str, columns: list[str]) -> pd.DataFrame:
        rows = read_rows(self.root / name)
        rows = rows.assign(**{key: pd.to_numeric(rows[key]) for key in ("trial", "seed", "draw")})
        rows = rows.sort_values(columns[:1] + tables.FOLD, kind="stable")
        _write_rows(self.root / name, rows)
        return rows


def _predictions(number: int, result: FoldResult) -> list[list[Any]]:
    where = [number, result.category, result.seed, result.draw]
    answers = zip(result.images, result.truth, result.predicted, result.scores, strict=True)
    return [
        [*where, image, result.classes[truth], result.classes[predicted], _scores(result.classes, scores)]
        for image, truth, predicted, scores in answers
    ]


def _detection(number: int, result: FoldResult) -> list[Any]:
    measures = (getattr(result, name) for name in tables.DETECTED)
    return [number, result.category, result.seed, result.draw, result.threshold, *measures]


def _scores(classes: tuple[str, ...], scores: tuple[float, ...]) -> str:
    return json.dumps({name: float(f"{score:.6g}") for name, score in zip(classes, scores, strict=True)})


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | tuple | dict | bool) or value is None else value


def _line(record: TrialRecord) -> str:
    entry: dict[str, Any] = {"trial": record.number, "values": record.values}
    if record.started is not None:
        entry["started"] = round(record.started, 3)
    if record.done:
        told = {"done": True, "stopped": record.stopped, "ended": record.ended}
        entry |= {name: value for name, value in told.items() if value is not None}
    return json.dumps(entry) + "\n"


def _csv(rows: Iterable[list[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _write_rows(path: Path, rows: pd.DataFrame) -> None:
    write_whole(path, rows.to_csv(index=False, lineterminator="\n"))
