"""Run of the sweep itself: what it was made with, what came of it, the tables and the report."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from markupsafe import escape as markup
from mlflow.entities import Metric
from mlflow.tracking.context.git_context import GitRunContext
from mlflow.tracking.context.registry import resolve_tags
from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT, MLFLOW_RUN_NOTE

from fsamc.data.credentials import hide_secrets, secret_texts
from fsamc.store.digests import digest, file_digest
from sweeps.finals.final_tables import FINAL_ANSWERS, read_final
from sweeps.plan.settings import Plan
from sweeps.results import tables
from sweeps.results.folder import FIGURES, GALLERY
from sweeps.results.objective import chosen_metrics, what_chooses
from sweeps.results.reader import SweepReader
from sweeps.results.saved_settings import caveats_of
from sweeps.tracking.inputs import categories_of, datasets
from sweeps.tracking.params import Params
from sweeps.tracking.runs import PARENT, Runs, TrackedRun
from sweeps.tracking.trial_run import accuracies
from sweeps.tracking.views import parent_note

DELIVERED = "fsamc.delivered"
_STATUS = {"done": "FINISHED", "failed": "FAILED", "stopped": "FAILED"}  # all others end as killed: there is more to do
_LARGE = ("predictions.csv", "detection.csv", FINAL_ANSWERS)  # what is in them, the trials' runs show


class ParentRun:
    """The parent run of one OUT."""

    def __init__(self, out: Path, plan: Plan) -> None:
        self._out, self._plan = out, plan
        self._opened = False

    @cached_property
    def tags(self) -> dict[str, str]:
        """Tags of every run of the sweep: who delivers it by what, the commit, the packages, the data."""
        notes = self._notes
        tags = {"data_fingerprint": notes.get("fingerprint", ""), "objective": what_chooses(self._plan)}
        tags |= {f"version.{name}": version for name, version in notes.get("versions", {}).items()}
        tags |= {MLFLOW_GIT_COMMIT: notes["commit"]} if notes.get("commit") else {}
        tags |= {"caveats": "; ".join(caveats)} if (caveats := caveats_of(notes)) else {}
        tags |= {"backbone": "; ".join(backbones)} if (backbones := notes.get("backbones")) else {}
        # Not MLflow's git tags: the commit is the sweep's, not the working folder's, and a remote may hold a password.
        return resolve_tags(tags, ignore=[GitRunContext])  # type: ignore[list-item]  # a class, says their docstring

    def open(self, runs: Runs, *, reopen: bool) -> None:
        """Have the run, and have it running where the sweep goes on."""
        if PARENT in runs.by_trial and (self._opened or not reopen):
            return
        note = {MLFLOW_RUN_NOTE: parent_note(self._out, self._plan, None)}
        started = min((record.started for record in SweepReader(self._out).trials if record.started), default=None)
        name = f"{self._plan.name}: {self._out.absolute().name}"
        runs.open(PARENT, name=name, tags=self.tags | note, started=milliseconds(started))
        runs.log(self.run(runs), params=Params(self._plan).of_sweep())
        self._log_inputs(runs)
        self._opened = True

    def run(self, runs: Runs) -> TrackedRun:
        """Return the run, which has been opened."""
        return runs.by_trial[PARENT]

    def close(self, runs: Runs) -> None:
        """Log what was chosen and the files that show it, and close the run, unless all that is there already."""
        run = self.run(runs)
        notes = SweepReader(self._out).notes
        status = _STATUS.get(notes.get("status", ""), "KILLED")
        figures = notes.get(FIGURES, {})
        drawn = [self._out / file for file in figures.get("files", ()) if (self._out / file).exists()]
        mark = digest([status, *((file.name, file_digest(file)) for file in [*self._files(), *drawn])])
        if run.tags.get(DELIVERED) == mark and run.status == status:
            return
        self._log_inputs(runs)
        with tempfile.TemporaryDirectory() as folder:
            runs.log_files(run, self._without_secrets(Path(folder)))
        if (whose := runs.by_trial.get(str(figures.get("trial")))) is not None:
            runs.log_files(whose, drawn, FIGURES)
        saved, ended = SweepReader(self._out), (self._out / "summary.csv").exists()
        chosen = chosen_metrics(saved.board) if ended else {}
        if status != "KILLED":  # else the values may change, and MLflow would keep both
            runs.log(run, metrics=self._metrics(chosen, saved))
        best = int(chosen["best_trial"]) if chosen else None
        runs.tag(run, {MLFLOW_RUN_NOTE: parent_note(self._out, self._plan, best), DELIVERED: mark})
        runs.close(run, status, _ended(self._out))

    def _metrics(self, chosen: Mapping[str, float], saved: SweepReader) -> list[Metric]:
        """Return what was chosen, and the best trial's accuracies under the names that they have in its own run.

        Their step is the number of trials that were chosen among: a sweep that goes on has others.
        """
        among = sum(record.done for record in saved.trials)
        at, folds = _ended(self._out) or 0, saved.folds
        of_best = (
            accuracies(tables.averages_of(folds[folds["trial"] == chosen["best_trial"]]), at, among) if chosen else []
        )
        numbers = {**chosen, **_recommended(saved, chosen)}
        return [*of_best, *(Metric(name, value, at, among) for name, value in numbers.items())]

    def _log_inputs(self, runs: Runs) -> None:
        runs.log_inputs(self.run(runs), datasets(self._out, categories_of(self._out), textures=True))

    @cached_property
    def _notes(self) -> dict[str, Any]:
        return SweepReader(self._out).shown_notes

    def _files(self) -> list[Path]:
        files = [*self._out.glob("*.yaml"), *self._out.glob("*.csv"), self._out / "report.html", self._out / GALLERY]
        return sorted(file for file in files if file.exists() and file.name not in _LARGE)

    def _without_secrets(self, folder: Path) -> Iterator[Path]:
        """Yield the files; of one that holds a secret of sweep.json, as reports of earlier versions do, a copy."""
        texts = secret_texts(SweepReader(self._out).notes)
        secrets = re.compile("|".join(re.escape(form) for text in texts for form in (str(markup(text)), text)) or "$^")
        for file in self._files():
            text = file.read_text() if texts else ""
            if secrets.search(text):
                (folder / file.name).write_text(secrets.sub(lambda match: hide_secrets(match[0]), text))
                yield folder / file.name
            else:
                yield file


def _recommended(saved: SweepReader, chosen: Mapping[str, float]) -> dict[str, float]:
    """Return the trial in best.yaml, and of a final its accuracy there with the ends of its interval."""
    recommended = saved.recommended if chosen else None
    if recommended is None:
        return {}
    final, numbers = read_final(saved.out, saved.notes), {"recommended_trial": float(recommended.trial)}
    if final is None or (number := final.of(recommended.trial)) is None:
        return numbers
    return numbers | {"final_accuracy": number.mean, "final_low": number.low, "final_high": number.high}


def milliseconds(seconds: float | None) -> int | None:
    """Convert seconds since 1970 to what MLflow counts."""
    return None if seconds is None else int(seconds * 1000)


def _ended(out: Path) -> int | None:
    """Return when the last trial came to its end, in ms since 1970."""
    return milliseconds(max((record.ended for record in SweepReader(out).trials if record.ended), default=None))
