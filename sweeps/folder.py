"""OUT, the folder of one sweep: what is written to it, whole rows at a time, and what a resumed sweep reads back."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from cluster.runtime import Outcome
from fsamc.config import Plan
from fsamc.errors import BadInput
from fsamc.result import FoldResult
from sweeps import tables
from sweeps.plan import config_hash, configuration, plan_hash, to_yaml

PREDICTIONS = ["trial", "category", "seed", "draw", "image", "truth", "predicted", "scores"]


@dataclass
class TrialRecord:
    """One trial as proposed; `done` once all its folds have been reported."""

    number: int
    values: dict[str, Any]
    done: bool = False


class SweepFolder:
    """Writes OUT and reads it back. Rows are appended as folds finish, and sorted when the sweep ends."""

    def __init__(self, root: Path, plan: Plan) -> None:
        self.root = root
        self.plan = plan
        self._columns = list(dict.fromkeys([*tables.FIXED, *plan.space]))

    def open(self, fingerprint: str) -> list[TrialRecord]:
        """Start or continue the sweep: the trials that were proposed before, with their reported folds kept."""
        self.root.mkdir(parents=True, exist_ok=True)
        _write(self.root / "plan.yaml", to_yaml(self.plan))
        _write(self.root / "identity.json", json.dumps({"plan": plan_hash(self.plan), "data": fingerprint}))
        records = self.records()
        done = {record.number for record in records if record.done}
        self._keep("folds.csv", self._columns, done)
        self._keep("predictions.csv", PREDICTIONS, done)
        return records

    def proposed(self, record: TrialRecord) -> None:
        """Note a new trial before it starts, so that a resumed sweep asks the same."""
        self._log({"trial": record.number, "values": record.values})

    def done(self, number: int) -> None:
        """Note that all of a trial's folds have been reported."""
        self._log({"trial": number, "done": True})

    def fold(self, number: int, values: Mapping[str, Any], outcome: Outcome) -> dict[str, Any]:
        """Append a finished fold's row and its predictions; the row."""
        row = self._row(number, values, outcome)
        if outcome.result is not None:
            self._append("predictions.csv", _predictions(number, outcome.result))
        self._append("folds.csv", [[row[name] for name in self._columns]])
        return row

    def has_rows(self) -> bool:
        """Whether any fold was scored."""
        return not tables.finished(tables.read_folds(self.root)).empty

    def averages(self) -> dict[int, float]:
        """Average accuracy of every finished trial, over its own categories."""
        folds = tables.finished(tables.read_folds(self.root))
        per_category = folds.groupby(["trial", "category"])["accuracy"].mean()
        return {int(str(trial)): float(mean) for trial, mean in per_category.groupby("trial").mean().items()}

    def finish(self) -> pd.DataFrame:
        """Sort the tables, write summary.csv and best.yaml; the summary."""
        for name, columns in (("folds.csv", self._columns), ("predictions.csv", PREDICTIONS)):
            rows = tables.read_rows(self.root / name)
            rows = rows.assign(**{key: pd.to_numeric(rows[key]) for key in ("trial", "seed", "draw")})
            _write_rows(self.root / name, rows.sort_values(columns[:1] + tables.FOLD, kind="stable"))
        folds = tables.read_folds(self.root)
        summary = tables.summarise(folds)
        tables.write_summary(summary, self.root)
        best = tables.best_trial(folds)
        if best is not None:
            values = {record.number: record.values for record in self.records()}[best]
            base = configuration(self.plan, values)
            plan = self.plan.model_copy(update={"name": f"{self.plan.name}-best", "base": base, "space": {}})
            _write(self.root / "best.yaml", to_yaml(plan))
        return summary

    def facts(self, facts: Mapping[str, Any]) -> None:
        """Write sweep.json: what was spent, what to beware of."""
        _write(self.root / "sweep.json", json.dumps(dict(facts), indent=2))

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
        records: dict[int, TrialRecord] = {}
        path = self.root / "trials.jsonl"
        for line in path.read_text().splitlines() if path.exists() else []:
            try:
                entry = json.loads(line)
            except ValueError:  # torn by a kill: the trial is proposed again
                continue
            if entry.get("done"):
                records[entry["trial"]].done = True
            else:
                records[entry["trial"]] = TrialRecord(entry["trial"], entry["values"])
        return [records[number] for number in sorted(records)]

    def _keep(self, name: str, columns: list[str], done: set[int]) -> None:
        """Rewrite a table with the rows of finished trials only; the others' folds are reported again."""
        path = self.root / name
        rows = tables.read_rows(path) if path.exists() else pd.DataFrame(columns=columns)
        _write_rows(path, rows[rows["trial"].isin({str(number) for number in done})])

    def _append(self, name: str, rows: list[list[Any]]) -> None:
        with (self.root / name).open("a", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)

    def _log(self, entry: Mapping[str, Any]) -> None:
        with (self.root / "trials.jsonl").open("a") as file:
            file.write(json.dumps(entry) + "\n")


def check_resumable(out: Path, plan: Plan, fingerprint: str, mode: str) -> None:
    """Raise BadInput where `--resume MODE` does not go with what OUT holds, or OUT cannot be written to."""
    file = out / "identity.json"
    if not file.exists():
        if mode == "must":
            raise BadInput(f"{out}: holds no sweep to resume; leave out --resume must, or give its folder")
        if out.is_dir() and any(out.iterdir()):
            raise BadInput(f"{out}: is not empty and holds no sweep; choose another folder for the results")
        return
    if mode == "never":
        raise BadInput(f"{out}: holds a sweep already; choose another folder, or --resume auto to continue it")
    was = json.loads(file.read_text())
    if was["data"] != fingerprint:
        raise BadInput(f"{out}: the sweep there ran on other images or textures; choose another folder")
    if was["plan"] != plan_hash(plan):
        raise BadInput(
            f"{out}: the sweep there has another plan ({_difference(out, plan)}); choose another folder or restore it"
        )


def check_writable(out: Path) -> None:
    """Raise BadInput if OUT cannot be made or written to; leaves nothing behind."""
    there = next(path for path in (out, *out.absolute().parents) if path.exists())
    try:
        if not there.is_dir():
            raise NotADirectoryError(f"{there} is a file")
        probe = there / f".{out.name}.probe"
        probe.write_bytes(bytes(4096))
        probe.unlink()
    except OSError as error:
        raise BadInput(f"{out}: cannot be written to ({error.strerror or error}); choose another folder") from error


def _difference(out: Path, plan: Plan) -> str:
    """The first dotted key in which the plan in OUT and this one differ."""
    from fsamc.config.dotted import flatten

    old = flatten(yaml.safe_load((out / "plan.yaml").read_text()))
    new = flatten(yaml.safe_load(to_yaml(plan)))
    for key in [*new, *old]:
        if old.get(key) != new.get(key) and not key.startswith(("resources.workers", "resources.folds_at_once")):
            return f"{key} was {old.get(key)!r} and is {new.get(key)!r}"
    return "its settings differ"


def _predictions(number: int, result: FoldResult) -> list[list[Any]]:
    where = [number, result.category, result.seed, result.draw]
    answers = zip(result.images, result.truth, result.predicted, result.scores, strict=True)
    return [
        [*where, image, result.classes[truth], result.classes[predicted], _scores(result.classes, scores)]
        for image, truth, predicted, scores in answers
    ]


def _scores(classes: tuple[str, ...], scores: tuple[float, ...]) -> str:
    return json.dumps({name: float(f"{score:.6g}") for name, score in zip(classes, scores, strict=True)})


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | tuple | dict | bool) or value is None else value


def _write(path: Path, text: str) -> None:
    """Write whole or not at all."""
    beside = path.with_name(f"{path.name}.part")
    beside.write_text(text)
    beside.replace(path)


def _write_rows(path: Path, rows: pd.DataFrame) -> None:
    _write(path, rows.to_csv(index=False, lineterminator="\n"))
