"""Delivery from OUT to MLflow, once each: while the sweep runs, and later for what could not be delivered then.

All that is delivered is read from OUT, and what has been delivered is asked of MLflow: a trial's run that is FINISHED
has all it should have. There is no third place that could disagree with these two.
"""

from __future__ import annotations

import tempfile
from functools import cached_property
from pathlib import Path

from mlflow.entities import DatasetInput
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from fsamc.fold.config import FoldConfig
from sweeps.plan.configurations import configuration, swept
from sweeps.plan.settings import Plan
from sweeps.results.reader import Support, SweepReader
from sweeps.tracking import trial_run as content
from sweeps.tracking.inputs import datasets
from sweeps.tracking.journal import Journal, Trial
from sweeps.tracking.params import Params
from sweeps.tracking.runs import Runs, TrackedRun
from sweeps.tracking.sweep_run import ParentRun, milliseconds
from sweeps.tracking.system import SystemMetrics
from sweeps.tracking.views import address, child_name, child_tags, experiment_tags


class Delivery:
    """Delivers one sweep's OUT; may be asked again and again, and goes on where MLflow went away.

    Args:
        out: the sweep's folder.
        plan: as resolved.
        uri: MLflow tracking URI.
    """

    def __init__(self, out: Path, plan: Plan, uri: str) -> None:
        self._out, self._plan, self._uri = out, plan, uri
        self._journal = Journal(out)
        self._parent = ParentRun(out, plan)
        self._runs: Runs | None = None
        self._stale = self._doubtful = False
        self._with_params: set[str] = set()
        self._complete: set[int] = set()
        self._datasets: dict[tuple[str, ...], list[DatasetInput]] = {}
        self._system = SystemMetrics(uri, plan.resources.deadline) if plan.resources.system_metrics else None

    @property
    def delivered(self) -> int:
        """How many trials MLflow is known to have, whole."""
        return len(self._complete)

    def deliver(self, *, ended: bool) -> None:
        """Deliver what is in OUT by now.

        Args:
            ended: nobody adds to OUT any more. What came to no end is closed as killed, and so is the sweep's own run.

        Raises one of `tracking_uri.MLFLOW_ERRORS`, or OSError (so TimeoutError), where MLflow is away. Nothing is lost.
        """
        try:
            runs = self._connect(reopen=not ended)
            for trial in list(self._journal.read().values()):
                self._deliver(runs, trial, ended=ended)
            if ended:
                if self._doubtful:
                    runs.refresh()
                self._parent.close(runs)
        except BaseException:
            self._stale = self._doubtful = True  # an answer was lost, and MLflow may have done what it was asked
            raise
        self._stale = False

    @property
    def page(self) -> str | None:
        """Where the runs are to be seen, below a server's address; None before MLflow has answered."""
        return address(self._runs.experiment) if self._runs else None

    def stop_measuring(self) -> None:
        """Log system metrics no longer."""
        if self._system:
            self._system.stop()

    def left(self) -> int:
        """How many trials have come to an end that MLflow does not know of."""
        ended = (trial.record for trial in self._journal.read().values())
        return sum((record.done or record.failed) and record.number not in self._complete for record in ended)

    def _connect(self, *, reopen: bool) -> Runs:
        if self._runs is None:
            sweep = str(SweepReader(self._out).notes.get("run", ""))
            artifacts = self._out / "mlartifacts"
            self._runs = Runs(
                self._uri,
                experiment=self._plan.name,
                sweep=sweep,
                artifacts=artifacts,
                deadline=self._plan.resources.deadline,
            )
            self._runs.describe_experiment(*experiment_tags(self._out, self._plan, self._runs.experiment))
        elif self._stale:
            self._runs.refresh()
            self._journal = Journal(self._out)  # what was delivered to a server may have gone with it
            self._with_params.clear()
        self._parent.open(self._runs, reopen=reopen)
        if self._system and reopen:
            self._system.measure(self._parent.run(self._runs), anew=self._stale)
        return self._runs

    def _deliver(self, runs: Runs, trial: Trial, *, ended: bool) -> None:
        record, run = trial.record, runs.by_trial.get(str(trial.record.number))
        if record.done:
            if run is None or run.status != "FINISHED":
                self._finish(runs, trial)
            self._settle(trial)
        elif record.failed:
            if run is None or run.status != "FAILED":
                runs.close(self._open(runs, trial), "FAILED", milliseconds(record.ended))
            self._settle(trial)
        elif ended:
            if run.status == "RUNNING" if run else trial.rows:
                runs.close(self._open(runs, trial), "KILLED", None)
        elif trial.rows:
            self._open(runs, trial)

    def _open(self, runs: Runs, trial: Trial) -> TrackedRun:
        config = self._config(trial)
        run = self._run(runs, trial, config)
        if run.run_id not in self._with_params:
            runs.log(run, params=self._params.of_trial(config))
            self._with_params.add(run.run_id)
        return run

    def _finish(self, runs: Runs, trial: Trial) -> None:
        """Log the scores of a trial, what it read, its support and confusion matrices; close its run."""
        config = self._config(trial)
        run = runs.by_trial.get(str(trial.record.number)) or self._run(runs, trial, config)
        at = milliseconds(trial.record.ended) or run.started
        params = [] if run.run_id in self._with_params else self._params.of_trial(config)
        runs.log(run, metrics=content.trial_metrics(self._plan, trial, at), params=params)
        runs.log_inputs(run, self._inputs(trial))
        with tempfile.TemporaryDirectory() as folder:
            content.write_artifacts(Path(folder), trial, config, self._support)
            runs.log_folder(run, Path(folder))
        if trial.record.stopped is not None:
            runs.tag(run, {"stopped": trial.record.stopped})
        runs.close(run, "FINISHED", at)

    def _run(self, runs: Runs, trial: Trial, config: FoldConfig) -> TrackedRun:
        tags = self._parent.tags | child_tags(trial, config) | {MLFLOW_PARENT_RUN_ID: self._parent.run(runs).run_id}
        name = child_name(trial, self._plan)
        return runs.open(str(trial.record.number), name=name, tags=tags, started=milliseconds(trial.record.started))

    def _settle(self, trial: Trial) -> None:
        self._complete.add(trial.record.number)
        self._journal.forget(trial.record.number)

    def _inputs(self, trial: Trial) -> list[DatasetInput]:
        categories = tuple(trial.categories)
        if categories not in self._datasets:
            self._datasets[categories] = datasets(self._out, categories)
        return self._datasets[categories]

    def _config(self, trial: Trial) -> FoldConfig:
        return configuration(self._plan, trial.record.values)

    @cached_property
    def _params(self) -> Params:
        return Params(self._plan)

    @cached_property
    def _support(self) -> Support:
        """support.csv, unless the space names the support images itself: then each configuration does."""
        named = {"support", "support.files", "support.shots_from"}
        return {} if named & swept(self._plan).keys() else SweepReader(self._out).support_images
