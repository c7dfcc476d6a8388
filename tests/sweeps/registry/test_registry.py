"""Classifiers as models of MLflow: what goes in and comes out, the Model Registry, and a model that is served."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import mlflow
import numpy as np
import pandas as pd
import pytest

from fsamc.classifier.classifier import DefectClassifier
from fsamc.data.images import read_image
from fsamc.errors import BadInput
from fsamc.fold.config import FoldConfig
from sweeps.registry.register import register
from sweeps.registry.served_classifier import IMAGE, ServedClassifier, pixels_of, signature
from sweeps.registry.sweep_models import register_classifiers
from sweeps.tracking.uri import open_client
from tests.mlflow_server import mlflow_server
from tests.servers import free_port, wait
from tests.sweeps.small import Lab, fsamc, notes, runs


@pytest.fixture(scope="module")
def saved(materials, tmp_path_factory) -> Path:
    """A classifier of two photos of each class, and its file."""
    features = {"backbone": str(materials / "tiny.pt2"), "size": 64, "dim": 16, "precision": "fp32"}
    settings = {"features": features, "head": {"kind": "prototype"}, "views": {"support": "none", "queries": "none"}}
    category = materials / "data" / "cap"
    photos = {folder.name: sorted(folder.iterdir())[:2] for folder in (category / "test").iterdir()}
    photos.pop("good", None)
    file = tmp_path_factory.mktemp("saved") / "cap.fsamc"
    DefectClassifier(FoldConfig.model_validate(settings)).fit(category / "train" / "good", photos).save(file)
    return file


@pytest.fixture
def pictures(materials) -> list[Path]:
    return sorted((materials / "data" / "cap" / "test").glob("*/*.png"))[::2]


def test_a_served_classifier_takes_contents_and_in_a_process_paths_and_arrays(saved, pictures):
    served, classifier = ServedClassifier(), DefectClassifier.load(saved)
    served.classifier = classifier
    expected = classifier.predict(pictures)
    for column in ([path.read_bytes() for path in pictures], pictures, [read_image(path) for path in pictures]):
        table = served.predict(None, pd.DataFrame({IMAGE: column}))
        assert table["answer"].tolist() == [one.answer for one in expected]
        assert np.allclose(table["probability"], [one.probability for one in expected], atol=1e-5)
    assert table.columns.tolist() == [column.name for column in signature(classifier.classes_).outputs]
    strict = served.predict(None, pd.DataFrame({IMAGE: pictures}), {"alpha": 0.9})["known"]
    assert strict.tolist() == [one.known for one in classifier.predict(pictures, alpha=0.9)]
    assert strict.sum() < table["known"].sum()


@pytest.mark.parametrize("picture", ["/etc/passwd", 7, None], ids=str)
def test_a_text_is_never_taken_for_a_path(picture):
    with pytest.raises(BadInput, match="expected the content of a picture's file"):
        pixels_of(picture, 0)


def test_where_to_is_asked_for_and_mlflow_is_tried_first(saved, tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(BadInput, match="give --tracking-uri"):
        register(saved, "cap", uri=None, backbone=None, cache=tmp_path)
    with pytest.raises(BadInput, match="cannot be reached"):
        register(saved, "cap", uri="http://127.0.0.1:9", backbone=None, cache=tmp_path)


@pytest.mark.slow
def test_a_registered_classifier_is_loaded_evaluated_and_served_over_http(saved, pictures, tmp_path, monkeypatch):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    assert fsamc("register", saved, "--name", "cap", "--tracking-uri", uri, "--cache", tmp_path) == 0
    there = register(saved, "cap", uri=uri, backbone=None, cache=tmp_path)
    assert there.version == 2
    run = open_client(uri).get_run(there.run)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["leave one out"] == pytest.approx(DefectClassifier.load(saved).scored["leave one out"])

    monkeypatch.setattr(mlflow.tracking._tracking_service.utils, "_tracking_uri", uri)
    model = mlflow.pyfunc.load_model("models:/cap/2")
    table = pd.DataFrame({IMAGE: [path.read_bytes() for path in pictures]})
    expected = [one.label for one in DefectClassifier.load(saved).predict(pictures)]
    assert model.predict(table)["label"].tolist() == expected
    labelled = table.assign(label=expected)
    with mlflow.start_run(experiment_id=run.info.experiment_id):
        evaluated = mlflow.models.evaluate(
            lambda rows: model.predict(rows)["label"], labelled, targets="label", model_type="classifier"
        )
    assert evaluated.metrics["accuracy_score"] == 1
    assert evaluated.metrics["example_count"] == len(pictures)

    served = served_over_http(uri, [base64.b64encode(path.read_bytes()).decode() for path in pictures], tmp_path)
    assert [row["label"] for row in served["predictions"]] == expected


def served_over_http(uri: str, pictures: list[str], folder: Path) -> dict:
    """Serve version 2 as MLflow does, and post pictures to it; a path is refused."""
    port, log = free_port(), folder / "served.log"
    words = ["serve", "--model-uri", "models:/cap/2", "--port", str(port), "--host", "127.0.0.1"]
    command = [sys.executable, "-m", "mlflow", "models", *words, "--env-manager", "local"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"MLFLOW_TRACKING_URI": uri, "PATH": path}
    with log.open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, env=environment, start_new_session=True)
    try:
        wait(lambda: urlopen(f"http://127.0.0.1:{port}/ping", timeout=5), process, log, seconds=240)
        with pytest.raises(HTTPError) as refused:
            post(port, ["/etc/passwd"])
        assert refused.value.code == 400
        refused.value.close()
        return post(port, pictures)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def post(port: int, pictures: list[str]) -> dict:
    body = json.dumps({"dataframe_split": {"columns": [IMAGE], "data": [[one] for one in pictures]}}).encode()
    asked = Request(f"http://127.0.0.1:{port}/invocations", body, {"Content-Type": "application/json"})
    with urlopen(asked, timeout=120) as answer:
        return json.loads(answer.read())


@pytest.mark.slow
@pytest.mark.ray
def test_a_sweep_registers_its_classifiers_once_with_the_best_trial_s_run_as_source(lab: Lab, capfd):
    words = lab.words(lab.plan(), "space.support.mean=null", "folds.seeds=[2]", "--fit")
    lab.finish(words)
    out = lab.root / "out"
    assert "models   cap version 1, tile version 1" in capfd.readouterr().out
    uri, best = f"sqlite:///{out / 'mlflow.db'}", notes(out)["classifiers"]["trial"]
    client, (_, trials) = open_client(uri), runs(out)
    for name in ("cap", "tile"):
        version = client.get_model_version(name, "1")
        assert version.run_id == trials[best].info.run_id
        assert client.get_run(version.run_id).info.status == "FINISHED"
    classifier = DefectClassifier.load(out / "classifiers" / "tile.fsamc", cache=lab.root)
    with sweeps_mlflow(uri):
        model = mlflow.pyfunc.load_model("models:/tile/1")
        photos = pd.DataFrame({IMAGE: [photo.thumbnail for photo in classifier.photos]})
        assert model.metadata.get_input_schema() == signature(classifier.classes_).inputs
        assert set(model.predict(photos)["label"]) <= set(classifier.classes_)

    lab.finish(words)
    assert fsamc("track", out) == 0
    assert capfd.readouterr().out.count("models   cap version 1, tile version 1") == 2
    assert [len(client.search_model_versions(f"name = '{name}'")) for name in ("cap", "tile")] == [1, 1]

    there = register(out / "classifiers" / "cap.fsamc", "another", uri=None, backbone=None, cache=lab.root)
    assert (there.of_sweep, there.run) == (True, trials[best].info.run_id)
    copied = lab.root / "copied.fsamc"
    copied.write_bytes((out / "classifiers" / "cap.fsamc").read_bytes())
    assert not register(copied, "cap", uri=there.uri, backbone=None, cache=lab.root).of_sweep


@pytest.mark.slow
@pytest.mark.ray
def test_a_server_that_goes_before_the_models_fails_no_sweep_and_gets_them_later(lab: Lab, tmp_path, capfd):
    words = ["space.head.kind=null", "space.support.mean=null", "folds.seeds=[2]", "--fit"]
    plan = lab.plan(search={"algorithm": "grid"}, resources={"gpus": 0, "tracking_patience": 0})
    with mlflow_server(tmp_path) as server:

        def gone(out: Path, uri: str) -> list[str]:
            server.kill()
            return register_classifiers(out, uri)

        with mock.patch("sweeps.best_trial.register_classifiers", gone):
            lab.finish(lab.words(plan, *words, "--tracking-uri", server.uri))
        out, said = lab.root / "out", capfd.readouterr().out.replace("\n", "")
        assert "models   not registered (" in said
        assert f"later: fsamc track {out}" in said
        server.start()
        assert fsamc("track", out) == 0
        assert "models   cap version 1, tile version 1" in capfd.readouterr().out
        assert open_client(server.uri).get_model_version("cap", "1").run_id


@contextmanager
def sweeps_mlflow(uri: str) -> Iterator[None]:
    """MLflow's own functions ask there."""
    with mock.patch.object(mlflow.tracking._tracking_service.utils, "_tracking_uri", uri):
        yield
