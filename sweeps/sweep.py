"""A sweep from the command line's words to the table: check, start, run, write down."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property

import pandas as pd
import ray
from ray.exceptions import RayError
from rich.console import Console

from cluster import runtime
from cluster.fold_service import FoldRunner
from cluster.folds import Fold, Materials
from fsamc.data.remote import Address
from fsamc.fold.config import FoldConfig
from fsamc.store.store import Store
from sweeps import tracking
from sweeps.checks.prepare import Prepared, remember_checks
from sweeps.checks.resources import working_set
from sweeps.errors import Unfinished
from sweeps.figures.record import Gallery
from sweeps.figures.trial_figures import draw_on_ray
from sweeps.plan.load import configuration
from sweeps.progress.counter import SweepProgress, announce
from sweeps.progress.events import Noted, View
from sweeps.progress.lines import make_view
from sweeps.progress.summary import labels_of, mlflow_lines, show_results
from sweeps.request import Request, check
from sweeps.results.folder import SweepFolder
from sweeps.results.identity import end_extension
from sweeps.results.lock import lock
from sweeps.results.reader import TrialRecord
from sweeps.results.splits import lost_query_lines, splits, write_splits
from sweeps.results.usage import Usage, builds_by_kind, builds_since, folds_saved
from sweeps.search import Proposer, make_proposer
from sweeps.tracking.uri import obstacle
from sweeps.trials.blocks import blocks_of, by_block, passes
from sweeps.trials.interrupts import BUDGET, Interrupts
from sweeps.trials.monitor import Monitor, tree_memory
from sweeps.trials.recorder import Recorder
from sweeps.trials.status import MEND, sweep_status
from sweeps.trials.stopping import EarlyStopping
from sweeps.trials.trial import PlanSearch
from sweeps.trials.tuner import run_trials


def run_sweep(request: Request, console: Console) -> None:
    """Run a sweep and write its results.

    A Ray that is up in this process already is used, and stays up.

    Raises:
        BadInput: before anything is written.
        Unfinished: a fold failed, the sweep was interrupted, or it could not go on.
    """
    started = time.monotonic()
    view, found_up = make_view(request.view, console), ray.is_initialized()
    try:
        with view.console.status("checking the plan, the images and the backbone"):
            prepared, workers = check(request)
        plan, proposer = prepared.plan, make_proposer(prepared.plan)
        announce(prepared, proposer, out=request.out, view=view)
        if notice := proposer.notice():
            view.tell(Noted(text=notice))
        if request.dry_run:
            from sweeps.estimate.dry_run import dry_run  # here, because it loads torch

            dry_run(request, prepared, proposer, workers=workers, console=console)
        else:
            with view.console.status("starting Ray"):
                if not ray.is_initialized():
                    runtime.start(None, cpus=workers * plan.resources.cpus, gpus=float(plan.resources.gpus))
            with lock(request.out), Interrupts(request.time_budget, started=started) as interrupts:
                _Sweep(request, prepared, interrupts, workers=workers, view=view).run()
    finally:
        if not found_up:
            ray.shutdown()


class _Sweep:
    """One run of a sweep, new or resumed, on a Ray that is up."""

    def __init__(
        self, request: Request, prepared: Prepared, interrupts: Interrupts, *, workers: int, view: View
    ) -> None:
        self.request, self.prepared, self.interrupts = request, prepared, interrupts
        self.view, self.console = view, view.console
        self.plan = prepared.plan
        self.workers = workers
        self.folder = SweepFolder(request.out, self.plan)
        self.records = self.folder.open(prepared.contents, extending=request.extend or None)
        self.store = Store(request.cache, run=self.folder.run)
        self.built_before = builds_by_kind(self.store)
        self.usage = Usage.going_on(self.folder.notes)
        self.working_set = working_set(self.plan)
        self.stopping = EarlyStopping(self.plan, folds=self._n_folds(self.plan.base))

    @cached_property
    def proposer(self) -> Proposer:
        """The search, with the study that outlives this run."""
        return make_proposer(self.plan, self.request.home(self.folder.run, self.prepared.fingerprint))

    def run(self) -> None:
        """Run what is left to run. Raises Unfinished if something still is afterwards."""
        try:
            self._run()
        except Exception as error:
            if (reason := obstacle(error)) is None:
                raise
            raise Unfinished(f"{reason}; {MEND}") from error

    def _run(self) -> None:
        remember_checks(self.prepared, self.store)
        write_splits(splits(self.prepared), self.request.out)
        self._replay()
        self._note("running")
        uri = None if self.request.offline else self.request.runs_at
        with tracking.MlflowSync(self.request.out, self.plan, uri) as courier:
            progress = SweepProgress.of(
                self.view, self.prepared, self.proposer, self.folder, cache=self.request.cache, workers=self.workers
            )
            with progress:
                recorder = Recorder(self.folder, progress, self.proposer, self.usage, self.stopping)
                self._run_trials(recorder, progress)
            self._finish(recorder, courier, progress)

    def _replay(self) -> None:
        """Tell the search, and whatever stops trials early, what earlier runs of this sweep found."""
        scores, by_fold = self.folder.scores(), self.folder.fold_scores()
        done = [record for record in self.records if record.done]
        for record in done:
            self.stopping.replay(record.number, self._folds(record), by_fold.get(record.number, {}))
        for record in self.records:
            self.proposer.replay(record.number, record.values)
            found = scores.get(record.number, {})
            if record.stopped:
                estimate = self.stopping.standings.estimate(record.number)
                self.proposer.tell(record.number, estimate, seconds=found.get("seconds"))
            elif record.done:
                self.proposer.tell(record.number, found.get("mean"), seconds=found.get("seconds"), std=found.get("std"))
        if not self.records and not self.proposer.left():
            self.console.print(self.proposer.notice(), soft_wrap=True, highlight=False, markup=False)

    def _run_trials(self, recorder: Recorder, progress: SweepProgress) -> None:
        blocks = blocks_of(self.prepared, self.working_set)
        search = PlanSearch(
            waiting=[record for record in self.records if not record.done],
            propose=recorder.propose,
            folds=lambda values: by_block(self.prepared.folds(configuration(self.plan, values)), blocks),
            passes=passes(self.prepared, blocks),
            halted=lambda: self.interrupts.asked,
        )
        with (
            self._runner() as runner,
            self.interrupts.ending(lambda: self._end(runner, progress)),
            Monitor(lambda: self._look(runner, progress)),
        ):
            run_trials(
                search,
                recorder,
                self.stopping,
                self.plan,
                runner=runner,
                workers=self.workers,
                folds=self._n_folds(self.plan.base),
                left=self.proposer.count() - sum(record.done for record in self.records),
                scratch=self.request.out / ".tune",
                now=lambda: self.interrupts.now,
            )

    @contextmanager
    def _runner(self) -> Iterator[FoldRunner]:
        """What runs folds, for as long as there are trials."""
        runner = FoldRunner.start(self._materials())
        try:
            yield runner
        finally:
            with suppress(RayError):  # Ray has gone, and with it the keeper
                runner.stop()

    def _end(self, runner: FoldRunner, progress: SweepProgress) -> None:
        running = 0
        with suppress(RayError):  # the keeper is starting again: nothing runs
            running = runner.halt(timeout=10)
        progress.finishing(self.interrupts.reason, running)

    def _materials(self) -> Materials:
        cache, own = self.request.cache.absolute(), (self.request.out / ".folds").absolute()
        return Materials(
            categories=self.prepared.categories,
            textures=self.prepared.textures,
            store=cache,
            results=(cache, own) if self.request.reuse else (own,),
            run=self.folder.run,
            gpus=float(self.plan.resources.gpus),
            workers=self.workers,
            working_set=self.working_set,
        )

    def _look(self, runner: FoldRunner, progress: SweepProgress) -> None:
        self.usage.peak_memory = max(self.usage.peak_memory, tree_memory())
        with suppress(RayError):  # the keeper is starting again, or is busy
            if self.interrupts.asked:
                runner.halt(timeout=5)  # one that has started again has not heard of it
            progress.builds(runner.under_way(timeout=5), builds_since(self.built_before, self.store))

    def _finish(self, recorder: Recorder, courier: tracking.MlflowSync, progress: SweepProgress) -> None:
        """Write the tables and the report, and say where they are; raise Unfinished if there is cause."""
        status, reason = self._status(recorder)
        self._note(status)
        summary = self.folder.finish() if self.folder.has_rows() else None
        if summary is not None and status in ("done", "failed"):
            self._draw_figures()
        if summary is not None and status != "stopped" and not self.interrupts.now:
            with self.console.status("writing the report"):
                from sweeps.report.write import write_report  # here, because it loads Matplotlib

                write_report(self.request.out)
        with self.console.status("delivering the rest to MLflow"):
            undelivered = courier.finish(patient=status in ("done", "failed"))
        labels = labels_of(self.plan, self.folder.records())
        if summary is not None:
            show_results(
                self.folder,
                self.prepared,
                summary,
                labels=labels,
                usage=self.usage,
                builds=builds_by_kind(self.store),
                mlflow=mlflow_lines(self.request.out, self.request.runs_at, courier.page, undelivered),
                console=self.console,
            )
        if status == "done":
            end_extension(self.request.out)
        results = {path.stem: str(path) for name in _RESULTS if (path := self.request.out / name).exists()}
        progress.done(
            status,
            reason,
            summary,
            labels=labels,
            caveats=self.prepared.caveats,
            seconds=self.usage.seconds,
            files=results | {"mlflow": self.request.runs_at},
        )
        if reason and status != "paused":
            raise Unfinished(reason)

    def _draw_figures(self) -> None:
        """Draw the best trial's figures, once: a resumed sweep with the same best trial has them."""
        gallery = Gallery(folder=self.folder, prepared=self.prepared, shared=self._materials())
        best = gallery.best() if self.request.figures else None
        if best is None or gallery.shows(best):
            return
        with self.console.status(f"training the head of trial {best} once more, for its figures"):
            noted = gallery.hang(best, draw_on_ray)
        for category, reason in noted["without"].items():
            self.console.print(f"no figures of {category}: {reason}", soft_wrap=True, highlight=False, markup=False)
        self.folder.note(self.usage.notes())

    def _status(self, recorder: Recorder) -> tuple[str, str]:
        """The sweep's status, and what is left to do; nothing where it is done."""
        records = self.folder.records()
        return sweep_status(
            [record for record in records if self._has_folds(record)],
            recorder.ended,
            all_proposed=not self.proposer.left(),
            trials=self.proposer.count(),
            stopped_by=recorder.stopped_by,
            budget_spent=self.interrupts.reason == BUDGET,
        )

    def _has_folds(self, record: TrialRecord) -> bool:
        return bool(self._folds(record))

    def _folds(self, record: TrialRecord) -> list[Fold]:
        return self.prepared.folds(configuration(self.plan, record.values))

    def _n_folds(self, config: FoldConfig) -> int:
        return len(self.prepared.folds(config))

    def _saved(self) -> dict[str, int]:
        stopped = [record for record in self.folder.records() if record.stopped]
        planned = {record.number: len(self._folds(record)) for record in stopped}
        rows = self.folder.saved.folds if self.folder.has_rows() else pd.DataFrame({"trial": []})
        return folds_saved(planned, rows.groupby("trial").size().to_dict())

    def _where(self) -> dict[str, str | None]:
        """What the sweep runs on, for whoever looks at its results later."""
        data, given, textures = self.request.data, self.request.textures, self.prepared.textures
        folder = textures and (given if isinstance(given, Address) else textures.folder)
        return {
            "data": str(data if isinstance(data, Address) else data.absolute()),
            "textures": str(folder) if folder else None,
            "cache": str(self.request.cache.absolute()),
        }

    def _note(self, status: str) -> None:
        """Write sweep.json."""
        builds = builds_by_kind(self.store)
        self.folder.note(
            {
                "name": self.plan.name,
                "run": self.folder.run,
                "status": status,
                "caveats": list(self.prepared.caveats),
                "warnings": [*self.prepared.warnings, *lost_query_lines(splits(self.prepared))],
                "builds": {kind: count for kind, (count, _) in builds.items()},
                "build_seconds": {kind: round(seconds, 2) for kind, (_, seconds) in builds.items()},
                "trials": len(self.folder.records()),
                "versions": tracking.versions(),
                "commit": tracking.commit(),
                "fingerprint": self.prepared.fingerprint,
                "tracking_uri": self.request.runs_at,
                "offline": self.request.offline,
                "materials": self._where(),
                **self._saved(),
                **self.usage.notes(),
            }
        )


_RESULTS = ("folds.csv", "summary.csv", "best.yaml", "report.html")
