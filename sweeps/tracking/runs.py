"""Runs of a sweep in MLflow: each call may be made again, and changes nothing the second time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlflow.entities import DatasetInput, Metric, Param, Run
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.utils.validation import MAX_METRICS_PER_BATCH, MAX_PARAMS_TAGS_PER_BATCH

from fsamc.deadline import bounded
from sweeps.tracking.uri import artifact_root, open_client

SWEEP, TRIAL = "fsamc.sweep", "fsamc.trial"
PARENT = "parent"
_PAGE = 500


@dataclass
class TrackedRun:
    """A run that MLflow has, as it was when it was last looked at."""

    run_id: str
    status: str
    started: int  # ms since 1970
    artifacts: str  # where its artifacts lie
    tags: Mapping[str, str]

    @classmethod
    def of(cls, run: Run) -> TrackedRun:
        """Keep what is needed of MLflow's entity."""
        info = run.info
        return cls(info.run_id, info.status, info.start_time, info.artifact_uri, run.data.tags)


class Runs:
    """The runs of one sweep, looked up once by their tags, and made where they are not there.

    Args:
        uri: MLflow tracking URI.
        experiment: the plan's name.
        sweep: what tells this sweep from others of the same plan.
        artifacts: where a new experiment keeps its artifacts, if neither a server nor a file's folder does.
        deadline: seconds that each call may take.

    Raises, as every method does, one of `tracking_uri.MLFLOW_ERRORS` or TimeoutError where MLflow is away or does not
    want it.
    """

    def __init__(self, uri: str, *, experiment: str, sweep: str, artifacts: Path, deadline: float) -> None:
        self._uri, self._sweep, self._deadline = uri, sweep, deadline
        self.client = open_client(uri, deadline=deadline)
        self.experiment = self._find_experiment(experiment, artifact_root(uri, artifacts))
        self.by_trial: dict[str, TrackedRun] = {}
        self.refresh()

    def refresh(self) -> None:
        """Look up the sweep's runs. A call whose answer was lost may have left a second run of a trial, which goes."""
        of_trial: dict[str, list[TrackedRun]] = {}
        for run in self._search():
            of_trial.setdefault(run.data.tags[TRIAL], []).append(TrackedRun.of(run))
        ours = {run.run_id for run in self.by_trial.values()}
        self.by_trial = {}
        for trial, several in of_trial.items():
            first, *others = sorted(several, key=lambda run: (run.run_id not in ours, run.status != "FINISHED"))
            self.by_trial[trial] = first
            for other in others:
                self.client.delete_run(other.run_id)

    def open(self, trial: str, *, name: str, tags: Mapping[str, str], started: int | None) -> TrackedRun:
        """Return the trial's run, running: made if it is not there. `started` is in ms since 1970."""
        run = self.by_trial.get(trial)
        if run is None:
            tags = {**tags, SWEEP: self._sweep, TRIAL: trial}
            made = self.client.create_run(self.experiment, start_time=started, tags=tags, run_name=name)
            run = self.by_trial[trial] = TrackedRun.of(made)
        elif run.status != "RUNNING":
            self.client.update_run(run.run_id, "RUNNING")
            run.status = "RUNNING"
        return run

    def log(self, run: TrackedRun, *, metrics: Sequence[Metric] = (), params: Sequence[Param] = ()) -> None:
        """Log values in as few calls as MLflow allows."""
        calls = -(-len(metrics) // MAX_METRICS_PER_BATCH), -(-len(params) // MAX_PARAMS_TAGS_PER_BATCH)
        for call in range(max(calls)):
            of_metrics, of_params = call * MAX_METRICS_PER_BATCH, call * MAX_PARAMS_TAGS_PER_BATCH
            self.client.log_batch(
                run.run_id,
                metrics=metrics[of_metrics : of_metrics + MAX_METRICS_PER_BATCH],
                params=params[of_params : of_params + MAX_PARAMS_TAGS_PER_BATCH],
            )

    def log_inputs(self, run: TrackedRun, datasets: Sequence[DatasetInput]) -> None:
        """Log what a run read."""
        if datasets:
            self.client.log_inputs(run.run_id, datasets)

    def log_folder(self, run: TrackedRun, folder: Path) -> None:
        """Log all that a folder holds as artifacts; MLflow's own way asks for the run once more."""
        self._repository(run).log_artifacts(str(folder))

    def log_files(self, run: TrackedRun, files: Iterable[Path], within: str | None = None) -> None:
        """Log files as artifacts, in the folder `within`."""
        repository = self._repository(run)
        for file in files:
            repository.log_artifact(str(file), within)

    def tag(self, run: TrackedRun, tags: Mapping[str, str]) -> None:
        """Set the tags that a run does not have so."""
        for name, value in tags.items():
            if run.tags.get(name) != value:
                self.client.set_tag(run.run_id, name, value)
        run.tags = {**run.tags, **tags}

    def close(self, run: TrackedRun, status: str, ended: int | None) -> None:
        """Say how a run came to its end: always the last call, so that FINISHED means that nothing is missing."""
        if run.status != status:
            self.client.set_terminated(run.run_id, status, ended)
            run.status = status

    def describe_experiment(self, tags: Mapping[str, str], first: Mapping[str, str]) -> None:
        """Set the experiment's `tags`, and those of `first` that it does not have: people may have changed them."""
        has = self.client.get_experiment(self.experiment).tags
        missing = {name: value for name, value in first.items() if name not in has}
        for name, value in {**missing, **tags}.items():
            if has.get(name) != value:
                self.client.set_experiment_tag(self.experiment, name, value)

    def _find_experiment(self, name: str, artifacts: Path | None) -> str:
        experiment = self.client.get_experiment_by_name(name)
        if experiment is not None:
            return str(experiment.experiment_id)
        location = artifacts.absolute().as_uri() if artifacts else None
        return str(self.client.create_experiment(name, artifact_location=location))

    def _repository(self, run: TrackedRun) -> ArtifactRepository:
        repository = get_artifact_repository(run.artifacts, tracking_uri=self._uri)
        return bounded(repository, self._deadline, f"the artifacts at {run.artifacts}")

    def _search(self) -> Iterator[Run]:
        ours, token = f"tags.`{SWEEP}` = '{self._sweep}'", None
        order = ["attributes.start_time ASC", "attributes.run_id ASC"]
        while True:
            page = self.client.search_runs([self.experiment], ours, max_results=_PAGE, order_by=order, page_token=token)
            yield from page
            token = page.token
            if not token:
                return
