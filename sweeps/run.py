"""Run of a sweep that was checked: its trials, its tables, its report."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from typing import Any

import pandas as pd
import ray
from ray.exceptions import RayError

from cluster.fold_service import FoldRunner
from cluster.folds import Fold, Materials, Outcome, find_outcome
from cluster.runtime import running
from fsamc.store.digests import digest
from fsamc.store.store import Store
from sweeps import tracking
from sweeps.best_trial import BestTrial
from sweeps.checks.pictures import remember_pictures
from sweeps.checks.resources import start_ray, working_set
from sweeps.errors import Unfinished
from sweeps.final_round import FinalRound
from sweeps.finals.final_tables import final_line
from sweeps.finals.finalists import final_of
from sweeps.plan.configurations import configuration
from sweeps.progress.counter import SweepProgress
from sweeps.progress.events import Done, Finishing, Noted, ProgressView
from sweeps.progress.summary import labels_of, mlflow_lines, show_results
from sweeps.request import CheckedRequest
from sweeps.results.folder import SweepFolder
from sweeps.results.identity import end_extension
from sweeps.results.reader import TrialRecord
from sweeps.results.splits import Split, lost_query_lines, splits, write_splits
from sweeps.results.usage import Usage, builds_by_kind, builds_since, folds_saved
from sweeps.search import Home, Proposer, make_proposer
from sweeps.tracking.uri import obstacle
from sweeps.trials.blocks import blocks_of, by_block, passes
from sweeps.trials.interrupts import BUDGET, Interrupts
from sweeps.trials.monitor import Monitor, tree_memory
from sweeps.trials.recorder import Recorder
from sweeps.trials.status import MEND, sweep_status
from sweeps.trials.stopping import EarlyStopping, fold_place
from sweeps.trials.trial import PlanSearch
from sweeps.trials.tuner import run_trials


class SweepRun:
    """One run of a sweep, new or resumed. A Ray that is not up is started where there is something to run on it."""

    def __init__(self, checked: CheckedRequest, interrupts: Interrupts, view: ProgressView) -> None:
        self.checked, self.interrupts, self.view, self.console = checked, interrupts, view, view.console
        self.request, self.prepared, self.plan = checked.request, checked.prepared, checked.prepared.plan
        self.out, self.cache = checked.request.out, checked.places.cache
        self._plan_memory()
        self.n_folds = len(self.prepared.folds(self.plan.base))
        self.stopping = EarlyStopping(self.plan, folds=self.n_folds, averaged=self.prepared.averaged)
        self.folder = SweepFolder(self.out, self.plan)
        self.records = self.folder.open(
            self.prepared.contents,
            self.prepared.averaged,
            extending=self.request.extend,
            mode=self.request.resume,
            find=self._find,
        )
        self.store = Store(self.cache, run=self.folder.run)
        self.built_before = builds_by_kind(self.store)
        self.usage = Usage.going_on(self.folder.notes, started=interrupts.started)

    @cached_property
    def proposer(self) -> Proposer:
        """Search, with the study that outlives this run."""
        return make_proposer(self.plan, Home(out=self.out, run=self.folder.run, data=self.prepared.fingerprint))

    @cached_property
    def splits(self) -> list[Split]:
        """Support, queries and what is neither, of every fold."""
        return splits(self.prepared)

    def run(self) -> None:
        """Run what is left to run. Raises Unfinished if something still is afterwards."""
        try:
            self._run()
        except Exception as error:
            if (reason := obstacle(error)) is None:
                raise
            raise Unfinished(f"{reason}; {MEND}") from error

    def _run(self) -> None:
        for line in self.folder.repairs():
            self.view.tell(Noted(text=line))
        remember_pictures(self.prepared.examined, self.store)
        final = final_of(self.prepared)
        write_splits([*self.splits, *(splits(final) if final else [])], self.out)
        self._replay()
        self._note("running")
        uri = None if self.request.offline else self.checked.runs_at
        with tracking.MlflowSync(self.out, self.plan, uri) as mlflow_sync:
            progress = SweepProgress.of(
                self.view, self.prepared, self.proposer, self.folder, cache=self.cache, workers=self.checked.workers
            )
            with progress:
                recorder = Recorder(self.folder, progress, self.proposer, self.usage, self.stopping)
                if self.stopping.left(self.proposer) or not all(record.done for record in self.records):
                    self._have_ray()
                    self._run_trials(recorder, progress)
            self._finish(recorder, mlflow_sync, progress)

    def _have_ray(self) -> None:
        if not ray.is_initialized():
            with self.console.status("starting Ray"):
                start_ray(self.plan, self.checked.workers)
            self._plan_memory()

    def _plan_memory(self) -> None:
        self.working_set = working_set(self.plan)
        self.blocks = blocks_of(self.prepared, self.working_set)

    def _replay(self) -> None:
        """Tell the search, and whatever stops trials early, what earlier runs of this sweep found."""
        scores, by_fold, standings = self.folder.scores(), self.folder.fold_scores(), self.stopping.standings
        done = [record for record in self.records if record.done]
        for record in done:
            self.stopping.replay(record, self._folds(record.values), by_fold.get(record.number, {}))
        for record in self.records:
            self.proposer.replay(record.number, record.values)
            score = scores.get(record.number, {})
            if record.estimate is not None:
                folds = standings.by_place(record.number)
                self.proposer.prune(record.number, record.estimate, folds=folds, seconds=score.get("seconds"))
            elif record.done:
                self.proposer.tell(record.number, score.get("mean"), seconds=score.get("seconds"), std=score.get("std"))
        if not self.records and not self.proposer.left():
            self.console.print(self.proposer.notice(), soft_wrap=True, highlight=False, markup=False)

    def _run_trials(self, recorder: Recorder, progress: SweepProgress) -> None:
        search = PlanSearch(
            waiting=[record for record in self.records if not record.done],
            propose=recorder.propose,
            folds=self._folds,
            passes=passes(self.prepared, self.blocks),
            enter=self.stopping.enter,
            halted=lambda: self.interrupts.requested or self.stopping.over(),
            waits=self.stopping.waits,
        )
        with (
            running(self._materials()) as runner,
            self.interrupts.ending(lambda: self._end(runner)),
            Monitor(lambda: self._look(runner, progress)),
        ):
            run_trials(
                search,
                recorder,
                self.stopping,
                self.plan,
                runner=runner,
                workers=self.checked.workers,
                folds=self.n_folds,
                left=self.proposer.count() - sum(record.done for record in self.records),
                scratch=self.out / ".tune",
                now=lambda: self.interrupts.now,
            )

    def _run_final(self) -> tuple[str, str]:
        """Score the best trials on what was held out; return the sweep's status and what is left, if anything is."""
        final = FinalRound(folder=self.folder, prepared=self.prepared, shared=self._materials())
        if final.is_over():
            return "done", ""
        self._have_ray()
        with self.console.status("the final") as shown:
            return final.run(self.usage, self.interrupts, tell=shown.update)

    def _end(self, runner: FoldRunner) -> None:
        running = 0
        with suppress(RayError):  # the fold service is starting again: nothing runs
            running = runner.halt(timeout=10)
        self.view.tell(Finishing(reason=self.interrupts.reason, folds=running))

    def _materials(self) -> Materials:
        return self.checked.shared(run=self.folder.run, working_set=self.working_set)

    def _look(self, runner: FoldRunner, progress: SweepProgress) -> None:
        self.usage.peak_memory = max(self.usage.peak_memory, tree_memory())
        with suppress(RayError):  # the fold service is starting again, or is busy
            if self.interrupts.requested:
                runner.halt(timeout=5)  # one that has started again has not heard of it
            progress.builds(runner.under_way(timeout=5), builds_since(self.built_before, self.store))

    def _finish(self, recorder: Recorder, mlflow_sync: tracking.MlflowSync, progress: SweepProgress) -> None:
        """Write the tables and the report, and say where they are; raise Unfinished if there is cause."""
        status, reason = self._status(recorder)
        if status == "done":
            status, reason = self._run_final()
        self._note(status)
        summary = self.folder.finish(final_line(self.out)) if self.folder.has_rows() else None
        if summary is not None and status in ("done", "failed"):
            self._make_of_best()
        if summary is not None and status != "stopped" and not self.interrupts.now:
            with self.console.status("writing the report"):
                from sweeps.report.write import write_report  # here, because it loads Matplotlib

                write_report(self.out)
        with self.console.status("delivering the rest to MLflow"):
            undelivered = mlflow_sync.finish(patient=status in ("done", "failed"))
        delivered = self.request.fit and mlflow_sync.page and not undelivered
        models = self._best.register_classifiers(self.checked.runs_at) if delivered else []
        labels = labels_of(self.plan, self.folder.records())
        if summary is not None:
            show_results(
                self.folder,
                self.prepared,
                summary,
                labels=labels,
                usage=self.usage,
                builds=builds_by_kind(self.store),
                mlflow=[*mlflow_lines(self.out, self.checked.runs_at, mlflow_sync.page, undelivered), *models],
                console=self.console,
            )
        if status == "done":
            end_extension(self.out)
            self.folder.note({})  # which holds a copy of the identity
        names = ("folds.csv", "summary.csv", "final.csv", "best.yaml", "report.html")
        results = {path.stem: str(path) for name in names if (path := self.out / name).exists()}
        done = Done(
            name=self.plan.name,
            status=status,
            reason=reason,
            counts=progress.counts,
            best=progress.best,
            seconds=round(self.usage.seconds, 1),
            summary=summary,
            labels=labels,
            caveats=self.prepared.caveats,
            files=results | {"mlflow": self.checked.runs_at},
        )
        self.view.tell(done)
        if reason and status != "paused":
            raise Unfinished(reason)

    @cached_property
    def _best(self) -> BestTrial:
        return BestTrial(self.folder, self.prepared, self._materials(), self.console, self._have_ray)

    def _make_of_best(self) -> None:
        made = [self.request.figures and self._best.draw_figures(), self.request.fit and self._best.fit_classifiers()]
        if any(made):
            self.folder.note(self.usage.notes())

    def _status(self, recorder: Recorder) -> tuple[str, str]:
        """Return the sweep's status, and what is left to do; nothing where it is done."""
        return sweep_status(
            [record for record in self.folder.records() if self._folds(record.values)],
            recorder.ended,
            all_proposed=not self.stopping.left(self.proposer),
            trials=self.proposer.count(),
            stopped_by=recorder.stopped_by,
            budget_spent=self.interrupts.reason == BUDGET,
        )

    def _folds(self, values: Mapping[str, Any]) -> list[Fold]:
        return by_block(self.stopping.order(values, self.prepared.folds(configuration(self.plan, values))), self.blocks)

    def _find(self, record: TrialRecord) -> list[Outcome] | None:
        """Return what the stores have of a finished trial; None where a fold is missing."""
        folds = [fold for fold in self._folds(record.values) if not record.folds or fold_place(fold) in record.folds]
        shared = self._materials()
        outcomes = [outcome for fold in folds if (outcome := find_outcome(fold, shared)) is not None]
        return outcomes if len(outcomes) == len(record.folds or folds) else None

    def _saved(self) -> dict[str, int]:
        planned = {one.number: len(self._folds(one.values)) for one in self.folder.records() if one.stopped}
        rows = self.folder.saved.folds if self.folder.has_rows() else pd.DataFrame({"trial": []})
        spared = self.proposer.left() - self.stopping.left(self.proposer)
        return folds_saved(planned, rows.groupby("trial").size().to_dict(), spared=spared, folds=self.n_folds)

    def _note(self, status: str) -> None:
        """Write sweep.json."""
        builds = builds_by_kind(self.store)
        self.folder.note(
            {
                "name": self.plan.name,
                "run": self.folder.run,
                "status": status,
                "warnings": [*self.prepared.warnings, *lost_query_lines(self.splits)],
                "builds": {kind: count for kind, (count, _) in builds.items()},
                "build_seconds": {kind: round(seconds, 2) for kind, (_, seconds) in builds.items()},
                "trials": len(self.folder.records()),
                "versions": tracking.installed_versions(),
                "commit": tracking.commit(),
                "support": digest((self.out / "support.csv").read_text(encoding="utf-8")),
                "tracking_uri": self.checked.runs_at,
                "offline": self.request.offline,
                "materials": self.checked.materials,
                **self.prepared.notes,
                **self._saved(),
                **self.usage.notes(),
            }
        )
