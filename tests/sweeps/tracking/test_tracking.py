"""What one run of a sweep shows in MLflow, and where runs are kept."""

from __future__ import annotations

import getpass
import json
import sys
from pathlib import Path

import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from mlflow.utils.validation import _validate_metric_name
from sqlalchemy.exc import OperationalError

from fsamc.config.dotted import flatten, updated
from fsamc.fold.config import FoldConfig
from sweeps.plan.configurations import configuration
from sweeps.plan.load import config_hash
from sweeps.tracking import installed_versions
from sweeps.tracking import uri as tracking_uri
from sweeps.tracking.delivery import Delivery
from sweeps.tracking.trial_run import clean
from sweeps.tracking.uri import check_uri, obstacle
from tests.sweeps.outs import PLAN, Out

ODD = "größe #1 (neu)"


@pytest.fixture
def out(tmp_path, request) -> Out:
    """The OUT of a sweep whose experiment is the test's own."""
    return Out(tmp_path / "results", plan=PLAN.model_copy(update={"name": request.node.name}))


@pytest.fixture
def deliver(uri):
    """Deliver an OUT; its runs by trial."""

    def deliver(out: Out, *, ended: bool = True) -> dict[str, object]:
        Delivery(out.root, out.plan, uri).deliver(ended=ended)
        client = MlflowClient(uri)
        found = client.search_runs([client.get_experiment_by_name(out.plan.name).experiment_id])
        return {run.data.tags["fsamc.trial"]: run for run in found}

    return deliver


SCORES = {("cap", 1, 0): 5, ("cap", 1, 1): 7, ("cap", 2, 0): 9, ("tile", 1, 0): 2, ("tile", 2, 0): 4}


def test_metrics_are_means_over_draws_then_over_seeds_and_the_seed_is_the_step(out, deliver, uri):
    out.trial(0, SCORES)
    run = deliver(out)["0"]
    # cap: seeds 0.6 and 0.9; tile: 0.2 and 0.4; so per seed 0.4 and 0.65
    expected = {
        "accuracy": 0.525,
        "accuracy_std": 0.25 / 2**0.5,
        "accuracy/cap": 0.75,
        "accuracy_std/cap": 0.3 / 2**0.5,
        "accuracy/tile": 0.3,
        "accuracy_std/tile": 0.2 / 2**0.5,
    }
    history = MlflowClient(uri).get_metric_history
    for category, by_seed in {"cap": {1: 0.6, 2: 0.9}, "tile": {1: 0.2, 2: 0.4}, "average": {1: 0.4, 2: 0.65}}.items():
        points = history(run.info.run_id, f"seed_accuracy/{category}")
        assert {point.step: point.value for point in points} == pytest.approx(by_seed)
        expected[f"seed_accuracy/{category}"] = run.data.metrics[f"seed_accuracy/{category}"]
    assert {"balanced_accuracy", "macro_f1", "objective"} == run.data.metrics.keys() - expected.keys()
    assert run.data.metrics["objective"] == pytest.approx(0.525)
    assert {name: run.data.metrics[name] for name in expected} == pytest.approx(expected)


def test_other_measures_are_those_of_the_folds(out, deliver):
    # seven of ten: both 0s and 1s are wrong at the end; 4 of 5 and 3 of 5 right
    out.trial(0, {("cap", 1, 0): 7})
    metrics = deliver(out)["0"].data.metrics
    assert "accuracy_std" not in metrics, "of one seed"
    assert metrics["balanced_accuracy"] == pytest.approx((4 / 5 + 3 / 5) / 2)
    assert metrics["macro_f1"] == pytest.approx((8 / 11 + 6 / 9) / 2)


def test_a_run_has_its_configuration_as_params_its_tags_and_artifacts(out, deliver, uri, tmp_path):
    out.trial(7, {("cap", 1, 0): 7, ("cap", 1, 1): 10})
    runs = deliver(out)
    run, parent = runs["7"], runs["parent"]
    assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    for one in (run, parent):
        assert one.data.tags["data_fingerprint"] == "d1"
        assert one.data.tags["version.torch"] == "2.15"
        assert one.data.tags["mlflow.source.git.commit"] == "c0ffee", "of the sweep, and not of the working folder"
        assert one.data.tags["mlflow.user"] == getpass.getuser()
        assert one.data.tags["mlflow.source.name"] == sys.argv[0]
        assert "mlflow.source.git.repoURL" not in one.data.tags, "which may hold a password"
    assert len(run.data.tags["config_hash"]) == 12
    assert run.info.run_name == "trial 7: contrastive, 3 shots, patches 8"
    assert parent.info.run_name == f"{out.plan.name}: results"
    kept = Path(MlflowClient(uri).download_artifacts(run.info.run_id, "", str(tmp_path)))
    config = FoldConfig.model_validate(json.loads((kept / "configuration.json").read_text()))
    assert config_hash(config) == config_hash(configuration(out.plan, out.values(7)))
    whole = {key: str(value) for key, value in flatten(config.model_dump(mode="json", exclude={"shots"})).items()}
    assert whole.items() <= {**parent.data.params, **run.data.params}.items(), "what all trials share is said once"
    assert "features.backbone" not in run.data.params
    assert out.values(7).keys().isdisjoint(parent.data.params)
    support = json.loads((kept / "support.json").read_text())
    assert list(support) == ["cap/draw 0", "cap/draw 1"]
    assert support["cap/draw 1"]["dent"] == ["test/dent/10.png", "test/dent/11.png", "test/dent/12.png"]
    confusion = pd.read_csv(kept / "confusion" / "cap.csv", index_col="true")
    assert confusion.to_dict("index") == {"crack": {"crack": 9, "dent": 1}, "dent": {"crack": 2, "dent": 8}}


def test_a_run_names_its_categories_as_data_sets_and_the_sweep_all_of_them(out, deliver):
    out.trial(0, {("tile", 1, 0): 5})
    runs = deliver(out)
    read = {name: run.inputs.dataset_inputs for name, run in runs.items()}
    (tile,) = read["0"]
    assert (tile.dataset.name, tile.dataset.digest) == ("tile", f"{'tile':0>32}")
    assert json.loads(tile.dataset.source) == {"uri": "/data/tile"}
    assert {one.dataset.name for one in read["parent"]} == {"cap", "tile", "textures"}


def test_a_trial_that_was_stopped_early_says_so_and_has_no_accuracy(out, deliver):
    out.propose(0)
    out.fold(0, ("cap", 1, 0), 3)
    out.fold(0, ("cap", 2, 0), 5)
    out.stop(0, "worse than trial 4", 0.1 + 0.2)
    run = deliver(out)["0"]
    assert run.info.status == "FINISHED"
    assert run.data.tags["stopped"] == "worse than trial 4"
    assert run.data.metrics == {"accuracy_estimate": 0.1 + 0.2, "folds": 2}


def test_users_land_on_the_table_of_runs_with_a_description_and_columns(out, deliver, uri):
    deliver(out)
    tags = MlflowClient(uri).get_experiment_by_name(out.plan.name).tags
    assert tags["mlflow.experimentKind"] == "custom_model_development"
    assert "viewStateShareKey=trials" in tags["mlflow.note.content"]
    trials, sweeps = (json.loads(tags[f"mlflow.sharedViewState.{view}"]) for view in ("trials", "sweeps"))
    varied = ["params.`head.kind`", "params.`representation.patches`"]
    assert trials["selectedColumns"] == ["metrics.`accuracy`", "metrics.`accuracy_std`", *varied]
    assert (trials["orderByKey"], trials["orderByAsc"]) == ("metrics.`accuracy`", False)
    columns = sweeps["selectedColumns"]
    assert columns[:4] == ["attributes.`User`", "attributes.`Source`", "metrics.`accuracy`", "metrics.`accuracy_std`"]
    assert {"metrics.`accuracy/tile`", *varied} <= set(columns)
    client = MlflowClient(uri)
    client.set_experiment_tag(client.get_experiment_by_name(out.plan.name).experiment_id, "mlflow.note.content", "mine")
    deliver(out)
    note = client.get_experiment_by_name(out.plan.name).tags["mlflow.note.content"]
    assert note == "mine", "people may change the description"


def test_a_run_lists_first_what_differs_between_trials_and_its_accuracy(out, deliver):
    out.trial(0, SCORES)
    run = deliver(out)["0"]
    assert list(run.data.params)[:2] == ["head.kind", "representation.patches"]
    assert list(run.data.metrics)[:2] == ["accuracy", "accuracy_std"]


def test_a_sweep_has_the_accuracies_of_its_best_trial_also_when_it_goes_on(out, deliver):
    out.trial(0, {("cap", 1, 0): 5, ("cap", 2, 0): 6, ("tile", 1, 0): 7, ("tile", 2, 0): 7})
    out.trial(1, {("cap", 1, 0): 9, ("cap", 2, 0): 6, ("tile", 1, 0): 8, ("tile", 2, 0): 7})
    out.end()
    assert_has_accuracies_of("1", deliver(out))
    out.reopen()
    out.trial(2, {("cap", 1, 0): 10, ("cap", 2, 0): 6, ("tile", 1, 0): 10, ("tile", 2, 0): 7})
    out.end()
    assert_has_accuracies_of("2", deliver(out))


def assert_has_accuracies_of(best, runs):
    of_best = {name: value for name, value in runs[best].data.metrics.items() if name.startswith("accuracy")}
    assert len(of_best) == 6
    assert of_best.items() <= runs["parent"].data.metrics.items()


def test_an_ended_sweep_has_the_best_average_its_tables_and_the_figures_at_their_trial(out, deliver, uri):
    out.trial(0, {("cap", 1, 0): 5})
    out.trial(1, {("cap", 1, 0): 8})
    (out.root / "figures").mkdir()
    (out.root / "figures" / "cap.png").write_bytes(b"picture")
    out.folder.note({"figures": {"trial": 1, "files": ["figures/cap.png"]}})
    out.end()
    runs = deliver(out)
    parent = runs["parent"]
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics == {
        "best_accuracy": 0.8,
        "best_objective": 0.8,
        "best_trial": 1,
        "recommended_trial": 0,
        "accuracy": 0.8,
        "accuracy/cap": 0.8,
    }
    assert "trial 1 (contrastive, 3 shots, patches 2)" in parent.data.tags["mlflow.note.content"]
    client = MlflowClient(uri)
    files = {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert files == {"plan.yaml", "best.yaml", "folds.csv", "summary.csv", "support.csv", "report.html"}
    assert [file.path for file in client.list_artifacts(runs["1"].info.run_id, "figures")] == ["figures/cap.png"]
    assert client.list_artifacts(runs["0"].info.run_id, "figures") == []


def test_categories_may_be_called_anything_and_lists_may_be_long(tmp_path, request, deliver):
    files = [f"{ODD}/test/crack/{n:0200}.png" for n in range(100)]
    changes = {"pseudo.foreground": {ODD: "whole"}, "support": {"shots_from": "files", "files": files}}
    plan = PLAN.model_copy(update={"name": request.node.name, "base": updated(PLAN.base, changes)})
    out = Out(tmp_path / "results", categories=(ODD,), plan=plan)
    out.trial(0, {(ODD, 1, 0): 5})
    run = deliver(out)["0"]
    assert run.info.status == "FINISHED"
    assert run.data.metrics[f"accuracy/{clean(ODD)}"] == 0.5
    shared = deliver(out)["parent"].data.params
    assert shared[clean(f"pseudo.foreground.{ODD}")] == "whole"
    assert len(shared["support.files"]) == 6000


# --- where the runs are kept


def test_a_new_database_is_there_whole_or_not_at_all(tmp_path, monkeypatch):
    def half(address: str) -> None:
        Path(address.removeprefix("sqlite:///")).write_text("half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(tracking_uri, "MlflowClient", half)
        with pytest.raises(KeyboardInterrupt):
            tracking_uri.open_client(f"sqlite:///{tmp_path / 'runs.db'}")
    assert not (tmp_path / "runs.db").exists()
    tracking_uri.open_client(f"sqlite:///{tmp_path / 'runs.db'}").search_experiments()
    assert (tmp_path / "runs.db").exists()


def test_artifacts_lie_beside_the_database_and_never_in_the_working_folder(out, deliver, uri, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out.trial(0)
    deliver(out)
    assert [entry.name for entry in tmp_path.iterdir()] == ["results"]
    assert not (out.root / "mlartifacts").exists()
    database = Path(uri.removeprefix("sqlite:///"))
    assert (database.parent / "mlartifacts").is_dir()


def test_a_deleted_experiment_is_noticed_before_the_start(out, deliver, uri):
    deliver(out)
    assert check_uri(uri, out.plan.name) is None
    client = MlflowClient(uri)
    client.delete_experiment(client.get_experiment_by_name(out.plan.name).experiment_id)
    problem = check_uri(uri, out.plan.name)
    assert problem is not None
    assert "deleted" in problem
    assert out.plan.name in problem


def test_what_stops_a_sweep_is_told_in_one_line():
    full = OperationalError("INSERT\nINTO runs", {}, Exception("database or disk is full"))
    assert obstacle(full) == "MLflow: (builtins.Exception) database or disk is full"
    assert obstacle(MlflowException("connection\nrefused")) == "MLflow: connection refused"
    assert (
        obstacle(OSError(28, "No space left on device", "/out/folds.csv")) == "/out/folds.csv: No space left on device"
    )
    assert obstacle(FileNotFoundError(2, "No such file", "x")) is None
    assert obstacle(ValueError("ours")) is None


def test_versions_are_those_of_what_numbers_depend_on():
    assert {"fsamc", "ray", "torch", "mlflow", "optuna", "numpy"} <= set(installed_versions())


def test_names_that_mlflow_does_not_allow_stay_apart():
    names = [clean(name) for name in ("a#b", "a%b", "a,b", "a_b", "a b")]
    assert len(set(names)) == 5
    assert names[3:] == ["a_b", "a b"]
    for name in names:
        _validate_metric_name(name)
