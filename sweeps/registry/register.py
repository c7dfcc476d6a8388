"""Registration of a classifier in MLflow's Model Registry, as the next version of a name."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pandas as pd
from mlflow.entities import Metric
from mlflow.models.model import Model
from mlflow.tracking import MlflowClient

import fsamc
from fsamc.classifier.classifier import DefectClassifier
from fsamc.classifier.outputs.portable_file import save_portable
from fsamc.errors import BadInput
from fsamc.store.digests import file_digest
from sweeps.classifiers.sweep_classifiers import CLASSIFIERS
from sweeps.plan.load import load_plan
from sweeps.registry.model_versions import CONTENT
from sweeps.registry.served_classifier import CLASSIFIER, IMAGE, signature
from sweeps.results.reader import SweepReader
from sweeps.tracking.background import runs_at
from sweeps.tracking.runs import SWEEP, TRIAL
from sweeps.tracking.trial_run import clean
from sweeps.tracking.uri import artifact_root, check_tracking, open_client

_SCRIPT = Path(__file__).with_name("model_script.py")
_ENVIRONMENT = "MLFLOW_TRACKING_URI"


@dataclass(frozen=True)
class Registered:
    """One version of a registered model.

    Attributes:
        name: of the model.
        version: counted from 1.
        uri: of MLflow, where it is.
        run: that it comes from: the one of the sweep's trial that it was fitted by, or one of its own.
        of_sweep: whether that is a trial's.
    """

    name: str
    version: int
    uri: str
    run: str
    of_sweep: bool


def register(file: Path, name: str, *, uri: str | None, backbone: str | None, cache: Path | None) -> Registered:
    """Log a classifier as a model of MLflow, and make it the next version of `name`.

    Args:
        file: the classifier.
        name: of the registered model.
        uri: MLflow tracking URI; None takes that of the sweep in whose results the file lies, or MLFLOW_TRACKING_URI.
        backbone: the network's file or name, where it is not found by itself.
        cache: folder in which networks are looked for.

    Raises:
        BadInput: the file is no classifier, MLflow cannot be reached, or does not have the sweep that it comes from.
    """
    classifier = DefectClassifier.load(file, backbone=backbone, cache=cache)
    out = _sweep_of(file)
    uri = uri or (runs_at(out) if out else os.environ.get(_ENVIRONMENT))
    if not uri:
        raise BadInput(f"{file}: lies in no sweep's results, so it is not said where to; give --tracking-uri")
    experiment = load_plan(str(out / "plan.yaml")).name if out else name
    check_tracking(uri, experiment)
    client = open_client(uri)
    run = _run_of_sweep(client, experiment, out) if out else _own_run(client, uri, experiment, classifier, file)
    with _mlflow_at(uri, client.get_run(run).info.experiment_id), tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / file.name
        save_portable(classifier, whole)
        logged = Model.log(
            None,
            mlflow.pyfunc,
            registered_model_name=name,
            run_id=run,
            name=name,
            tags={
                "fsamc": fsamc.__version__,
                "classes": ", ".join(classifier.classes_),
                CONTENT: file_digest(file),
            },
            python_model=str(_SCRIPT),
            artifacts={CLASSIFIER: str(whole)},
            signature=signature(classifier.classes_),
            input_example=pd.DataFrame({IMAGE: [classifier.photos[0].thumbnail]}),
            pip_requirements=[f"fsamc=={fsamc.__version__}"],
        )
    if not out:
        client.set_terminated(run)
    return Registered(name, int(logged.registered_model_version or 0), uri, run, out is not None)


def _sweep_of(file: Path) -> Path | None:
    """Return the results' folder of the sweep that has left a classifier's file."""
    out = file.absolute().parent.parent
    left = SweepReader(out).notes.get(CLASSIFIERS, {}) if (out / "sweep.json").is_file() else {}
    return out if f"{file.absolute().parent.name}/{file.name}" in left.get("files", ()) else None


def _run_of_sweep(client: MlflowClient, experiment: str, out: Path) -> str:
    """Return the run of the trial whose classifiers the sweep has left. Raises BadInput if MLflow does not have it."""
    there, notes = client.get_experiment_by_name(experiment), SweepReader(out).notes
    ours = f"tags.`{SWEEP}` = '{notes.get('run', '')}' and tags.`{TRIAL}` = '{notes[CLASSIFIERS]['trial']}'"
    runs = client.search_runs([there.experiment_id], ours, max_results=1) if there else []
    if not runs:
        raise BadInput(f"{out}: MLflow does not have this sweep; deliver it by `fsamc track {out}`")
    return str(runs[0].info.run_id)


def _own_run(client: MlflowClient, uri: str, experiment: str, classifier: DefectClassifier, file: Path) -> str:
    """Make a run for a classifier of no sweep, with its configuration and how it scored."""
    there = client.get_experiment_by_name(experiment)
    if there is None:
        root = artifact_root(uri, Path("mlartifacts"))
        number = client.create_experiment(experiment, artifact_location=root.absolute().as_uri() if root else None)
        client.set_experiment_tag(number, "mlflow.experimentKind", "custom_model_development")
    else:
        number = there.experiment_id
    run = client.create_run(number, run_name=file.name)
    scored = [
        Metric(clean(key.replace(",", "")), value, run.info.start_time, 0) for key, value in classifier.scored.items()
    ]
    client.log_batch(run.info.run_id, scored)
    client.log_dict(run.info.run_id, classifier.config.model_dump(mode="json"), "configuration.json")
    return str(run.info.run_id)


@contextmanager
def _mlflow_at(uri: str, experiment: str) -> Iterator[None]:
    """Have MLflow's own functions work at a place, in an experiment, and leave the screen alone."""
    places = {_ENVIRONMENT: uri, "MLFLOW_EXPERIMENT_ID": experiment, "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
    before = {name: os.environ.get(name) for name in places}
    uri_before = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else ""
    os.environ.update(places)
    mlflow.set_tracking_uri(uri)
    try:
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        mlflow.set_tracking_uri(uri_before)
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
