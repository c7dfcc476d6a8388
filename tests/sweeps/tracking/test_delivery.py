"""Delivered once each, whatever dies in between: every call to MLflow fails in turn, and the end is always the same."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from markupsafe import escape
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from mlflow.tracking import MlflowClient

from fsamc.errors import BadInput
from sweeps.tracking import MlflowSync, runs_at, track
from sweeps.tracking.background import try_to_deliver
from sweeps.tracking.delivery import Delivery
from tests.sweeps.in_mlflow import contents
from tests.sweeps.outs import PLAN, Out
from tests.sweeps.small import copied_databases

CALLS = {
    MlflowClient: [
        "get_experiment_by_name",
        "create_experiment",
        "get_experiment",
        "set_experiment_tag",
        "search_runs",
        "create_run",
        "update_run",
        "log_batch",
        "log_inputs",
        "set_tag",
        "set_terminated",
    ],
    LocalArtifactRepository: ["log_artifact", "log_artifacts"],
}


class Died(Exception):
    """The server, or the driver, at a call."""


class Calls:
    """Counts the calls to MLflow; the one numbered `fatal` dies, before it does anything or after."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count, self.fatal, self.after = 0, -1, False
        for kind, names in CALLS.items():
            for name in names:
                monkeypatch.setattr(kind, name, self._watched(getattr(kind, name)))

    def die_at(self, fatal: int, *, after: bool) -> None:
        self.count, self.fatal, self.after = 0, fatal, after

    def _watched(self, call):
        def watched(*args, **kwargs):
            fatal, self.count = self.count == self.fatal, self.count + 1
            if fatal and not self.after:
                raise Died
            found = call(*args, **kwargs)
            if fatal:
                raise Died
            return found

        return watched


@pytest.fixture
def calls(monkeypatch) -> Calls:
    return Calls(monkeypatch)


def steps(out: Out) -> Iterator[bool]:
    """A small sweep with a failed trial and one that is stopped early, step by step; whether it has ended."""
    out.propose(0)
    out.fold(0, ("cap", 1, 0), 7)
    yield False
    for seed, draw in ((1, 1), (2, 0), (2, 1)):
        out.fold(0, ("cap", seed, draw), 5 + seed + draw)
    out.folder.done(0)
    out.propose(1)
    out.fold(1, ("cap", 1, 0), None)
    out.folder.failed(1)
    out.propose(2)
    out.fold(2, ("cap", 1, 0), 2)
    yield False
    out.stop(2, "worse than trial 0")
    out.propose(3)
    out.fold(3, ("cap", 1, 0), 9)
    out.end("failed")
    yield True


def sweep(root, name: str) -> Out:
    return Out(root / name / "out", sweep=name, categories=("cap",))


TURNS = [(who, after) for who in ("driver", "server") for after in (False, True)]


@pytest.mark.parametrize(
    ("turn", "step"), [(0, 11), *(pytest.param(turn, 1, marks=pytest.mark.slow) for turn in (0, 1, 2, 3))]
)
def test_whatever_call_dies_the_end_is_that_of_an_undisturbed_sweep(calls, uri, tmp_path, turn, step):
    """Before a call is done or when its answer is lost; the driver with it, or the server alone: each way in turn.

    Every eleventh call in the short form, every call in each of the four ways in the long one.
    """
    whole = sweep(tmp_path, f"whole-{turn}-{step}")
    delivery = Delivery(whole.root, whole.plan, uri)
    for ended in steps(whole):
        delivery.deliver(ended=ended)
    total, expected = calls.count, contents(uri, PLAN.name, whole.sweep, tmp_path / "whole")
    assert {name: run["status"] for name, run in expected.items()} == {
        **{"0": "FINISHED", "1": "FAILED", "2": "FINISHED", "3": "KILLED", "parent": "FAILED"}
    }
    for fatal in range(0, total, step):
        who, after = TURNS[(fatal + turn) % len(TURNS)]
        out = sweep(tmp_path, f"{turn}-{step}-{fatal}")
        delivery = Delivery(out.root, out.plan, uri)
        calls.die_at(fatal, after=after)
        for ended in steps(out):
            if try_to_deliver(delivery, ended=ended) is not None and who == "driver":
                delivery = Delivery(out.root, out.plan, uri)
            if ended:
                assert try_to_deliver(delivery, ended=True) is None
        calls.die_at(-1, after=after)
        assert contents(uri, PLAN.name, out.sweep, tmp_path / str(fatal)) == expected, f"call {fatal} of {total}"


def test_a_sweep_that_ran_without_mlflow_is_delivered_wholly_later(uri, tmp_path):
    live, later = sweep(tmp_path, "live"), sweep(tmp_path, "later")
    delivery = Delivery(live.root, live.plan, uri)
    for ended in steps(live):
        delivery.deliver(ended=ended)
    for _ in steps(later):
        pass
    Delivery(later.root, later.plan, uri).deliver(ended=True)
    found = [contents(uri, PLAN.name, out.sweep, tmp_path / out.sweep) for out in (live, later)]
    found[0]["3"]["metrics"], found[1]["3"]["metrics"] = {}, {}
    assert found[0] == found[1]


def test_delivering_again_writes_nothing_and_looks_runs_up_by_the_page(uri, tmp_path, monkeypatch):
    monkeypatch.setattr("sweeps.tracking.runs._PAGE", 2)
    out = sweep(tmp_path, "again")
    for _ in steps(out):
        pass
    Delivery(out.root, out.plan, uri).deliver(ended=True)
    written = []
    for name in ("create_run", "log_batch", "log_inputs", "set_tag", "set_terminated", "update_run"):
        monkeypatch.setattr(MlflowClient, name, lambda *args, name=name, **more: written.append(name))
    calls = Calls(monkeypatch)
    Delivery(out.root, out.plan, uri).deliver(ended=True)
    assert written == []
    assert calls.count < 10


def test_a_failed_trial_that_succeeds_when_resumed_is_one_run(uri, tmp_path):
    out = sweep(tmp_path, "resumed")
    for _ in steps(out):
        pass
    Delivery(out.root, out.plan, uri).deliver(ended=True)
    out.reopen()
    delivery = Delivery(out.root, out.plan, uri)
    delivery.deliver(ended=False)
    for number in (1, 3):
        for where, right in out.scores(number).items():
            out.fold(number, where, right)
        delivery.deliver(ended=False)
        assert contents(uri, PLAN.name, out.sweep, tmp_path / f"at {number}")[str(number)]["status"] == "RUNNING"
        out.folder.done(number)
    out.end()
    delivery.deliver(ended=True)
    found = contents(uri, PLAN.name, out.sweep, tmp_path / "end")
    assert {run["status"] for run in found.values()} == {"FINISHED"}
    assert all("accuracy" in found[name]["metrics"] for name in ("0", "1", "3"))


def test_the_machine_is_measured_on_demand_at_the_sweeps_own_run(uri, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.2")
    resources = PLAN.resources.model_copy(update={"system_metrics": True})
    out = Out(tmp_path / "out", sweep="measured", plan=PLAN.model_copy(update={"resources": resources}))
    delivery = Delivery(out.root, out.plan, uri)
    out.trial(0)
    delivery.deliver(ended=False)
    time.sleep(1)
    delivery.stop_measuring()
    out.end()
    delivery.deliver(ended=True)
    found = contents(uri, PLAN.name, out.sweep, tmp_path / "found")
    assert "system/cpu_utilization_percentage" in found["parent"]["metrics"]
    assert not any(name.startswith("system/") for name in found["0"]["metrics"])


def test_a_sweep_that_ends_by_an_error_leaves_no_run_running(uri, tmp_path):
    out = sweep(tmp_path, "broken")

    def interrupted() -> None:
        with MlflowSync(out.root, out.plan, uri):
            out.propose(0)
            out.fold(0, ("cap", 1, 0), 5)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    found = contents(uri, PLAN.name, out.sweep, tmp_path / "found")
    assert {name: run["status"] for name, run in found.items()} == {"parent": "KILLED", "0": "KILLED"}


def test_two_commands_do_not_deliver_from_one_folder(uri, tmp_path):
    out = sweep(tmp_path, "locked")
    with MlflowSync(out.root, out.plan, uri), pytest.raises(BadInput, match="another fsamc"):
        track(out.root, uri)


def test_a_second_run_that_a_lost_answer_left_goes_and_the_complete_one_stays(uri, tmp_path):
    out = sweep(tmp_path, "twice")
    out.trial(0, {("cap", 1, 0): 5})
    out.end()
    Delivery(out.root, out.plan, uri).deliver(ended=True)
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(PLAN.name).experiment_id
    client.create_run(experiment, start_time=1, tags={"fsamc.sweep": out.sweep, "fsamc.trial": "0"})
    Delivery(out.root, out.plan, uri).deliver(ended=True)
    assert "accuracy" in contents(uri, PLAN.name, out.sweep, tmp_path / "found")["0"]["metrics"]


def test_of_a_delivered_trial_nothing_but_its_record_stays_in_memory(uri, tmp_path):
    out = sweep(tmp_path, "settled")
    out.trial(0)
    delivery = Delivery(out.root, out.plan, uri)
    delivery.deliver(ended=False)
    (trial,) = delivery._journal.read().values()
    assert (trial.record.done, trial.rows, trial.answers) == (True, {}, {})


def test_a_secret_that_an_earlier_version_kept_is_not_delivered(uri, tmp_path):
    address, shown = "s3://hush@host/a?region=eu&token=hush&b='", "s3://***@host/a?region=eu&token=***&b='"
    out = sweep(tmp_path, "secret")
    out.trial(0)
    out.folder.note({"materials": {"data": address}, "caveats": [f"{address} was slow"], "backbones": [address]})
    out.folder.finish()
    (out.root / "report.html").write_text(f"<h1>{escape(address)}</h1>")
    assert track(out.root, uri) == 1
    delivered = contents(uri, PLAN.name, out.sweep, tmp_path / "found")
    assert delivered["parent"]["tags"]["caveats"] == f"{shown} was slow"
    assert delivered["parent"]["artifacts"]["report.html"].decode() == f"<h1>{escape(shown)}</h1>"
    there = Path(uri.removeprefix("sqlite:///")).parent
    assert not [file for file in there.rglob("*") if file.is_file() and b"hush" in file.read_bytes()]
    assert "hush" in (out.root / "report.html").read_text()


def test_a_database_below_a_folder_of_any_name_is_found(tmp_path):
    name = "a#b 100 %, c+d;ä&e'f:g@h"
    out = Out(tmp_path / name / "out", categories=("cap",))
    out.trial(0)
    out.end()
    with copied_databases():
        assert track(out.root, None) == 1
    address = f"sqlite:///{out.root}/mlflow.db"
    delivered = contents(address, PLAN.name, out.sweep, tmp_path / "found")
    assert {run["status"] for run in delivered.values()} == {"FINISHED"}
    assert "report.html" in delivered["parent"]["artifacts"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "found"])
    assert (out.root / "mlartifacts").is_dir()


@pytest.mark.parametrize("name", ["a?b", "a%20b"])
def test_a_database_whose_folder_is_no_address_is_one_line(tmp_path, name):
    out = tmp_path / name
    out.mkdir()
    (out / "mlflow.db").touch()
    with pytest.raises(BadInput, match=r"are no letters in the address of a database; .* rename it"):
        runs_at(out)
