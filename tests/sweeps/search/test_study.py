"""Studies that outlive a driver, and that several drivers share: real storages, real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import optuna
import pytest
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from fsamc.config.dotted import validated
from fsamc.config.representation import Representation
from fsamc.errors import BadInput
from sweeps.errors import StudyLost
from sweeps.plan.configurations import base_values, configuration
from sweeps.plan.load import config_hash
from sweeps.plan.settings import Plan
from sweeps.search import Home, check_search, make_proposer
from sweeps.search.distributions import as_text
from sweeps.search.shared_study import study_hash
from tests.servers import PostgreSQL, dashboard, postgresql
from tests.sweeps.driver import score

ROOT = Path(__file__).resolve().parents[3]
SPACE = {
    "head.kind": {"choice": ["prototype", "contrastive"]},
    "finetune.epochs.2": {"integers": [2, 12], "when": {"head.kind": ["contrastive"]}},
    "pretrain.lr": {"loguniform": [1e-5, 1e-1]},
}
SMALL = {
    "head.kind": SPACE["head.kind"],
    "pretrain.queries": {"choice": [8, 16, 32, 64, 128]},
    "representation.parts": {"choice": [list(Representation().parts), ["raw"]]},
}


def plan(space=SPACE, name="p", base=None, **search) -> Plan:
    tree = {"name": name, "base": base or {}, "space": space, "search": {"algorithm": "optuna", "trials": 8, **search}}
    return validated(Plan, tree)


def home(out: Path, run: str = "a", data: str = "d") -> Home:
    return Home(out=out, run=run, data=data)


def run(proposer, most=100):
    found = []
    while len(found) < most and (proposal := proposer.propose()):
        found.append(proposal)
        proposer.tell(proposal.number, score(proposal.values), seconds=2.0, std=0.1)
    return found


def trials(storage: str | JournalStorage, name: str = "p") -> list[FrozenTrial]:
    opened = RDBStorage(storage) if isinstance(storage, str) else storage
    try:
        return optuna.load_study(study_name=name, storage=opened).trials
    finally:
        if isinstance(opened, RDBStorage):
            opened.remove_session()
            opened.engine.dispose()


@pytest.fixture
def storage(tmp_path) -> str:
    return f"sqlite:///{tmp_path / 'shared.db'}"


# --- one driver


def test_the_study_lies_in_out_under_the_plans_name_and_says_what_each_trial_is(tmp_path):
    asked = plan()
    found = run(make_proposer(asked, home(tmp_path)))
    there = trials(f"sqlite:///{tmp_path / 'study.db'}")
    assert [trial.number for trial in there] == [number for number, _ in found] == list(range(8))
    for trial, (_, values) in zip(there, found, strict=True):
        assert trial.state == TrialState.COMPLETE
        assert trial.params == values
        assert trial.value == score(values)
        attributes = trial.user_attrs
        assert attributes["config"] == config_hash(configuration(asked, values))
        assert (attributes["accuracy"], attributes["accuracy_std"], attributes["seconds"]) == (score(values), 0.1, 2.0)
        assert attributes["out"] == str(tmp_path)


def test_it_is_told_which_goals_it_has(tmp_path):
    run(make_proposer(plan(goals=["accuracy", "seconds"]), home(tmp_path)))
    study = optuna.load_study(study_name="p", storage=f"sqlite:///{tmp_path / 'study.db'}")
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert all(trial.values[1] == 2.0 for trial in study.trials)


def test_a_base_outside_of_the_space_is_in_the_study_under_its_number_and_nobody_learns_from_it(tmp_path):
    space = {"head.kind": {"choice": ["contrastive"]}, "pretrain.lr": SPACE["pretrain.lr"]}
    found = run(make_proposer(plan(space), home(tmp_path)))
    there = trials(f"sqlite:///{tmp_path / 'study.db'}")
    assert len(there) == len(found) == 8
    assert there[0].state == TrialState.FAIL
    assert there[0].user_attrs["accuracy"] == score(found[0].values)
    assert there[0].user_attrs["outcome"] == "outside of the space"
    assert {trial.state for trial in there[1:]} == {TrialState.COMPLETE}


# --- trials that were stopped early


def raced(proposer, most=100):
    """As `run`, but every other trial is stopped early."""
    found = []
    while len(found) < most and (proposal := proposer.propose()):
        found.append(proposal)
        end(proposer, *proposal)
    return found


def end(proposer, number, values):
    if number % 2:
        proposer.prune(number, score(values), folds={0: 0.25, 3: 0.75}, seconds=2.0)
    else:
        proposer.tell(number, score(values), seconds=2.0, std=0.1)


@pytest.mark.parametrize("goals", [["accuracy"], ["accuracy", "seconds"]])
def test_a_trial_stopped_early_is_pruned_with_its_folds_and_the_sampler_learns_its_estimate(tmp_path, goals):
    asked = plan(startup=2, goals=goals)
    found = raced(make_proposer(asked, home(tmp_path)))
    assert found == run(make_proposer(asked))  # as if it had scored what was estimated
    for trial, (number, values) in zip(trials(f"sqlite:///{tmp_path / 'study.db'}"), found, strict=True):
        attributes = trial.user_attrs
        if number % 2:
            assert (trial.state, trial.values) == (TrialState.PRUNED, None)
            assert trial.intermediate_values == {0: 0.25, 3: 0.75}
            assert (attributes["accuracy_estimate"], attributes["seconds"]) == (score(values), 2.0)
            assert "accuracy" not in attributes
        else:
            assert (trial.state, trial.values[0]) == (TrialState.COMPLETE, score(values))
            assert (attributes["accuracy"], trial.intermediate_values) == (score(values), {})


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("after", [3, 6])
def test_a_search_that_goes_on_after_trials_were_stopped_proposes_what_it_would_have(tmp_path, after, lost):
    undisturbed = raced(make_proposer(plan(startup=2)))
    found = raced(make_proposer(plan(startup=2), home(tmp_path)), after)
    if lost:
        (tmp_path / "study.db").unlink()
    resumed = make_proposer(plan(startup=2), home(tmp_path))
    for proposal in found:
        resumed.replay(*proposal)
        end(resumed, *proposal)
    assert [*found, *raced(resumed)] == undisturbed


def test_what_another_score_chooses_by_is_called_objective_and_not_accuracy(tmp_path):
    asked = plan(trials=2)
    asked = asked.model_copy(update={"objective": asked.objective.model_copy(update={"kind": "support"})})
    raced(make_proposer(asked, home(tmp_path)))
    told = [trial.user_attrs.keys() for trial in trials(f"sqlite:///{tmp_path / 'study.db'}")]
    assert [{name for name in names if "acc" in name or "obj" in name} for names in told] == [
        {"objective", "objective_std"},
        {"objective_estimate"},
    ]


# --- resuming


def test_what_a_killed_driver_entered_and_never_wrote_down_is_run_under_its_number(tmp_path):
    killed = make_proposer(plan(), home(tmp_path))
    found = run(killed, 3)
    found.append(killed.propose())  # written to trials.jsonl, never told
    found.append(killed.propose())  # killed before it was written
    resumed = make_proposer(plan(), home(tmp_path))
    for number, values in found[:4]:
        resumed.replay(number, values)
    assert resumed.left() == 4
    assert resumed.propose() == found[4]
    rest = [found[4], *run(resumed)]
    assert [number for number, _ in rest] == [4, 5, 6, 7]
    for number, values in found[3:5]:
        resumed.tell(number, score(values))
    assert {trial.state for trial in trials(f"sqlite:///{tmp_path / 'study.db'}")} == {TrialState.COMPLETE}


@pytest.mark.parametrize("stopped", [False, True])
def test_a_trial_that_failed_and_was_tried_again_is_learnt_from_and_counts_once(tmp_path, stopped):
    first = make_proposer(plan(trials=3), home(tmp_path))
    proposals = [first.propose(), first.propose(), first.propose()]
    for number in range(3):
        first.tell(number, None if number == 1 else 0.5)
    for _ in range(2):  # the second time it is known already
        resumed = make_proposer(plan(trials=3), home(tmp_path))
        for proposal in proposals:
            resumed.replay(*proposal)
        resumed.prune(1, 0.75, folds={0: 0.25}) if stopped else resumed.tell(1, 0.75)
        assert resumed.propose() is None
    there = trials(f"sqlite:///{tmp_path / 'study.db'}")
    ended = "PRUNED" if stopped else "COMPLETE"
    assert [trial.state.name for trial in there] == ["COMPLETE", "FAIL", "COMPLETE", ended]
    assert (there[3].params, there[3].value) == (there[1].params, None if stopped else 0.75)
    attributes = there[3].user_attrs
    assert (attributes["accuracy_estimate" if stopped else "accuracy"], attributes["again"]) == (0.75, 1)


def test_a_study_that_holds_something_else_under_a_number_is_not_gone_on_with(tmp_path, storage):
    run(make_proposer(plan(storage=storage), home(tmp_path)), 2)
    other = make_proposer(plan(storage=storage), home(tmp_path / "b", "b"))
    with pytest.raises(BadInput, match="trial 1 is another one"):
        other.replay(1, {"head.kind": "prototype", "pretrain.lr": 0.01})


# --- whose study it is


@pytest.mark.parametrize(
    ("other", "data", "words"),
    [
        (plan(base={"good": True}), "d", "another plan"),
        (plan({**SPACE, "good": {"choice": [True, False]}}), "d", "another plan"),
        (plan(), "e", "other data"),
        (plan(goals=["accuracy", "seconds"]), "d", "other search.goals"),
    ],
)
def test_the_study_of_another_plan_is_refused_before_anything_is_written(tmp_path, storage, other, data, words):
    run(make_proposer(plan(storage=storage), home(tmp_path)), 2)
    before = (tmp_path / "shared.db").read_bytes()
    other = other.model_copy(update={"search": other.search.model_copy(update={"storage": storage})})
    with pytest.raises(BadInput, match=words) as refused:
        check_search(other, home(tmp_path / "b", "b", data))
    assert "search.study" in str(refused.value)
    assert (tmp_path / "shared.db").read_bytes() == before
    with pytest.raises(BadInput, match=words):
        make_proposer(other, home(tmp_path / "b", "b", data))


def test_of_two_plans_that_make_one_study_at_once_the_first_trial_decides(tmp_path, storage):
    """Both may find it empty; the mark of the plan that was slower is then taken away again here."""
    mine, other = plan(storage=storage), plan(base={"good": True}, storage=storage)
    slower = make_proposer(mine, home(tmp_path / "a", "a"))
    study = optuna.load_study(study_name="p", storage=storage)
    study.set_user_attr("plan", study_hash(other, "d"))
    run(make_proposer(other, home(tmp_path / "b", "b")), 1)
    with pytest.raises(StudyLost, match="another plan"):
        slower.propose()


def test_what_changes_no_score_keeps_the_study(tmp_path, storage):
    run(make_proposer(plan(storage=storage, trials=3), home(tmp_path)))
    more = plan(storage=storage, trials=5, seed=7, name="other", study="p")
    check_search(more, home(tmp_path / "b", "b"))
    assert [number for number, _ in run(make_proposer(more, home(tmp_path / "b", "b")))] == [3, 4]
    third = make_proposer(more, home(tmp_path / "c", "c"))
    assert third.propose() is None
    assert "has all of its 5 trials" in third.notice()


def test_two_studies_share_a_storage_under_their_names(tmp_path, storage):
    run(make_proposer(plan(storage=storage), home(tmp_path)), 2)
    other = plan(base={"good": True}, storage=storage, study="other")
    check_search(other, home(tmp_path / "b", "b"))
    run(make_proposer(other, home(tmp_path / "b", "b")), 3)
    assert (len(trials(storage)), len(trials(storage, "other"))) == (2, 3)


# --- addresses


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("postgresql://me:${NOT_SET}@127.0.0.1/db", "NOT_SET"),
        ("sqlite:////nowhere/at/all/study.db", "no folder /nowhere/at/all"),
        ("/nowhere/at/all/study.log", "no folder /nowhere/at/all"),
        ("nosql://host/db", "nosql"),
        ("://", "expected a URL"),
    ],
)
def test_an_address_that_cannot_be_is_refused(tmp_path, address, words, monkeypatch):
    monkeypatch.delenv("NOT_SET", raising=False)
    with pytest.raises(BadInput, match=words) as refused:
        check_search(plan(storage=address), home(tmp_path))
    assert "search.storage" in str(refused.value)


def test_checking_makes_no_file(tmp_path):
    check_search(plan(), home(tmp_path / "out"))
    for address in (f"sqlite:///{tmp_path / 'x.db'}", str(tmp_path / "x.log")):
        check_search(plan(storage=address), home(tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []


def test_a_storage_that_goes_away_is_told_in_a_line(tmp_path):
    proposer = make_proposer(plan(), home(tmp_path))
    proposer.propose()
    (tmp_path / "study.db").write_bytes(b"no database any more" * 100)
    with pytest.raises(StudyLost, match=r"search\.storage: sqlite:///.*study\.db"):
        proposer.propose()


# --- several drivers


class Driver:
    """A process that adds trials to a study."""

    def __init__(self, asked: Plan, out: Path, name: str) -> None:
        out.mkdir(exist_ok=True)
        (out / f"{name}.json").write_text(asked.model_dump_json(exclude_unset=True))
        words = ["-m", "tests.sweeps.driver", str(out / f"{name}.json"), str(out / name), name, "0.05"]
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )

    def ready(self) -> None:
        assert self._process.stdout.readline() == "ready\n"

    def go(self) -> None:
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def ran(self) -> dict[int, dict]:
        """Values of the trials that it ran and told, by number."""
        output, _ = self._process.communicate(timeout=300)
        assert self._process.returncode == 0
        lines = [json.loads(line) for line in output.splitlines()]
        begun = {entry[0]: entry[1] for entry in lines if isinstance(entry, list)}
        assert sorted(begun) == sorted(entry for entry in lines if isinstance(entry, int))
        return begun


def both_run(asked: Plan, out: Path) -> tuple[dict[int, dict], dict[int, dict]]:
    drivers = [Driver(asked, out, name) for name in ("a", "b")]
    for driver in drivers:
        driver.ready()
    for driver in drivers:
        driver.go()
    first, second = (driver.ran() for driver in drivers)
    return first, second


def assert_each_once(
    first: dict[int, dict], second: dict[int, dict], asked: Plan, storage: str | JournalStorage, count: int
) -> None:
    """No configuration twice, no trial lost, and as many as asked for; the study says the same."""
    assert first
    assert second
    assert not first.keys() & second.keys()
    both = first | second
    assert len(both) == count
    assert max(Counter(map(as_text, both.values())).values()) == 1
    assert both[0] == base_values(asked)
    there = {trial.number: trial for trial in trials(storage)}
    complete = {number for number, trial in there.items() if trial.state == TrialState.COMPLETE}
    assert complete == both.keys()
    assert all(there[number].value == score(values) for number, values in both.items())
    lost_races = there.keys() - complete
    assert all(there[number].state == TrialState.FAIL for number in lost_races)
    assert all(there[number].user_attrs["outcome"].startswith(("tried as", "surplus")) for number in lost_races)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    with postgresql() as found:
        yield found


@pytest.fixture
def database(server, monkeypatch, request) -> tuple[str, str]:
    """A new database: its address as a plan has it, and with the password."""
    monkeypatch.setenv("PGSECRET", server.password)
    address = server.make_database(f"d{abs(hash(request.node.name))}")
    return address, address.replace("${PGSECRET}", "p%40ss%2Fword%7B%7D%25")


@pytest.mark.parametrize(
    ("kind", "space", "most", "count"),
    [
        pytest.param("postgresql", SPACE, 30, 30, marks=pytest.mark.slow),
        ("postgresql", SMALL, 100, 20),
        pytest.param("sqlite", SMALL, 16, 16, marks=pytest.mark.slow),
        pytest.param("journal", SMALL, 16, 16, marks=pytest.mark.slow),
    ],
    ids=["endless", "exhausted", "sqlite", "journal"],
)
def test_two_drivers_at_once_lose_nothing_and_run_nothing_twice(kind, space, most, count, request, tmp_path):
    file = tmp_path / "shared"
    address = there = f"sqlite:///{file}" if kind == "sqlite" else str(file)
    if kind == "postgresql":
        address, there = request.getfixturevalue("database")
    asked = plan(space, storage=address, trials=most)
    first, second = both_run(asked, tmp_path)
    assert_each_once(
        first, second, asked, JournalStorage(JournalFileBackend(there)) if kind == "journal" else there, count
    )


class TestPostgreSQL:
    def test_the_password_is_nowhere_in_what_is_said(self, server, monkeypatch, tmp_path):
        monkeypatch.setenv("PGSECRET", "wrong-hush")
        address = server.make_database("closed")
        with pytest.raises(BadInput, match=r"search\.storage") as refused:
            check_search(plan(storage=address), home(tmp_path))
        assert "hush" not in str(refused.value)
        assert "password authentication failed" in str(refused.value)

    def test_checking_an_empty_database_leaves_it_empty(self, server, monkeypatch, tmp_path):
        monkeypatch.setenv("PGSECRET", server.password)
        check_search(plan(storage=server.make_database("empty")), home(tmp_path))
        with server.connect("empty") as connection:
            count = connection.execute("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'")
            assert count.fetchone() == (0,)


def read(address: str) -> dict:
    with urlopen(address, timeout=10) as answer:
        return json.load(answer)


@pytest.mark.slow
def test_the_dashboard_opens_it_while_it_runs(tmp_path):
    proposer = make_proposer(plan(), home(tmp_path))
    run(proposer, 3)
    proposer.propose()
    with dashboard(f"sqlite:///{tmp_path / 'study.db'}") as address:
        (summary,) = read(f"{address}/api/studies")["study_summaries"]
        assert summary["study_name"] == "p"
        found = read(f"{address}/api/studies/{summary['study_id']}?after=0")["trials"]
        assert [trial["state"] for trial in found] == ["Complete", "Complete", "Complete", "Running"]
