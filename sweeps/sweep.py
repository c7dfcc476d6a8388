"""A sweep from the command line's words to the table: check, start, run, write down."""

from __future__ import annotations

import json
import math
import os
import shutil
import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import ray
from ray import tune
from rich.console import Console

from cluster import runtime
from cluster.runtime import Fold, Materials
from fsamc.config import Plan
from fsamc.errors import BadInput
from fsamc.store import Store
from sweeps import tracking
from sweeps.folder import SweepFolder, TrialRecord, check_resumable, check_writable
from sweeps.plan import configuration, load_plan
from sweeps.prepare import Prepared, check_space, prepare, remember_checks
from sweeps.progress import SweepProgress, stage_table, summary_table
from sweeps.recorder import Recorder, Spending, StopOnFatal, label
from sweeps.report import write_report
from sweeps.search import Proposer, make_proposer
from sweeps.trial import PlanSearch, run_trial
from sweeps.watch import Watch


@dataclass(frozen=True, kw_only=True)
class Request:
    """What `fsamc sweep` was asked."""

    plan: str
    changes: tuple[str, ...]
    data: Path
    textures: Path | None
    out: Path
    cache: Path
    backbone: str | None = None
    weights: str | None = None
    tracking_uri: str | None = None
    address: str | None = None
    resume: str = "auto"
    reuse: bool = True
    dry_run: bool = False
    random_backbone: bool = False


def run_sweep(request: Request, console: Console) -> bool:
    """Run a sweep and write its results; whether every fold was scored.

    Raises:
        BadInput: before anything is written.
    """
    plan = load_plan(request.plan, request.changes, backbone=request.backbone, weights=request.weights)
    check_writable(request.out)
    check_writable(request.cache)
    plan, cpus = _resolve_resources(plan, request.address)
    prepared = prepare(
        plan,
        data=request.data,
        textures=request.textures,
        store=Store(request.cache),
        device="cuda" if plan.resources.gpus else "cpu",
        random=request.random_backbone,
    )
    check_resumable(request.out, prepared.plan, prepared.fingerprint, request.resume)
    check_space(prepared, cache=request.cache, out=request.out)
    if request.tracking_uri and (problem := tracking.check_uri(request.tracking_uri)):
        raise BadInput(problem)
    _announce(prepared, console)
    if request.dry_run:
        return True
    try:
        if not ray.is_initialized():
            runtime.start(None, cpus=cpus, gpus=float(plan.resources.gpus))
        return _Sweep(request, prepared, workers=cpus // plan.resources.cpus, console=console).run()
    finally:
        ray.shutdown()


class _Sweep:
    """One run of a sweep, new or resumed, on a Ray that is up."""

    def __init__(self, request: Request, prepared: Prepared, *, workers: int, console: Console) -> None:
        self.request, self.prepared, self.console = request, prepared, console
        self.plan = prepared.plan
        self.workers = workers
        self.folder = SweepFolder(request.out, self.plan)
        self.records = self.folder.open(prepared.fingerprint)
        self.before = _facts_before(request.out)
        self.run_id = str(self.before.setdefault("run", uuid.uuid4().hex[:12]))
        self.store = Store(request.cache, run=self.run_id)
        self.spending = Spending(
            stages=Counter(self.before.get("stages", {})), before=float(self.before.get("seconds", 0.0))
        )
        self.peak_memory = int(self.before.get("peak_memory_bytes") or 0)

    def run(self) -> bool:
        """Run what is left to run; whether every fold was scored."""
        remember_checks(self.prepared, self.store)
        proposer = make_proposer(self.plan)
        self._replay(proposer)
        total = self._folds_left(proposer)
        tracker = self._tracker()
        self._write_facts("running")
        with SweepProgress(self.console, folds=total) as progress:
            recorder = Recorder(self.folder, tracker, progress, proposer, self.spending)
            watch = Watch(self.store, progress.builds)
            watch.start()
            try:
                self._tune(proposer, recorder)
            finally:
                watch.stop()
                self.peak_memory = max(self.peak_memory, watch.peak_memory)
        return self._finish(recorder, tracker, complete=self._all_proposed(proposer))

    def _tune(self, proposer: Proposer, recorder: Recorder) -> None:
        shared = self._materials()
        materials = ray.put(shared)
        n_folds = len(self.prepared.folds(self.plan.base)) or 1
        asked = self.plan.resources.folds_at_once
        at_once = min(n_folds, self.workers) if asked == "auto" else asked
        trainable = tune.with_parameters(
            run_trial, materials=[materials], at_once=at_once, retries=self.plan.resources.retries
        )
        search = PlanSearch(
            proposer,
            waiting=[record for record in self.records if not record.done],
            next_number=len(self.records),
            folds=lambda values: self.prepared.folds(configuration(self.plan, values)),
            on_propose=self.folder.proposed,
        )
        scratch = self.request.out / ".tune"
        # A trial's own process only waits for its folds: it takes no CPU from them, and lives on the head node.
        tuner = tune.Tuner(
            tune.with_resources(trainable, tune.PlacementGroupFactory([{"node:__internal_head__": 1e-4}])),
            tune_config=tune.TuneConfig(
                search_alg=search,
                num_samples=-1,
                max_concurrent_trials=self._trials_at_once(at_once),
                reuse_actors=True,
                trial_name_creator=lambda trial: f"trial_{trial.config['number']}",
                trial_dirname_creator=lambda trial: f"trial_{trial.config['number']}",
            ),
            run_config=tune.RunConfig(
                name="tune",
                storage_path=str(scratch.absolute()),
                callbacks=[recorder],
                stop=StopOnFatal(recorder),
                failure_config=tune.FailureConfig(max_failures=3),
                verbose=0,
            ),
        )
        try:
            tuner.fit()
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _trials_at_once(self, folds_at_once: int) -> int:
        """Enough to keep all workers busy; one more where nothing is learnt from waiting for the last fold."""
        needed = math.ceil(self.workers / folds_at_once)
        return needed if self.plan.search.algorithm == "optuna" else needed + 1

    def _materials(self) -> Materials:
        cache, own = self.request.cache, self.request.out / ".folds"
        results = [cache] if self.request.reuse else [own]
        if own.exists() and self.request.reuse:
            results.append(own)
        return Materials(
            categories=self.prepared.categories,
            textures=self.prepared.textures,
            store=cache.absolute(),
            results=tuple(root.absolute() for root in results),
            run=self.run_id,
            gpus=float(self.plan.resources.gpus),
        )

    def _tracker(self) -> tracking.Tracker:
        return tracking.Tracker(
            self._tracking_uri(),
            experiment=self.plan.name,
            sweep=self.run_id,
            artifacts=None if self.request.tracking_uri else self.request.out / "mlartifacts",
            tags=tracking.describe(self.prepared.fingerprint)
            | ({"mark": "; ".join(self.prepared.marks)} if self.prepared.marks else {}),
        )

    def _tracking_uri(self) -> str:
        return self.request.tracking_uri or f"sqlite:///{(self.request.out / 'mlflow.db').absolute()}"

    def _replay(self, proposer: Proposer) -> None:
        """Tell the search what earlier runs of this sweep found."""
        scores = self.folder.averages()
        for record in self.records:
            proposer.replay(record.number, record.values)
            if record.done:
                proposer.tell(record.number, scores.get(record.number))

    def _folds_left(self, proposer: Proposer) -> int:
        """Exact for a grid; else as if every trial had the folds of the base."""
        done = sum(record.done for record in self.records)
        known = [record.values for record in self.records if not record.done]
        if self.plan.search.algorithm != "optuna":
            new = [proposer.propose(number) for number in range(len(self.records), proposer.count())]
            known += [values for values in new if values is not None]
            return self._count_folds(known)
        return (proposer.count() - done) * len(self.prepared.folds(self.plan.base))

    def _count_folds(self, trials: Iterable[dict[str, Any]]) -> int:
        return sum(len(self.prepared.folds(configuration(self.plan, values))) for values in trials)

    def _all_proposed(self, proposer: Proposer) -> bool:
        records = self.folder.records()
        done = {record.number for record in records if record.done or not self._folds_of(record)}
        return len(records) >= proposer.count() and len(done) == len(records)

    def _folds_of(self, record: TrialRecord) -> list[Fold]:
        return self.prepared.folds(configuration(self.plan, record.values))

    def _finish(self, recorder: Recorder, tracker: tracking.Tracker, *, complete: bool) -> bool:
        """Write the tables and the report, and say where they are."""
        status = "done" if complete else "failed" if self.spending.failed or recorder.fatal else "interrupted"
        if recorder.fatal:
            self.console.print(f"stopped: {recorder.fatal}; make room and run the same command again", style="red")
        summary: pd.DataFrame | None = None
        files: list[Path] = [self.request.out / "plan.yaml"]
        self._write_facts(status)
        if self.folder.has_rows():
            summary = self.folder.finish()
            report = write_report(self.request.out)
            files += [self.request.out / name for name in ("folds.csv", "summary.csv", "best.yaml", "report.html")]
            self._show(summary, report)
        tracker.close({"done": "FINISHED", "failed": "FAILED"}.get(status, "KILLED"), summary, files)
        if status == "interrupted":
            self.console.print("interrupted: the same command goes on where this one stopped", style="yellow")
        return complete

    def _show(self, summary: pd.DataFrame, report: Path) -> None:
        labels = {
            record.number: label(configuration(self.plan, record.values), record.values)
            for record in self.folder.records()
        }
        self.console.print(summary_table(summary, labels, title=self.plan.name))
        for mark in self.prepared.marks:
            self.console.print(f"[bold red]{mark}[/bold red]")
        self.console.print(stage_table(dict(self.spending.stages), self._builds()))
        uri = self._tracking_uri()
        self.console.print(f"peak memory {self.peak_memory / 2**30:.1f} GiB, {self.spending.seconds:.0f} s in all")
        self.console.print(f"report   {report.with_suffix('.html')}", soft_wrap=True, highlight=False)
        self.console.print(f"MLflow   mlflow ui --backend-store-uri {uri}", soft_wrap=True, highlight=False)

    def _builds(self) -> dict[str, tuple[int, float]]:
        """Per kind, how many artifacts this sweep has built and in how many seconds."""
        found: dict[str, tuple[int, float]] = dict.fromkeys(("features", "pseudo", "bank", "nearest"), (0, 0.0))
        for build in self.store.builds():
            count, seconds = found[build.kind]
            found[build.kind] = (count + 1, seconds + build.seconds)
        return found

    def _write_facts(self, status: str) -> None:
        builds = self._builds()
        self.folder.facts(
            {
                "name": self.plan.name,
                "run": self.run_id,
                "status": status,
                "marks": list(self.prepared.marks),
                "warnings": list(self.prepared.warnings),
                "builds": {kind: count for kind, (count, _) in builds.items()},
                "build_seconds": {kind: round(seconds, 2) for kind, (_, seconds) in builds.items()},
                "stages": {name: round(seconds, 3) for name, seconds in self.spending.stages.items()},
                "seconds": round(self.spending.seconds, 1),
                "trials": len(self.folder.records()),
                "folds": self.spending.folds,
                "folds_reused": self.spending.reused,
                "peak_memory_bytes": self.peak_memory or None,
                "versions": tracking.versions(),
                "fingerprint": self.prepared.fingerprint,
                "tracking_uri": self._tracking_uri(),
            }
        )


def _resolve_resources(plan: Plan, address: str | None) -> tuple[Plan, int]:
    """The plan with its GPUs decided, and the CPUs that its folds may take in all."""
    if address:
        try:
            runtime.start(address, cpus=0, gpus=0)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise BadInput(
                f"--address {address}: no Ray cluster there ({' '.join(str(error).split())[:200]})"
            ) from None
        has = ray.cluster_resources()
        cpus_there, gpus_there = int(has.get("CPU", 0)), has.get("GPU", 0.0)
    else:
        cpus_there, gpus_there = os.cpu_count() or 1, float(_gpus_here())
    asked, wanted = plan.resources.gpus, plan.resources.workers
    gpus = (0.5 if gpus_there else 0.0) if asked == "auto" else asked
    if gpus > gpus_there:
        raise BadInput(f"resources.gpus is {gpus}, but there are {gpus_there:g} GPUs; set resources.gpus=0")
    workers = max(1, cpus_there // plan.resources.cpus) if wanted == "auto" else wanted
    resources = plan.resources.model_copy(update={"gpus": gpus})
    return plan.model_copy(update={"resources": resources}), workers * plan.resources.cpus


def _gpus_here() -> int:
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _announce(prepared: Prepared, console: Console) -> None:
    plan = prepared.plan
    for warning in prepared.warnings:
        console.print(f"[yellow]warning[/yellow] {warning}", highlight=False)
    for mark in prepared.marks:
        console.print(f"[bold red]{mark}[/bold red]")
    trials = make_proposer(plan).count()
    folds = len(prepared.folds(plan.base))
    names = ", ".join(prepared.categories)
    console.print(
        f"{plan.name}: {trials} trials x {folds} folds of {len(prepared.categories)} categories ({names}), "
        f"{len(plan.folds.seeds)} seeds, {len(plan.folds.draws)} draws; search: {plan.search.algorithm}",
        highlight=False,
    )


def _facts_before(out: Path) -> dict[str, Any]:
    file = out / "sweep.json"
    facts: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return facts
