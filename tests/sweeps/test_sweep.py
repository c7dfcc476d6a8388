"""Whole sweeps on Ray, through the command line."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import ray

from cluster import runtime
from fsamc.data.category import load_category
from fsamc.data.textures import load_textures
from fsamc.fold.run import run_fold
from fsamc.store.store import Store
from sweeps.plan.load import configuration, load_plan
from sweeps.search import make_proposer
from tests import one_ray
from tests.chaos.places import kill_titled
from tests.ray_cluster import RayCluster
from tests.sweeps.small import (
    FSAMC,
    PLAN,
    Lab,
    client,
    n_rows,
    notes,
    runs,
    table,
    titles,
    wait_for,
    without_numbers,
)

pytestmark = [pytest.mark.ray, pytest.mark.slow]

N_FOLDS = 16
ACTORS = ("ray::FoldService", "ray::BankActor", "ray::ImplicitFunc")
BUILDS = {"features": 4, "pseudo": 2, "bank": 4, "nearest": 4}
RANDOM = {
    "space": {"head.patches": {"integers": [2, 30]}, "finetune.lr": {"loguniform": [1e-4, 1e-2]}},
    "base": {**PLAN["base"], "head": {**PLAN["base"]["head"], "kind": "contrastive"}},
    "search": {"algorithm": "random", "trials": 4},
}


@pytest.fixture(scope="module")
def done(materials: Path, tmp_path_factory) -> Lab:
    """A lab in which a cold sweep with two workers has run into `reference`, from the cache `cache`."""
    root = tmp_path_factory.mktemp("sweeps")
    lab = Lab(materials / "data", materials / "textures", materials / "tiny.pt2", root)
    process = lab.start(lab.words(lab.plan(), "resources.workers=2", out="reference"))
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, f"{output}\n{errors}"
    (root / "screen").write_text(output)
    (root / "errors").write_text(errors)
    return lab


def assert_same_results(out: Path, reference: Path) -> None:
    pd.testing.assert_frame_equal(table(out), table(reference))
    assert (out / "predictions.csv").read_text() == (reference / "predictions.csv").read_text()
    assert (out / "summary.csv").read_text() == (reference / "summary.csv").read_text()


def assert_tracked(out: Path, *, trials: int) -> None:
    """One parent, one child per trial below it, all finished."""
    parents, children = runs(out)
    assert [run.info.status for run in parents] == ["FINISHED"]
    assert sorted(children) == list(range(trials))
    for run in children.values():
        assert run.info.status == "FINISHED"
        assert run.data.tags["mlflow.parentRunId"] == parents[0].info.run_id


def test_every_fold_has_a_row_in_order_that_its_predictions_bear_out(done):
    folds = pd.read_csv(done.root / "reference" / "folds.csv")
    assert len(folds) == N_FOLDS
    assert (folds["status"] == "ok").all()
    where = ["trial", "category", "seed", "draw"]
    assert folds[where].to_numpy().tolist() == sorted(folds[where].to_numpy().tolist())
    assert set(zip(folds["head"], folds["shots"], strict=True)) == {
        (head, shots) for head in ("prototype", "contrastive") for shots in (2, 3)
    }
    answers = pd.read_csv(done.root / "reference" / "predictions.csv")
    answers["right"] = answers["truth"] == answers["predicted"]
    found = answers.groupby(where)["right"].agg(["sum", "size", "mean"]).reset_index()
    expected = folds[[*where, "correct", "queries", "accuracy"]].set_axis(found.columns, axis=1)
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)
    for scores, predicted in zip(answers["scores"], answers["predicted"], strict=True):
        by_class = json.loads(scores)
        assert by_class[predicted] == max(by_class.values())


def test_every_artifact_is_built_once_whatever_the_number_of_trials(done):
    out = done.root / "reference"
    assert notes(out)["builds"] == BUILDS
    built = Store(done.root / "cache", run=notes(out)["run"]).builds()
    assert len({build.key for build in built}) == len(built) == sum(BUILDS.values())
    owners = [build.about for build in built if build.kind == "bank"]
    assert sorted(owners) == ["cap, seed 1", "cap, seed 2", "tile, seed 1", "tile, seed 2"]


def test_mlflow_holds_the_sweep_as_a_parent_and_each_trial_as_a_child(done):
    out = done.root / "reference"
    assert_tracked(out, trials=4)
    folds = pd.read_csv(out / "folds.csv")
    for number, run in runs(out)[1].items():
        mine = folds[folds["trial"] == number]
        per_seed = mine.groupby(["category", "seed"])["accuracy"].mean().unstack("seed")
        means = per_seed.mean()  # over categories, per seed
        metrics = run.data.metrics
        assert metrics["accuracy"] == pytest.approx(means.mean())
        assert metrics["accuracy_std"] == pytest.approx(means.std())
        for category in ("cap", "tile"):
            assert metrics[f"accuracy/{category}"] == pytest.approx(per_seed.loc[category].mean())
            assert metrics[f"accuracy_std/{category}"] == pytest.approx(per_seed.loc[category].std())
            history = client(out).get_metric_history(run.info.run_id, f"seed_accuracy/{category}")
            assert {point.step: point.value for point in history} == pytest.approx(per_seed.loc[category].to_dict())
            assert len(history) == 2
        assert run.data.params["shots"] == str(mine["shots"].iloc[0])
        assert run.data.params["head.kind"] == mine["head"].iloc[0]
        assert run.data.params["finetune.epochs.2"] == "15"
        assert run.data.tags["config_hash"] == mine["config"].iloc[0]
        assert run.data.tags["data_fingerprint"] == notes(out)["fingerprint"]
        assert run.data.tags["version.torch"]


def test_mlflow_keeps_the_configuration_the_support_and_the_confusion_of_every_trial(done):
    out = done.root / "reference"
    answers = pd.read_csv(out / "predictions.csv")
    for number, run in runs(out)[1].items():
        kept = Path(client(out).download_artifacts(run.info.run_id, "", str(done.root / f"artifacts-{number}")))
        config = json.loads((kept / "configuration.json").read_text())
        assert config["head"]["kind"] == run.data.params["head.kind"]
        support = json.loads((kept / "support.json").read_text())["tile/draw 0"]
        shots = config["shots"]
        assert support == {name: [f"test/{name}/00{i}.png" for i in range(shots)] for name in ("blot", "chip")}
        confusion = pd.read_csv(kept / "confusion" / "tile.csv", index_col="true")
        mine = answers[(answers["trial"] == number) & (answers["category"] == "tile")]
        for true, predicted in [("blot", "blot"), ("blot", "chip"), ("chip", "blot"), ("chip", "chip")]:
            count = ((mine["truth"] == true) & (mine["predicted"] == predicted)).sum()
            assert confusion.loc[true, predicted] == count


def test_the_screen_shows_the_size_the_trials_the_tables_and_nothing_else(done):
    assert (done.root / "errors").read_text() == ""
    expected = [
        r"small: 4 trials \(grid\), 16 folds on 2 categories x 2 seeds x 1 draw: cap, tile",
        r"building (features|pseudo|bank|nearest) of (cap|tile), .+",
        r"trial   [0-3]  (prototype|contrastive), [23] shots  .+ ± .+ %   best .+ ± .+ %, \d+/16 folds, [1-4]/4.+",
        r"small|where the time went|accuracy in %, mean ± std over seeds; \* best of a column",
        r"[┏┃┡│└].+",
        r"trial [0-3]: .+ ± .+ %, chosen by accuracy on the queries that are reported: selection on the test set; "
        r"[0-3] of the 3 other trials cannot be told apart from it",
        r"peak memory \d\.\d GiB, \d+ s in all",
        rf"report   {done.root}/reference/report.html",
        rf"figures  fsamc figures {done.root}/reference",
        rf"MLflow   mlflow ui --backend-store-uri sqlite:///{done.root}/reference/mlflow.db",
        r"http://127.0.0.1:5000/#/experiments/1/runs\?workflowType=machine_learning&viewStateShareKey=trials",
    ]
    lines = [line.strip() for line in (done.root / "screen").read_text().splitlines()]
    assert [line for line in lines if not any(re.fullmatch(form, line) for form in expected)] == []
    assert [form for form in expected if not any(re.fullmatch(form, line) for line in lines)] == []


def test_one_worker_and_a_cold_cache_give_the_same_table(done):
    out = done.sweep(done.plan(), "resources.workers=1", out="one", cache="cold")
    assert_same_results(out, done.root / "reference")
    assert notes(out)["builds"] == BUILDS


def test_a_warm_cache_builds_nothing_and_gives_the_same_table(done):
    out = done.sweep(done.plan(), "--no-reuse", out="warm")
    assert_same_results(out, done.root / "reference")
    assert notes(out)["builds"] == dict.fromkeys(BUILDS, 0)
    assert notes(out)["folds_reused"] == 0
    stages = notes(out)["stages"]
    heads = sum(stages[name] for name in ("pretrain", "finetune", "classify"))
    assert heads / sum(stages.values()) > 0.9, stages


def test_the_plan_in_out_runs_again_as_it_is_on_folds_that_are_finished(done):
    out = done.sweep(done.root / "reference" / "plan.yaml", out="again")
    assert_same_results(out, done.root / "reference")
    assert notes(out)["folds_reused"] == N_FOLDS
    assert notes(out)["stages"] == {}
    assert_tracked(out, trials=4)


def test_the_best_configuration_is_a_plan_that_runs(done):
    out = done.sweep(done.root / "reference" / "best.yaml", out="best")
    folds, summary = table(done.root / "reference"), pd.read_csv(done.root / "reference" / "summary.csv")
    averages = summary[summary["category"] == "average"].set_index("trial")["mean"]
    mine = folds[folds["config"] == table(out)["config"].unique().item()]
    assert averages[int(mine["trial"].unique().item())] == averages.max()
    assert without_numbers(table(out)) == without_numbers(mine.drop(columns="head.kind"))


def test_a_driver_killed_half_way_is_resumed_to_the_same_table(done):
    out = done.root / "killed"
    words = done.words(done.plan(), "resources.workers=2", out="killed", cache="killed-cache")
    done.kill_when(lambda: n_rows(out) >= N_FOLDS // 2, words)
    assert N_FOLDS // 2 <= n_rows(out) < N_FOLDS
    before = {number: run.info.run_id for number, run in runs(out)[1].items()} if (out / "mlflow.db").exists() else {}
    done.finish([*words, "--resume", "must"])
    assert_same_results(out, done.root / "reference")
    assert notes(out)["builds"] == BUILDS
    assert_tracked(out, trials=4)
    assert before.items() <= {number: run.info.run_id for number, run in runs(out)[1].items()}.items()


def test_ctrl_c_in_a_terminal_finishes_the_running_folds_of_a_random_search_and_it_goes_on_later(done):
    out = done.root / "interrupted"
    words = done.words(done.plan("random.yaml", **RANDOM), out="interrupted")
    screen, code = in_a_terminal(words, done.root, until=lambda: n_rows(out) >= 6)
    assert code == 1
    assert "Traceback" not in screen
    assert screen.splitlines()[-1] == "fsamc: interrupted; the same command goes on where this one stopped"
    assert re.search(r"interrupted: (finishing \d running folds?|no fold is running), no more are started", screen)
    assert 6 <= n_rows(out) < N_FOLDS
    assert (out / "report.html").exists()
    assert (out / "summary.csv").exists()
    parents, children = runs(out)
    assert "RUNNING" not in [run.info.status for run in (*parents, *children.values())]
    done.finish(words)
    assert_tracked(out, trials=4)
    assert_as_without_ray(out, done)


def assert_as_without_ray(out: Path, lab: Lab) -> None:
    """Every row is what the plan's trials and a fold by itself say."""
    plan = load_plan(str(out / "plan.yaml"))
    proposed, store, textures = make_proposer(plan).foreseen(), Store(lab.root / "cache"), load_textures(lab.textures)
    folds = pd.read_csv(out / "folds.csv")
    assert len(folds) == N_FOLDS
    for row in folds.to_dict("records"):
        config = configuration(plan, proposed[row["trial"]])
        category = load_category(lab.data, row["category"])
        result = run_fold(category, config, seed=row["seed"], draw=row["draw"], store=store, textures=textures)
        assert (row["correct"], row["queries"]) == (result.correct, result.queries)
        assert row["head.patches"] == config.head.patches
        assert row["finetune.lr"] == pytest.approx(config.finetune.lr)


def in_a_terminal(words: list[str], folder: Path, *, until) -> tuple[str, int]:
    """What a command shows in a terminal where Ctrl-C is pressed, which every process of it hears; its exit code."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execve(FSAMC[0], [*FSAMC, *words], os.environ | {"COLUMNS": "120", "TERM": "xterm"})
    os.set_blocking(terminal, False)
    screen, pressed = b"", False
    while True:
        try:
            piece = os.read(terminal, 1 << 16)
            screen += piece
            if not piece:
                break
        except BlockingIOError:
            time.sleep(0.02)
        except OSError:  # the other side is closed
            break
        if not pressed and until():
            os.write(terminal, b"\x03")
            pressed = True
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(terminal)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.decode()).replace("\r", "\n").rstrip(), code


def test_optuna_loses_nothing_and_repeats_nothing_over_a_kill(done):
    plan = done.plan(
        "optuna.yaml", **RANDOM | {"search": {"algorithm": "optuna", "trials": 6, "stopping": {"kind": "none"}}}
    )
    out = done.root / "optuna"
    words = done.words(plan, out="optuna")
    done.kill_when(lambda: n_rows(out) >= 10, words)
    early = [json.loads(line) for line in (out / "trials.jsonl").read_text().splitlines()]
    done.finish(words)
    late = [json.loads(line) for line in (out / "trials.jsonl").read_text().splitlines()]
    proposed = {entry["trial"]: entry["values"] for entry in late if "values" in entry}
    assert sorted(proposed) == list(range(6))
    assert {e["trial"]: e["values"] for e in early if "values" in e}.items() <= proposed.items()
    assert len({json.dumps(values) for values in proposed.values()}) == 6
    folds = table(out)
    assert len(folds) == len(folds.drop_duplicates(["trial", "category", "seed"])) == 24
    assert (folds["status"] == "ok").all()
    assert_tracked(out, trials=6)


def test_a_running_cluster_is_used_and_left_as_it_was(done, monkeypatch):
    with RayCluster(cpus=2) as cluster:
        for name, value in cluster.lets_in.items():
            monkeypatch.setenv(name, value)
        out = done.sweep(done.plan(), "--no-reuse", "--address", cluster.gcs, out="cluster")
        assert_same_results(out, done.root / "reference")
        assert_tracked(out, trials=4)
        with pytest.raises(AssertionError):
            done.sweep(done.plan(), "resources.cpus=3", "--address", cluster.gcs, out="too-many")
        assert not (done.root / "too-many").exists()
        try:
            runtime.start(cluster.gcs, cpus=0, gpus=0)
            assert ray.util.list_named_actors(all_namespaces=True) == []
            assert ray.available_resources()["CPU"] == 2
        finally:
            ray.shutdown()


def test_a_ray_that_is_up_is_used_and_stays_up_without_the_sweeps_actors(done):
    one_ray.up()
    (before,) = ray.nodes()
    out = done.sweep(done.plan(), "--no-reuse", out="beside")
    assert_same_results(out, done.root / "reference")
    assert [node["NodeID"] for node in ray.nodes()] == [before["NodeID"]]
    end = time.monotonic() + 30
    while left := [name for name in titles() if name.startswith(ACTORS)]:
        assert time.monotonic() < end, left
        time.sleep(0.1)
    assert ray.available_resources()["CPU"] == 2


def test_every_process_may_die_once(done):
    """A worker, a trial's own process, a bank actor and the keeper, each killed with SIGKILL while the sweep runs."""
    out = done.root / "chaos"
    process = done.start(done.words(done.plan(), "resources.workers=2", out="chaos", cache="chaos-cache"))
    for enough, victim in enumerate(["ray::_run_fold", "ray::ImplicitFunc", "ray::BankActor", "ray::FoldService"]):
        wait_for(lambda enough=enough: n_rows(out) > 2 * enough, process)
        wait_for(lambda victim=victim: kill_titled([process.pid], victim), process)
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, f"{output}\n{errors}"
    assert_same_results(out, done.root / "reference")
    assert_tracked(out, trials=4)
    assert notes(out)["builds"] == BUILDS
    assert not re.search("Traceback|raylet|Ray", output + errors)


def test_a_failed_fold_says_why_and_is_tried_again_by_the_same_command(done):
    data = shutil.copytree(done.data, done.root / "data")
    lab = Lab(data, done.textures, done.backbone, done.root)
    lost = data / "tile" / "test" / "chip" / "004.png"
    out = done.root / "failing"
    words = lab.words(done.plan(), out="failing", cache="failing-cache")
    process = lab.start(words)
    wait_for((out / "identity.json").exists, process)
    lost.rename(done.root / "kept.png")  # after all checks, before its features are built
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 1
    assert errors == "fsamc: 4 of 4 trials failed; the same command tries them again\n"
    assert output.count(f"tile, seed 1, draw 0: {lost}: ") == 4
    folds = table(out)
    failed = folds[folds["category"] == "tile"]
    assert len(failed) == 8
    assert failed["status"].str.fullmatch(rf"failed: {re.escape(str(lost))}: .+").all()
    assert (failed["accuracy"] == "").all()
    assert (folds[folds["category"] == "cap"]["status"] == "ok").all()
    parents, children = runs(out)
    assert [run.info.status for run in (*parents, *children.values())] == ["FAILED"] * 5
    assert not any(run.data.metrics for run in children.values())
    (done.root / "kept.png").rename(lost)
    lab.finish(words)
    assert_same_results(out, done.root / "reference")
    assert_tracked(out, trials=4)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=80m", "tmpfs", disk], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"cannot mount a small disk: {error}")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.parametrize("full", ["out", "cache"])
def test_a_disk_that_fills_up_ends_the_sweep_in_one_line_and_it_goes_on_later(done, small_disk, full):
    places = {"out": f"full-{full}", "cache": f"full-{full}-cache"} | {full: str(small_disk / full)}
    words = done.words(done.plan(), **places)
    out, filler = done.root / places["out"], small_disk / "filler"
    process = done.start(words)
    wait_for(lambda: n_rows(out) >= (1 if full == "out" else 0) and (out / "identity.json").exists(), process)
    fill(filler)
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 1, f"{output}\n{errors}"
    assert len(errors.splitlines()) == 1
    assert re.match(r"fsamc: .*(No space left on device|disk is full).*run the same command again$", errors)
    assert "Traceback" not in output
    filler.unlink()
    done.finish(words)
    assert_same_results(out, done.root / "reference")
    assert_tracked(out, trials=4)


def fill(file: Path) -> None:
    try:
        with file.open("wb", buffering=0) as stream:
            while True:
                stream.write(bytes(1 << 16))
    except OSError:
        return
