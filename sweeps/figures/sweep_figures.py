"""Figures of a sweep: whose are drawn and where they are noted: the trial, sweep.json, MLflow, the report."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.folds import Fold, Materials
from fsamc.data.remote import Source
from fsamc.errors import BadInput
from fsamc.store.store import Store
from sweeps.checks.prepare import Prepared, prepare
from sweeps.checks.resources import resolve_resources
from sweeps.errors import Unfinished
from sweeps.figures.trial_figures import Draw, draw_here, first_folds, write_figures
from sweeps.plan.configurations import configuration
from sweeps.plan.load import load_plan
from sweeps.plan.settings import Plan
from sweeps.results.folder import FIGURES, SweepFolder
from sweeps.results.identity import check_resumable
from sweeps.results.lock import lock
from sweeps.results.objective import chosen_trial
from sweeps.results.reader import SweepReader
from sweeps.results.saved_settings import read_saved_settings, saved_changes
from sweeps.tracking import track


@dataclass(frozen=True, kw_only=True)
class SweepFigures:
    """The figures of one sweep.

    Attributes:
        folder: OUT.
        shared: what folds read.
    """

    folder: SweepFolder
    prepared: Prepared
    shared: Materials

    def best(self) -> int | None:
        """Return the trial that the objective chose; none where the trials share no category, or no fold was scored."""
        saved = self.folder.saved
        return chosen_trial(self.folder.plan, saved.folds, saved.measured) if self.folder.has_rows() else None

    def drawn(self, trial: int) -> bool:
        """Whether this trial's figures are there already."""
        kept = self.folder.notes.get(FIGURES, {})
        return kept.get("trial") == trial and all((self.folder.root / file).exists() for file in kept["files"])

    def record(self, trial: int, draw: Draw) -> dict[str, Any]:
        """Draw a trial's figures and note them in sweep.json, whence they are delivered to its run.

        Returns what is noted: `trial`, `files` relative to OUT, `without`: by category why it has none, `seconds`.
        """
        started = time.monotonic()
        files, without = write_figures(self._folds(trial), self.shared, self.folder.root, draw)
        seconds = round(time.monotonic() - started, 1)
        names = [file.relative_to(self.folder.root).as_posix() for file in files]
        noted = {"trial": trial, "files": names, "without": without, "seconds": seconds}
        self.folder.note({FIGURES: noted})
        return noted

    def _folds(self, trial: int) -> Sequence[Fold]:
        records = {record.number: record for record in self.folder.records()}
        if trial not in records:
            numbers = f"0 to {max(records)}" if records else "none yet"
            raise BadInput(f"--trial {trial}: {self.folder.root} has trials {numbers}; give one of these")
        return first_folds(self.prepared.folds(configuration(self.folder.plan, records[trial].values)))


def figures_line(folder: SweepFolder) -> list[str]:
    """Say where a sweep's figures are, or how to draw some."""
    noted = folder.notes.get(FIGURES)
    if not noted:
        return [f"figures  fsamc figures {shlex.quote(str(folder.root))}"]
    return [f"figures  {folder.root / FIGURES} (trial {noted['trial']}, {noted['seconds']:.0f} s)"]


def redraw(
    out: Path, *, trial: int | None, data: Source | None, textures: Source | None, cache: Path | None
) -> list[Path]:
    """Draw the figures of a trial of the sweep in `out`, by default the best, and write the report anew.

    `data`, `textures` and `cache` are by default those that the sweep ran on.

    Raises:
        BadInput: `out` holds no sweep with finished folds, no such trial, the data are others, or a sweep writes to it.
        Unfinished: the figures are drawn, and could not be delivered to MLflow.
    """
    figures = _open(out, data=data, textures=textures, cache=cache)
    with lock(out):
        check_resumable(out, figures.prepared.plan, figures.prepared.contents, "must")  # a sweep may have been there
        figures.folder.notes = SweepReader(out).notes
        chosen = figures.best() if trial is None else trial
        if chosen is None:
            raise BadInput(f"{out}: has no best trial to draw; give one by --trial, or resume the sweep")
        noted = figures.record(chosen, draw_here)
        from sweeps.report.write import write_report  # here, because it loads Matplotlib

        write_report(out)
    if not figures.folder.notes.get("offline"):
        _deliver(out)
    return [out / name for name in noted["files"]]


def _deliver(out: Path) -> None:
    try:
        track(out, None)
    except (BadInput, Unfinished) as error:
        raise Unfinished(
            f"the figures are in {out / FIGURES}, and not in MLflow: {error}; then: fsamc track {shlex.quote(str(out))}"
        ) from None


def _open(out: Path, *, data: Source | None, textures: Source | None, cache: Path | None) -> SweepFigures:
    kept, notes = read_saved_settings(out), SweepReader(out).notes
    plan, workers = resolve_resources(_plan(out), None)
    where, store = data or kept.data, cache or kept.cache
    if where is None or store is None:
        missing = " and ".join(name for name, path in (("--data", where), ("--cache", store)) if path is None)
        raise BadInput(f"{out}: does not say what the sweep ran on; give {missing}")
    device = "cuda" if plan.resources.gpus else "cpu"
    prepared = prepare(plan, data=where, textures=textures or kept.textures, store=Store(store), device=device)
    check_resumable(out, prepared.plan, prepared.contents, "must")
    folder = SweepFolder(out, prepared.plan)
    folder.run, folder.notes = str(notes.get("run")), notes
    shared = Materials(
        categories=prepared.categories,
        textures=prepared.textures,
        store=store,
        results=(store,),
        run=folder.run,
        gpus=float(plan.resources.gpus),
        workers=workers,
    )
    return SweepFigures(folder=folder, prepared=prepared, shared=shared)


def _plan(out: Path) -> Plan:
    if not (out / "plan.yaml").exists():
        raise BadInput(f"{out}: holds no sweep (no plan.yaml); give the folder of results of one")
    return load_plan(str(out / "plan.yaml"), saved_changes(read_saved_settings(out)))
