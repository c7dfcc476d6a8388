"""Whole sweeps on Ray, through the command line."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import ray

from fsamc.store.store import Store
from sweeps.results.choices import recommendation
from sweeps.results.reader import SweepReader
from sweeps.results.tables import over_shots
from tests import one_ray
from tests.sweeps.asleep import folds_that_sleep
from tests.sweeps.small import (
    Lab,
    assert_same_results,
    assert_tracked,
    fill,
    fsamc,
    n_rows,
    notes,
    runs,
    table,
    titles,
    without_numbers,
)

pytestmark = pytest.mark.ray

N_FOLDS = 16
ACTORS = ("ray::FoldService", "ray::BankActor", "ray::ImplicitFunc")
BUILDS = {"features": 4, "statistics": 2, "pseudo": 2, "bank": 4, "nearest": 4, "sourcerows": 2, "vectors": 6}


def test_every_fold_has_a_row_in_order_that_its_predictions_bear_out(done):
    folds = pd.read_csv(done.root / "reference" / "folds.csv")
    assert len(folds) == N_FOLDS
    assert (folds["status"] == "ok").all()
    where = ["trial", "category", "seed", "draw", "shots"]
    assert folds[where].to_numpy().tolist() == sorted(folds[where].to_numpy().tolist())
    assert set(zip(folds["head"], folds["support.mean"], strict=True)) == {
        (head, mean) for head in ("prototype", "contrastive") for mean in ("embedding", "residual")
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


def test_mlflow_and_the_summary_give_the_same_number_of_every_trial(done):
    out = done.root / "reference"
    assert_tracked(out, trials=4)
    summary = over_shots(pd.read_csv(out / "summary.csv")).set_index(["trial", "category"])
    for number, run in runs(out)[1].items():
        mean, std = summary.loc[(number, "average"), ["mean", "std"]]
        assert (run.data.metrics["accuracy"], run.data.metrics["accuracy_std"]) == pytest.approx((mean, std), abs=1e-6)
        assert run.data.tags["data_fingerprint"] == notes(out)["fingerprint"]


def test_the_screen_shows_the_size_the_trials_the_tables_and_nothing_else(done):
    assert (done.root / "errors").read_text() == ""
    expected = [
        r"small: 4 trials \(grid\), 16 folds on 2 categories x 2 seeds x 1 draw: cap, tile",
        r"backbone .*/tiny.pt2: an exported program, with the licence of its weights",
        rf"preparing ({'|'.join(BUILDS)}) of (cap|tile).*",
        r"trial   [0-3]  (prototype|contrastive), 2 shots, mean (embedding|residual)  .+ ± .+ %   best .+, \d+/16 .+",
        r"small|where the time went|accuracy in %, mean ± std over seeds; \* best of a column",
        r"[┏┃┡│└].+",
        r"trial [0-3]: .+ ± .+ %, chosen by accuracy on the queries that are reported: selection on the test set; "
        r"([0-2] of the 3 other trials cannot|no other trial can) be told apart from it",
        r"peak memory \d\.\d GiB, \d+ s in all",
        rf"report   {done.root}/reference/report.html|best.yaml is trial [0-3].+",
        rf"figures  fsamc figures {done.root}/reference",
        rf"MLflow   fsamc ui {done.root}/reference",
    ]
    lines = [line.strip() for line in (done.root / "screen").read_text().splitlines()]
    assert [line for line in lines if not any(re.fullmatch(form, line) for form in expected)] == []
    assert [form for form in expected if not any(re.fullmatch(form, line) for line in lines)] == []


@pytest.mark.slow
def test_one_worker_on_a_warm_cache_builds_nothing_and_leaves_ray_as_it_was(done):
    one_ray.up()
    (before,) = ray.nodes()
    out = done.sweep(done.plan(), "--no-reuse", "resources.workers=1", out="warm")
    assert_same_results(out, done.root / "reference")
    assert notes(out)["builds"] == dict.fromkeys(BUILDS, 0)
    assert notes(out)["folds_reused"] == 0
    stages = notes(out)["stages"]
    heads = sum(stages[name] for name in ("pretrain", "finetune", "classify"))
    assert heads > stages["inputs"], stages  # of vectors of 16 channels a head is trained in milliseconds
    assert [node["NodeID"] for node in ray.nodes()] == [before["NodeID"]]
    end = time.monotonic() + 30
    while left := [name for name in titles() if name.startswith(ACTORS)]:
        assert time.monotonic() < end, left
        time.sleep(0.1)
    assert ray.available_resources()["CPU"] == 2


@pytest.mark.slow
def test_the_plan_in_out_runs_again_as_it_is_on_folds_that_are_finished(done):
    out = done.sweep(done.root / "reference" / "plan.yaml", out="again")
    assert_same_results(out, done.root / "reference")
    assert notes(out)["folds_reused"] == N_FOLDS
    assert notes(out)["stages"] == {}
    assert_tracked(out, trials=4)


@pytest.mark.slow
def test_the_best_configuration_is_a_plan_that_runs(done):
    out = done.sweep(done.root / "reference" / "best.yaml", out="best")
    folds, saved = table(done.root / "reference"), SweepReader(done.root / "reference")
    mine = folds[folds["config"] == table(out)["config"].unique().item()]
    recommended = recommendation(saved.plan, saved.folds, saved.measured)
    assert mine["trial"].unique().tolist() == [str(recommended.trial)]
    assert without_numbers(table(out)) == without_numbers(mine.drop(columns=["head.kind", "support.mean"]))


# --- without folds


@pytest.fixture(scope="module")
def quick(materials: Path, tmp_path_factory) -> Lab:
    """A lab in which a sweep whose folds answer at once has run into `reference`."""
    lab = Lab(materials / "data", materials / "textures", materials / "tiny.pt2", tmp_path_factory.mktemp("quick"))
    with folds_that_sleep():
        lab.sweep(lab.plan(), out="reference")
    return lab


def test_a_driver_killed_half_way_is_resumed_to_the_same_table(quick):
    out, words = quick.root / "killed", quick.words(quick.plan(), "--no-reuse", out="killed")
    quick.kill_when(lambda: n_rows(out) >= N_FOLDS // 2, words, asleep=0.3)
    assert N_FOLDS // 2 <= n_rows(out) < N_FOLDS
    before = {number: run.info.run_id for number, run in runs(out)[1].items()} if (out / "mlflow.db").exists() else {}
    with folds_that_sleep():
        quick.finish([*words, "--resume", "must"])
    assert_same_results(out, quick.root / "reference")
    assert_tracked(out, trials=4)
    assert before.items() <= {number: run.info.run_id for number, run in runs(out)[1].items()}.items()


def test_a_failed_fold_says_why_and_is_tried_again_by_the_same_command(quick, capfd):
    words, out = quick.words(quick.plan(), out="failing", cache="failing"), quick.root / "failing"
    with folds_that_sleep(fails=("tile",)):
        assert fsamc(*words) == 1
    output, errors = capfd.readouterr()
    assert errors == "fsamc: 4 of 4 trials failed; the same command tries them again\n"
    assert output.count("tile, seed 1, draw 0: OSError: tile: cannot be read") == 4
    folds = table(out)
    failed = folds[folds["category"] == "tile"]
    assert len(failed) == 8
    assert set(failed["status"]) == {"failed: OSError: tile: cannot be read"}
    assert (failed["accuracy"] == "").all()
    assert (folds[folds["category"] == "cap"]["status"] == "ok").all()
    parents, children = runs(out)
    assert [run.info.status for run in (*parents, *children.values())] == ["FAILED"] * 5
    assert not any(run.data.metrics for run in children.values())
    with folds_that_sleep():
        quick.finish(words)
    assert_same_results(out, quick.root / "reference")
    assert_tracked(out, trials=4)


def test_sigterm_finishes_the_running_folds_and_every_line_is_an_event(quick, capfd):
    out = quick.root / "term"

    def terminate() -> None:
        until(lambda: n_rows(out) >= 3)
        os.kill(os.getpid(), signal.SIGTERM)

    with folds_that_sleep(0.4):
        threading.Thread(target=terminate, daemon=True).start()
        code = fsamc(*quick.words(quick.plan(), "--no-reuse", "--json", out="term"))
    output, errors = capfd.readouterr()
    assert code == 1, errors
    assert errors == "fsamc: interrupted; the same command goes on where this one stopped\n"
    events = [json.loads(line) for line in output.splitlines()]
    assert events[0]["event"] == "started"
    (finishing,) = (place for place, event in enumerate(events) if event["event"] == "finishing")
    assert events[finishing]["reason"] == "interrupted"
    later = [event for event in events[finishing:] if event["event"] == "fold"]
    assert len(later) <= events[finishing]["folds"] + 1  # one more may have been told meanwhile
    end = events[-1]
    assert (end["event"], end["status"]) == ("done", "interrupted")
    folds = [event for event in events if event["event"] == "fold"]
    assert len(folds) == n_rows(out) == end["folds_done"] < N_FOLDS == end["folds"]
    assert Path(end["files"]["report"]).exists()
    assert notes(out)["status"] == "interrupted"
    with folds_that_sleep():  # it goes on with no more words than the folder
        assert fsamc("sweep", "--no-figures", "--out", out) == 0
    assert_same_results(out, quick.root / "reference")


@pytest.mark.slow
@pytest.mark.usefixtures("asleep")
def test_a_sweep_that_is_extended_twice_is_the_one_that_had_as_many_trials_from_the_start(lab):
    def random(trials: int) -> Path:
        space = {"representation.patches": {"integers": [2, 30]}}
        search = {"algorithm": "random", "trials": trials}
        return lab.plan(f"random{trials}.yaml", space=space, folds={"seeds": [1], "shots": [1, 2]}, search=search)

    whole, out = lab.sweep(random(4), out="whole"), lab.sweep(random(2), out="extended")
    assert fsamc("sweep", "--no-figures", "--extend", 1, "--out", out) == 0
    assert notes(out)["trials"] == 3
    assert fsamc(*lab.words(random(2), "--extend", "1", out="extended")) == 0  # all words, as at first
    pd.testing.assert_frame_equal(table(out), table(whole))
    assert "trials: 4" in (out / "plan.yaml").read_text()
    assert fsamc("sweep", "--no-figures", "--out", out) == 0  # nothing is left to do
    assert notes(out)["trials"] == 4


@pytest.mark.slow
def test_a_disk_that_fills_up_ends_the_sweep_in_one_line_and_it_goes_on_later(quick, disk, capfd):
    small_disk = disk("size=80m")
    out, filler = small_disk / "out", small_disk / "filler"
    words = quick.words(quick.plan(), out=str(out), cache="full-cache")
    one_ray.up()
    with folds_that_sleep(0.2):
        filling = threading.Thread(target=lambda: (until(lambda: n_rows(out) >= 1), fill(filler)))
        filling.start()
        assert fsamc(*words) == 1
        filling.join()
    output, errors = capfd.readouterr()
    assert len(errors.splitlines()) == 1
    assert re.match(r"fsamc: .*(No space left on device|disk is full).*run the same command again$", errors)
    assert "Traceback" not in output
    filler.unlink()
    with folds_that_sleep():
        quick.finish(words)
    pd.testing.assert_frame_equal(table(out), table(quick.root / "reference"))
    assert_tracked(out, trials=4)


def until(reached: Callable[[], bool]) -> None:
    while not reached():
        time.sleep(0.01)


# --- a finished sweep


@pytest.fixture
def no_ray(monkeypatch) -> None:
    """It seems that no Ray is up in this process, and none can be started; the one of other tests stays."""

    def started(*args: object, **settings: object) -> None:
        raise AssertionError("Ray was started")

    monkeypatch.setattr(ray, "init", started)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "shutdown", lambda: None)


OPTUNA = {"search": {"algorithm": "optuna", "trials": 3}}


@pytest.mark.parametrize("change", [{}, pytest.param(OPTUNA, marks=pytest.mark.slow)], ids=["grid", "optuna"])
def test_a_finished_sweep_that_is_run_again_ends_with_its_table_and_its_report_without_ray(
    quick, change, request, capfd
):
    out, words = quick.root / request.node.callspec.id, quick.words(quick.plan(**change), out=request.node.callspec.id)
    with folds_that_sleep(report=True):
        quick.finish(words)
    first = capfd.readouterr().out
    before = table(out)
    (out / "report.html").unlink()
    request.getfixturevalue("no_ray")
    assert fsamc(*words) == 0
    again = capfd.readouterr().out
    pd.testing.assert_frame_equal(table(out), before)
    assert (out / "report.html").exists()
    shown, shown_again = (text[text.index("accuracy in %") :].partition("peak memory")[0] for text in (first, again))
    assert shown == shown_again
    assert notes(out)["status"] == "done"
    assert_tracked(out, trials=len(before["trial"].unique()))


def test_another_plan_and_another_image_are_noticed_before_ray_is_started(quick, no_ray, tmp_path, capfd):
    reference = quick.root / "reference"
    other = quick.plan(name="other.yaml", folds={"seeds": [1, 3]})
    assert fsamc(*quick.words(other, out="reference")) == 2
    assert "the sweep there has another plan (folds.seeds was [1, 2] and is [1, 3])" in capfd.readouterr().err
    shutil.copytree(quick.data, tmp_path / "data")
    shutil.copy(quick.data / "cap/test/dent/000.png", tmp_path / "data/cap/test/dent/001.png")
    moved = replace(quick, data=tmp_path / "data")
    before = (reference / "folds.csv").read_bytes()
    assert fsamc(*moved.words(quick.plan(), out="reference")) == 2
    assert "the sweep there ran on other data (category cap differs)" in capfd.readouterr().err
    assert (reference / "folds.csv").read_bytes() == before
