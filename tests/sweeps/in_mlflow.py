"""What MLflow holds of a sweep, for comparing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlflow.artifacts import download_artifacts
from mlflow.tracking import MlflowClient

# What differs between equal sweeps: whose runs, by which command, the hash of files that tell seconds.
OF_ONE_SWEEP = {"mlflow.parentRunId", "mlflow.source.name", "fsamc.sweep", "fsamc.delivered"}


def contents(uri: str, experiment: str, sweep: str, into: Path) -> dict[str, dict[str, Any]]:
    """By trial, all of its run but its times; fails where a trial has two runs. Artifacts are read by way of `into`."""
    client = MlflowClient(uri)
    where = [client.get_experiment_by_name(experiment).experiment_id]
    runs = client.search_runs(where, f"tags.`fsamc.sweep` = '{sweep}'", max_results=1000)
    found = {run.data.tags["fsamc.trial"]: _content(client, uri, run, into) for run in runs}
    assert len(found) == len(runs), "a trial has two runs"
    parents = {run.data.tags["mlflow.parentRunId"] for run in runs if run.data.tags["fsamc.trial"] != "parent"}
    assert parents <= {run.info.run_id for run in runs}
    return found


def _content(client: MlflowClient, uri: str, run: Any, into: Path) -> dict[str, Any]:
    folder = into / run.info.run_id
    folder.mkdir(parents=True)
    kept = Path(download_artifacts(run_id=run.info.run_id, dst_path=str(folder), tracking_uri=uri))
    points = {key: client.get_metric_history(run.info.run_id, key) for key in run.data.metrics}
    return {
        "name": run.info.run_name,
        "status": run.info.status,
        "params": run.data.params,
        "metrics": {key: sorted((point.step, point.value) for point in history) for key, history in points.items()},
        "tags": {key: value for key, value in run.data.tags.items() if key not in OF_ONE_SWEEP},
        "artifacts": {
            file.relative_to(kept).as_posix(): file.read_bytes() for file in sorted(kept.rglob("*")) if file.is_file()
        },
        "inputs": sorted((one.dataset.name, one.dataset.digest) for one in run.inputs.dataset_inputs),
    }
