"""MLflow: one experiment per plan, a parent run per sweep, a child run per trial, each exactly once."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from types import TracebackType

import numpy as np
import pandas as pd
from mlflow.entities import Metric, Param
from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT, MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NOTE
from mlflow.utils.validation import MAX_PARAM_VAL_LENGTH

from fsamc.config import FoldConfig
from fsamc.config.dotted import flatten
from fsamc.metrics import confusion_matrix
from fsamc.result import FoldResult
from sweeps import tables
from sweeps.plan import config_hash
from sweeps.tracking_uri import MLFLOW_ERRORS, artifact_root, impatient, open_client

SWEEP, TRIAL = "fsamc.sweep", "fsamc.trial"
_PACKAGES = ("fsamc", "torch", "torchvision", "ray", "faiss-gpu", "faiss-cpu", "optuna", "mlflow", "numpy")
_FURTHER = ("balanced_accuracy", "macro_f1", *tables.DETECTED)
_BATCH = 100  # the most params that one call takes


class Tracker:
    """Writes a sweep's runs. A resumed sweep finds its own by their tags and goes on with them.

    Leaving its context closes as killed what was not closed before.

    Args:
        uri: MLflow tracking URI.
        experiment: the plan's name.
        sweep: what tells this sweep from others of the same plan.
        artifacts: where a new experiment keeps its artifacts, if neither a server nor a file's folder does.
        tags: of every run.
    """

    def __init__(self, uri: str, *, experiment: str, sweep: str, artifacts: Path, tags: Mapping[str, str]) -> None:
        self._client = open_client(uri)
        self._sweep = sweep
        self._tags = dict(tags)
        self._experiment = self._find_experiment(experiment, artifact_root(uri, artifacts))
        self._parent = self._open("parent", experiment)
        self._children: dict[int, str] = {}
        self._closed = False

    def __enter__(self) -> Tracker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._closed:
            with suppress(*MLFLOW_ERRORS):
                self.close("KILLED", None, [])

    def start(self, number: int, config: FoldConfig) -> None:
        """Open the trial's run, or the one that an interrupted sweep left."""
        run = self._open(str(number), f"trial {number}: {config.head.kind}, {config.shots} shots")
        self._children[number] = run
        known = self._client.get_run(run).data.params
        flat = {_name(key): str(value) for key, value in flatten(config.model_dump(mode="json")).items()}
        params = [Param(key, _short(value)) for key, value in flat.items() if key not in known]
        for first in range(0, len(params), _BATCH):
            self._client.log_batch(run, params=params[first : first + _BATCH])
        self._client.set_tag(run, "config_hash", config_hash(config))

    def finish(self, number: int, config: FoldConfig, rows: pd.DataFrame, results: Sequence[FoldResult]) -> None:
        """Log the scores of a trial whose folds were all scored, its support and confusion matrices; close its run."""
        run = self._children.pop(number)
        if "accuracy" not in self._client.get_run(run).data.metrics:  # a sweep killed right here has logged them
            self._client.log_batch(run, metrics=[*_metrics(rows), *_further_metrics(results)])
        with tempfile.TemporaryDirectory() as folder:
            _write_artifacts(Path(folder), config, results)
            self._client.log_artifacts(run, folder)
        self._client.set_terminated(run, "FINISHED")

    def fail(self, number: int) -> None:
        """Close the run of a trial that has no score: one over fewer folds than the others' would mislead."""
        self._client.set_terminated(self._children.pop(number), "FAILED")

    def close(self, status: str, summary: pd.DataFrame | None, files: Sequence[Path]) -> None:
        """Close the sweep's run, with the best average and the files that show it."""
        self._closed = True
        with impatient():
            for run in self._children.values():
                self._client.set_terminated(run, "KILLED")
            self._client.set_terminated(self._parent, status)
            for file in files:
                if file.exists():
                    self._client.log_artifact(self._parent, str(file))
            averages = [] if summary is None else summary.loc[summary["category"] == tables.AVERAGE, "mean"].tolist()
            if averages:
                self._client.log_metric(self._parent, "best_accuracy", max(averages))

    def _find_experiment(self, name: str, artifacts: Path | None) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        location = artifacts.absolute().as_uri() if artifacts else None
        experiment = self._client.create_experiment(name, artifact_location=location)
        # Without it the UI opens a new experiment on its view for language models.
        self._client.set_experiment_tag(experiment, "mlflow.experimentKind", "custom_model_development")
        return str(experiment)

    def _open(self, trial: str, name: str) -> str:
        """The run with this sweep's and this trial's tags, running again; made if it is not there."""
        wanted = f"tags.`{SWEEP}` = '{self._sweep}' and tags.`{TRIAL}` = '{trial}'"
        for found in self._client.search_runs([self._experiment], wanted, max_results=1):
            run = str(found.info.run_id)
            self._client.update_run(run, "RUNNING")
            return run
        tags = {**self._tags, SWEEP: self._sweep, TRIAL: trial}
        if trial == "parent":
            tags[MLFLOW_RUN_NOTE] = "One sweep. Its trials are the runs nested below; `accuracy` is their average."
        else:
            tags[MLFLOW_PARENT_RUN_ID] = self._parent
        return str(self._client.create_run(self._experiment, tags=tags, run_name=name).info.run_id)


def log_figures(uri: str, *, experiment: str, sweep: str, trial: int, files: Sequence[Path]) -> None:
    """Log files as `figures/NAME` among the artifacts of a trial's run, open or closed; nowhere if there is no run."""
    client = open_client(uri)
    known = client.get_experiment_by_name(experiment)
    wanted = f"tags.`{SWEEP}` = '{sweep}' and tags.`{TRIAL}` = '{trial}'"
    found = client.search_runs([known.experiment_id], wanted, max_results=1) if known else []
    for run in found:
        for file in files:
            client.log_artifact(run.info.run_id, str(file), "figures")


def describe(fingerprint: str) -> dict[str, str]:
    """Tags that say what a run was made with: the commit, the packages, the data."""
    tags = {"data_fingerprint": fingerprint, **{f"version.{name}": found for name, found in versions().items()}}
    here = Path(__file__).parent
    commit = subprocess.run(["git", "-C", str(here), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return tags | ({MLFLOW_GIT_COMMIT: commit.stdout.strip()} if commit.returncode == 0 else {})


def versions() -> dict[str, str]:
    """Installed versions of the packages that numbers may depend on."""
    found: dict[str, str] = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except ImportError:
            continue
    return found


def _metrics(rows: pd.DataFrame) -> list[Metric]:
    """The average and the categories' means and deviations, and a value per seed with the seed as its step."""
    now = int(time.time() * 1000)
    metrics = []
    for row in tables.summarise(rows).to_dict("records"):
        suffix = "" if row["category"] == tables.AVERAGE else f"/{_name(row['category'])}"
        metrics.append(Metric(f"accuracy{suffix}", row["mean"], now, 0))
        if not np.isnan(row["std"]):
            metrics.append(Metric(f"accuracy_std{suffix}", row["std"], now, 0))
    for row in tables.seed_scores(rows).to_dict("records"):
        metrics.append(Metric(f"seed_accuracy/{_name(row['category'])}", row["accuracy"], now, row["seed"]))
    return metrics


def _further_metrics(results: Sequence[FoldResult]) -> list[Metric]:
    """Other measures than accuracy, on average: over draws, over seeds, over categories."""
    folds = pd.DataFrame(
        [[r.category, r.seed, *(getattr(r, name) for name in _FURTHER)] for r in results],
        columns=["category", "seed", *_FURTHER],
    )
    measured = folds.astype(dict.fromkeys(_FURTHER, float)).groupby(["category", "seed"]).mean()
    average = measured.groupby("category").mean().mean().dropna()
    return [Metric(str(name), mean, int(time.time() * 1000), 0) for name, mean in average.items()]


def _name(text: str) -> str:
    """As MLflow allows names; a category is called whatever its folder is."""
    return re.sub(r"[^\w/.\- :]", "_", text)


def _short(value: str) -> str:
    """MLflow refuses longer ones; the configuration among the artifacts is whole."""
    return value if len(value) <= MAX_PARAM_VAL_LENGTH else f"{value[: MAX_PARAM_VAL_LENGTH - 3]}..."


def _write_artifacts(folder: Path, config: FoldConfig, results: Sequence[FoldResult]) -> None:
    (folder / "configuration.json").write_text(json.dumps(config.model_dump(mode="json"), indent=2))
    support = {f"{r.category}/draw {r.draw}": r.support for r in results}
    (folder / "support.json").write_text(json.dumps(support, indent=2))
    for category in sorted({result.category for result in results}):
        of_category = [result for result in results if result.category == category]
        classes = of_category[0].classes
        counts = sum(confusion_matrix(r.truth, r.predicted, len(classes)) for r in of_category)
        frame = pd.DataFrame(counts, index=pd.Index(classes, name="true"), columns=list(classes))
        (folder / "confusion").mkdir(exist_ok=True)
        frame.to_csv(folder / "confusion" / f"{category}.csv")
