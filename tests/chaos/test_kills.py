"""Kills, signals and full disks under whole sweeps on real folds: `make chaos` and `make test-slow` run them."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import time
from pathlib import Path

import pandas as pd
import pytest
import ray

from cluster import runtime
from fsamc.data.category import load_category
from fsamc.data.textures import load_textures
from fsamc.fold.run import run_fold
from fsamc.store.store import Store
from sweeps.plan.configurations import configuration
from sweeps.plan.load import load_plan
from sweeps.search import make_proposer
from tests.chaos.places import kill_titled
from tests.mlflow_server import mlflow_server
from tests.ray_cluster import RayCluster
from tests.sweeps.in_mlflow import contents
from tests.sweeps.small import (
    FSAMC,
    PLAN,
    Lab,
    assert_same_results,
    assert_tracked,
    fill,
    fsamc,
    n_rows,
    notes,
    runs,
    table,
    wait_for,
)

pytestmark = [pytest.mark.ray, pytest.mark.slow]

N_FOLDS = 16
BUILDS = {"features": 4, "pseudo": 2, "bank": 4, "nearest": 4}
RANDOM = {
    "space": {"representation.patches": {"integers": [2, 30]}, "finetune.lr": {"loguniform": [1e-4, 1e-2]}},
    "base": {**PLAN["base"], "head": {**PLAN["base"]["head"], "kind": "contrastive"}},
    "search": {"algorithm": "random", "trials": 4},
}


@pytest.fixture(scope="module")
def done(materials: Path, tmp_path_factory) -> Lab:
    """A lab in which an undisturbed sweep has run into `reference`, from the cache `cache`."""
    lab = Lab(materials / "data", materials / "textures", materials / "tiny.pt2", tmp_path_factory.mktemp("kills"))
    lab.sweep(lab.plan(), out="reference")
    return lab


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


def assert_built_once(out: Path, lab: Lab) -> None:
    """As many builds of each kind as of an undisturbed sweep, which has one per key."""
    builds = notes(out)["builds"]
    assert builds == notes(lab.root / "reference")["builds"]
    assert builds.items() >= BUILDS.items()


def assert_as_without_ray(out: Path, lab: Lab) -> None:
    """Every row is what the plan's trials and a fold by itself say."""
    plan = load_plan(str(out / "plan.yaml"))
    proposed, store, textures = (
        [*make_proposer(plan).foreseen()],
        Store(lab.root / "cache"),
        load_textures(lab.textures),
    )
    folds = pd.read_csv(out / "folds.csv")
    assert len(folds) == N_FOLDS
    for row in folds.to_dict("records"):
        config = configuration(plan, proposed[row["trial"]])
        category = load_category(lab.data, row["category"])
        result = run_fold(category, config, seed=row["seed"], draw=row["draw"], store=store, textures=textures)
        assert (row["correct"], row["queries"]) == (result.correct, result.queries)
        assert row["representation.patches"] == config.representation.patches
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


def test_a_second_ctrl_c_stops_at_once(done):
    out = done.root / "twice"
    process = done.start(done.words(done.plan(), "--no-reuse", out="twice"))
    wait_for(lambda: n_rows(out) >= 3, process)
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    said = next(line for line in process.stdout if line.startswith("interrupted"))
    assert said.rstrip().endswith("no more are started; Ctrl-C again stops at once")
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 1, errors
    assert errors == "fsamc: interrupted; the same command goes on where this one stopped\n"
    assert "Traceback" not in output
    assert fsamc("sweep", "--no-figures", "--out", out) == 0
    pd.testing.assert_frame_equal(table(out), table(done.root / "reference"))


def test_a_driver_killed_among_folds_of_several_shots_is_resumed_to_the_same_table(done):
    plan = done.plan("shots.yaml", folds={"seeds": [1], "shots": [1, 2, 3]})
    reference = done.sweep(plan, out="shots-reference")
    out = done.root / "shots"
    words = done.words(plan, "--no-reuse", "resources.workers=2", out="shots")
    done.kill_when(lambda: n_rows(out) >= 8, words)
    assert 8 <= n_rows(out) < 24
    done.finish(words)
    assert_same_results(out, reference)
    assert len(table(out).drop_duplicates(["trial", "category", "shots"])) == len(table(out)) == 24
    assert_tracked(out, trials=4)
    left, right = (
        contents(f"sqlite:///{folder}/mlflow.db", "small", notes(folder)["run"], done.root / f"{folder.name}-runs")
        for folder in (out, reference)
    )
    assert {name: run["metrics"] for name, run in left.items()} == {name: run["metrics"] for name, run in right.items()}


def test_every_process_may_die_once(done):
    """A worker, a trial's own process, a bank actor and the fold service, each killed while the sweep runs."""
    out = done.root / "chaos"
    process = done.start(done.words(done.plan(), "resources.workers=2", out="chaos", cache="chaos-cache"))
    for enough, victim in enumerate(["ray::_run_fold", "ray::ImplicitFunc", "ray::BankActor", "ray::FoldService"]):
        wait_for(lambda enough=enough: n_rows(out) > 2 * enough, process)
        wait_for(lambda victim=victim: kill_titled([process.pid], victim), process)
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, f"{output}\n{errors}"
    assert_same_results(out, done.root / "reference")
    assert_tracked(out, trials=4)
    assert_built_once(out, done)
    assert not re.search("Traceback|raylet|Ray", output + errors)


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


def test_a_cache_that_fills_up_ends_the_sweep_in_one_line_and_it_goes_on_later(done, disk):
    small_disk = disk("size=80m")
    words = done.words(done.plan(), out="full", cache=str(small_disk / "cache"))
    out, filler = done.root / "full", small_disk / "filler"
    process = done.start(words)
    wait_for(lambda: (out / "identity.json").exists(), process)
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


def test_a_whole_sweep_whose_server_dies_is_done_and_delivered_by_the_documented_command(lab, tmp_path_factory):
    with mlflow_server(tmp_path_factory.mktemp("own")) as server:
        more = ["resources.tracking_patience=1", "--tracking-uri", server.uri]
        process = lab.start(lab.words(lab.plan(), *more))
        wait_for(lambda: n_rows(lab.root / "out") >= 2, process)
        server.kill()
        output, errors = process.communicate(timeout=300)
        assert (process.returncode, errors) == (0, "")
        assert "are not delivered to MLflow" in output
        assert f"fsamc track {lab.root / 'out'}" in " ".join(output.split())
        server.start()
        assert fsamc("track", lab.root / "out") == 0
        undisturbed = lab.sweep(lab.plan(), *more, out="second/out")
        runs = [notes(folder)["run"] for folder in (lab.root / "out", undisturbed)]
        found = [contents(server.uri, "small", run, lab.root / run) for run in runs]
        for run in (run for sweep in found for run in sweep.values()):
            for file in ("folds.csv", "report.html"):  # they tell seconds
                run["artifacts"].pop(file, None)
        assert found[0] == found[1]
        assert sorted(found[0]) == ["0", "1", "2", "3", "parent"]
