from __future__ import annotations

import json
import time
from pathlib import Path

import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import OperationalError

from fsamc.config import FoldConfig
from fsamc.config.dotted import updated
from fsamc.result import FoldResult
from sweeps import tracking_uri
from sweeps.tracking import Tracker, describe, versions
from sweeps.tracking_uri import check_uri, obstacle

CONFIG = updated(FoldConfig(), {"features.backbone": "resnet18", "features.weights": "random", "shots": 3})
ODD = "größe #1 (neu)"


@pytest.fixture(scope="module")
def uri(tmp_path_factory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'runs.db'}"


@pytest.fixture
def opened(uri, tmp_path, request):
    """Trackers of an experiment that is the test's own."""
    name = request.node.name

    def opened(sweep: str = "s1") -> Tracker:
        return Tracker(uri, experiment=name, sweep=sweep, artifacts=tmp_path / "unused", tags={"data": "d1"})

    opened.name = name
    return opened


@pytest.fixture
def runs(uri, opened):
    def runs() -> dict[str, object]:
        client = MlflowClient(uri)
        experiment = client.get_experiment_by_name(opened.name)
        found = client.search_runs([experiment.experiment_id])
        return {f"{run.data.tags['fsamc.sweep']} {run.data.tags['fsamc.trial']}": run for run in found}

    return runs


def folds(scores: dict[tuple[str, int, int], float], status: str = "ok") -> pd.DataFrame:
    rows = [
        {"trial": 0, "category": c, "seed": s, "draw": d, "shots": 3, "accuracy": a, "status": status}
        for (c, s, d), a in scores.items()
    ]
    return pd.DataFrame(rows)


def result(category: str = "cap", predicted: tuple[int, ...] = (0, 1, 1), draw: int = 0) -> FoldResult:
    return FoldResult(
        key="k",
        category=category,
        seed=1,
        draw=draw,
        shots=3,
        head="prototype",
        classes=("crack", "dent"),
        support={"crack": ("test/crack/0.png",), "dent": ("test/dent/0.png",)},
        images=("a", "b", "c"),
        truth=(0, 0, 1),
        predicted=predicted,
        scores=((0.0, 0.0),) * 3,
        left_out=0,
        rounds=0,
        learning=(),
        stages={},
    )


SCORES = {("cap", 1, 0): 0.5, ("cap", 1, 1): 0.7, ("cap", 2, 0): 0.9, ("tile", 1, 0): 0.2, ("tile", 2, 0): 0.4}


def test_metrics_are_means_over_draws_then_over_seeds_and_the_seed_is_the_step(opened, runs, uri):
    with opened() as tracker:
        tracker.start(0, CONFIG)
        tracker.finish(0, CONFIG, folds(SCORES), [result(), result("tile")])
        tracker.close("FINISHED", None, [])
    run = runs()["s1 0"]
    # cap: seeds 0.6 and 0.9; tile: 0.2 and 0.4; so per seed 0.4 and 0.65
    expected = {
        "accuracy": 0.525,
        "accuracy_std": 0.25 / 2**0.5,
        "accuracy/cap": 0.75,
        "accuracy_std/cap": 0.3 / 2**0.5,
        "accuracy/tile": 0.3,
        "accuracy_std/tile": 0.2 / 2**0.5,
        "balanced_accuracy": 0.75,
        "macro_f1": 2 / 3,
    }
    history = MlflowClient(uri).get_metric_history
    for category, by_seed in {"cap": {1: 0.6, 2: 0.9}, "tile": {1: 0.2, 2: 0.4}, "average": {1: 0.4, 2: 0.65}}.items():
        points = history(run.info.run_id, f"seed_accuracy/{category}")
        assert {point.step: point.value for point in points} == pytest.approx(by_seed)
        expected[f"seed_accuracy/{category}"] = run.data.metrics[f"seed_accuracy/{category}"]
    assert run.data.metrics == pytest.approx(expected)


def test_one_seed_has_no_deviation(opened, runs):
    with opened() as tracker:
        tracker.start(0, CONFIG)
        tracker.finish(0, CONFIG, folds({("cap", 1, 0): 0.5}), [result()])
    assert "accuracy_std" not in runs()["s1 0"].data.metrics


def test_a_run_has_its_configuration_as_params_its_tags_and_artifacts(opened, runs, uri, tmp_path):
    with opened() as tracker:
        tracker.start(7, CONFIG)
        two = [result(predicted=(0, 1, 1)), result(predicted=(1, 1, 0), draw=1)]
        tracker.finish(7, CONFIG, folds(SCORES), two)
    run, parent = runs()["s1 7"], runs()["s1 parent"]
    assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert run.data.tags["data"] == parent.data.tags["data"] == "d1"
    assert len(run.data.tags["config_hash"]) == 12
    assert run.info.run_name == "trial 7: contrastive, 3 shots"
    assert parent.info.run_name == opened.name
    assert run.data.params["shots"] == "3"
    assert run.data.params["features.backbone"] == "resnet18"
    assert run.data.params["pretrain.lr"] == "0.0001"
    kept = Path(MlflowClient(uri).download_artifacts(run.info.run_id, "", str(tmp_path)))
    assert FoldConfig.model_validate(json.loads((kept / "configuration.json").read_text())) == CONFIG
    support = json.loads((kept / "support.json").read_text())
    assert support["cap/draw 0"] == {"crack": ["test/crack/0.png"], "dent": ["test/dent/0.png"]}
    assert list(support) == ["cap/draw 0", "cap/draw 1"]
    confusion = pd.read_csv(kept / "confusion" / "cap.csv", index_col="true")
    # true crack, crack, dent: once crack, dent, dent and once dent, dent, crack
    assert confusion.to_dict("index") == {"crack": {"crack": 1, "dent": 3}, "dent": {"crack": 1, "dent": 1}}


def test_users_land_on_the_table_of_runs(opened, uri):
    with opened():
        pass
    experiment = MlflowClient(uri).get_experiment_by_name(opened.name)
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"


def test_a_resumed_sweep_goes_on_with_its_own_runs_and_no_other(opened, runs):
    first = opened("s1")
    first.start(0, CONFIG)
    first.start(1, CONFIG)  # and here the driver is killed
    with opened("s2") as other:
        other.start(0, CONFIG)
    before = {name: run.info.run_id for name, run in runs().items()}
    with opened("s1") as again:
        for number in (0, 1, 2):
            again.start(number, CONFIG)
            again.finish(number, CONFIG, folds(SCORES), [result()])
        again.close("FINISHED", None, [])
    after = runs()
    assert set(after) == {"s1 parent", "s1 0", "s1 1", "s1 2", "s2 parent", "s2 0"}
    assert {name: after[name].info.run_id for name in before} == before
    statuses = {name: run.info.status for name, run in after.items()}
    assert statuses == {**dict.fromkeys(after, "FINISHED"), "s2 parent": "KILLED", "s2 0": "KILLED"}


def test_scores_are_logged_once_even_if_the_driver_is_killed_after_it(opened, runs, uri, monkeypatch):
    killed = opened()
    killed.start(0, CONFIG)
    monkeypatch.setattr(killed._client, "log_artifacts", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        killed.finish(0, CONFIG, folds(SCORES), [result()])
    with opened() as again:
        again.start(0, CONFIG)
        again.finish(0, CONFIG, folds(SCORES), [result()])
    run = runs()["s1 0"]
    assert run.info.status == "FINISHED"
    history = MlflowClient(uri).get_metric_history(run.info.run_id, "seed_accuracy/cap")
    assert len(history) == 2


def test_a_failed_trial_has_no_score_until_it_succeeds(opened, runs):
    with opened() as tracker:
        tracker.start(0, CONFIG)
        tracker.fail(0)
        tracker.close("FAILED", None, [])
    assert runs()["s1 0"].info.status == runs()["s1 parent"].info.status == "FAILED"
    assert runs()["s1 0"].data.metrics == {}
    with opened() as tracker:
        tracker.start(0, CONFIG)
        assert runs()["s1 0"].info.status == "RUNNING"
        tracker.finish(0, CONFIG, folds(SCORES), [result()])
    assert runs()["s1 0"].info.status == "FINISHED"
    assert runs()["s1 0"].data.metrics["accuracy"] == pytest.approx(0.525)


def test_an_error_closes_what_is_open(opened, runs):
    def press_ctrl_c() -> None:
        with opened() as tracker:
            tracker.start(0, CONFIG)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        press_ctrl_c()
    assert {run.info.status for run in runs().values()} == {"KILLED"}


def test_closing_keeps_the_best_average_and_the_files(opened, runs, uri, tmp_path):
    (tmp_path / "summary.csv").write_text("x")
    summary = pd.DataFrame({"category": ["cap", "average", "average"], "mean": [0.9, 0.5, 0.7]})
    with opened() as tracker:
        tracker.close("FINISHED", summary, [tmp_path / "summary.csv", tmp_path / "missing.csv"])
    parent = runs()["s1 parent"]
    assert parent.data.metrics == {"best_accuracy": 0.7}
    assert [file.path for file in MlflowClient(uri).list_artifacts(parent.info.run_id)] == ["summary.csv"]


def test_categories_may_be_called_anything_and_lists_may_be_long(opened, runs):
    files = [f"{ODD}/test/crack/{n:0200}.png" for n in range(100)]
    changes = {"pseudo.foreground": {ODD: "whole"}, "support": {"shots_from": "files", "files": files}}
    config = updated(CONFIG, changes)
    with opened() as tracker:
        tracker.start(0, config)
        tracker.finish(0, config, folds({(ODD, 1, 0): 0.5}), [result(ODD)])
    run = runs()["s1 0"]
    assert run.info.status == "FINISHED"
    assert run.data.metrics["accuracy/größe _1 _neu_"] == 0.5
    assert run.data.params["pseudo.foreground.größe _1 _neu_"] == "whole"
    assert len(run.data.params["support.files"]) == 6000


def test_a_trial_takes_little_of_the_drivers_time(opened):
    with opened() as tracker:
        started = time.process_time()
        for number in range(10):
            tracker.start(number, CONFIG)
            tracker.finish(number, CONFIG, folds(SCORES), [result()])
        assert (time.process_time() - started) / 10 < 0.3


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


def test_artifacts_lie_beside_the_database_and_never_in_the_working_folder(opened, uri, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with opened() as tracker:
        tracker.start(0, CONFIG)
        tracker.finish(0, CONFIG, folds(SCORES), [result()])
    assert list(tmp_path.iterdir()) == []
    database = Path(uri.removeprefix("sqlite:///"))
    assert (database.parent / "mlartifacts").is_dir()


def test_a_deleted_experiment_is_noticed_before_the_start(opened, uri):
    with opened():
        pass
    assert check_uri(uri, opened.name) is None
    client = MlflowClient(uri)
    client.delete_experiment(client.get_experiment_by_name(opened.name).experiment_id)
    problem = check_uri(uri, opened.name)
    assert problem is not None
    assert "deleted" in problem
    assert opened.name in problem


def test_what_stops_a_sweep_is_told_in_one_line():
    full = OperationalError("INSERT\nINTO runs", {}, Exception("database or disk is full"))
    assert obstacle(full) == "MLflow: (builtins.Exception) database or disk is full"
    assert obstacle(MlflowException("connection\nrefused")) == "MLflow: connection refused"
    assert (
        obstacle(OSError(28, "No space left on device", "/out/folds.csv")) == "/out/folds.csv: No space left on device"
    )
    assert obstacle(FileNotFoundError(2, "No such file", "x")) is None
    assert obstacle(ValueError("ours")) is None


def test_runs_say_what_they_were_made_with():
    tags = describe("d1")
    assert tags["data_fingerprint"] == "d1"
    assert tags["version.torch"] == versions()["torch"]
    assert {"fsamc", "ray", "mlflow", "optuna", "numpy"} <= set(versions())
