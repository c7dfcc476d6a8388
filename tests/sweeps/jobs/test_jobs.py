"""Sweeps as jobs: what is sent, what is refused, and the whole way on a real head that asks for a token."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ray._private.authentication_test_utils import reset_auth_token_state
from ray.job_submission import JobStatus

from cluster.jobs.job_server import connect
from cluster.jobs.submit import Job, find
from fsamc.errors import BadInput
from sweeps.cli import jobs as commands
from sweeps.errors import Unfinished
from sweeps.jobs.job_arguments import Asked, prepare_sending
from sweeps.plan.load import load_plan
from tests.ray_cluster import RayCluster
from tests.sweeps.small import Lab, fsamc, table

ONE = ["space={}", "folds.seeds=[1]", "folds.categories=[cap]"]


@contextmanager
def variables(given: dict[str, str | None]) -> Iterator[None]:
    """Environment variables set or, with None, unset. Ray keeps what it has read of its own, and is made to forget."""
    before = {name: os.environ.get(name) for name in given}
    try:
        _put(given)
        yield
    finally:
        _put(before)


def _put(given: dict[str, str | None]) -> None:
    for name, value in given.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    reset_auth_token_state()


@pytest.fixture
def here(lab: Lab, monkeypatch) -> Path:
    """The folder that one submits from, with a network of its own; and a cache for what is staged."""
    monkeypatch.chdir(lab.root)
    monkeypatch.setenv("XDG_CACHE_HOME", str(lab.root / "home"))
    shutil.copy(lab.backbone, lab.root / "tiny.pt2")
    lab.plan()
    return lab.root


def asked(plan: str | None = "plan.yaml", *changes: str, **options: str | None) -> Asked:
    words = {f"--{name.replace('_', '-')}": word for name, word in options.items()}
    return Asked(plan=plan, changes=changes, options={"--out": "/there/out"} | words)


def test_a_plan_is_sent_with_what_it_extends_and_its_changes_folded_in(here):
    (here / "above.yaml").write_text("extends: plan.yaml\nname: above\nbase: {shots: 3}\n")
    sending = prepare_sending(asked("above.yaml", "folds.seeds=[7]", data="/there", backbone="tiny.pt2"))
    place = sending.job().working_dir
    assert sending.words == ("plan.yaml", "--out", "/there/out", "--data", "/there")
    there = load_plan(str(place / "plan.yaml"))
    assert there == load_plan("above.yaml", ["folds.seeds=[7]"], backbone="files/tiny.pt2")
    assert (place / "files" / "tiny.pt2").read_bytes() == (here / "tiny.pt2").read_bytes()
    assert {path.name for path in place.iterdir()} == {
        "fsamc", "cluster", "sweeps", "files", "plan.yaml", "commit.txt",
    }  # fmt: skip


def test_files_are_packed_wherever_they_are_swept(here):
    shutil.copy("tiny.pt2", "other.pt2")
    swept = "space.features.backbone={choice: [tiny.pt2, other.pt2, /there/net.pt2]}"
    place = prepare_sending(asked("plan.yaml", swept, backbone="tiny.pt2")).job().working_dir
    there = load_plan(str(place / "plan.yaml"))
    assert there.space["features.backbone"].choice == ("files/tiny.pt2", "files/other.pt2", "/there/net.pt2")
    assert {path.name for path in (place / "files").iterdir()} == {"tiny.pt2", "other.pt2"}


def test_the_same_words_are_the_same_package(here):
    again = [prepare_sending(asked(data="/there", backbone="tiny.pt2")) for _ in range(2)]
    assert again[0].job() == again[1].job()
    assert again[0].new_id() != again[1].new_id()
    assert re.fullmatch(r"fsamc-small-[0-9a-f]{8}", again[0].new_id())
    assert re.fullmatch(r"fsamc-my-run-[0-9a-f]{8}", again[0].new_id("my run/"))


def test_the_sweep_in_out_goes_on_without_a_plan(here):
    sending = prepare_sending(asked(None, extend="5", backbone="tiny.pt2"))
    assert sending.words == ("--out", "/there/out", "--extend", "5", "--backbone", "files/tiny.pt2")
    assert sending.name == "out"
    assert "plan.yaml" not in sending.package.files


REFUSED = [
    ({"data": "images"}, "--data images: a folder of this machine"),
    ({"out": "results"}, "--out results: a folder of this machine"),
    ({"cache": "~/cache"}, "--cache ~/cache: a folder of this machine"),
    ({"textures": "../textures"}, "--textures"),
    ({"backbone": "../tiny.pt2"}, "no such file"),
    ({"backbone": "none.pt2"}, "none.pt2: no such file"),
    ({"weights": "nets/none.pth"}, "nets/none.pth: no such file"),
    ({"tracking_uri": "sqlite:///runs.db"}, "--tracking-uri sqlite:///runs.db: a file of the job"),
    ({"tracking_uri": "postgresql://me:hidden@host/runs"}, "MLFLOW_TRACKING_USERNAME"),
    ({"tracking_uri": "http://me:hidden@host:5000"}, "--tracking-uri holds a password"),
    ({"data": "s3://key:hidden@bucket/images"}, "--data holds a password"),
    ({"data": "s3://bucket/images?secret_key=hidden&access_key=k"}, "--data holds a password"),
]


@pytest.mark.parametrize(("options", "said"), REFUSED, ids=[str(options) for options, _ in REFUSED])
def test_what_means_nothing_on_a_cluster_is_refused(here, options, said):
    with pytest.raises(BadInput) as error:
        prepare_sending(asked(**options))
    assert said in str(error.value)
    assert "hidden" not in str(error.value)
    assert not (here / "home").exists(), "nothing is staged"


@pytest.mark.parametrize("storage", ["study.journal", "sqlite:///study.db"])
def test_a_study_in_a_file_of_the_job_is_refused(here, storage):
    with pytest.raises(BadInput, match=r"search\.storage: .*: a file of the job"):
        prepare_sending(asked("plan.yaml", f"search={{algorithm: optuna, storage: '{storage}'}}"))


@pytest.mark.parametrize("word", ["dtd", "/there", "s3://bucket/textures"])
def test_places_on_the_cluster_are_passed_on_as_they_are(here, word):
    assert prepare_sending(asked(textures=word)).words[-2:] == ("--textures", word)


WRONG = [
    (["--tpyo", "x"], "No such option: --tpyo"),
    (["--resume", "perhaps"], "perhaps"),
    (["--extend", "0"], "--extend"),
    (["base.shotz=3"], "base.shotz"),
    (["--address", "head:6379"], "http://"),
]


@pytest.mark.parametrize(("words", "said"), WRONG, ids=[" ".join(words) for words, _ in WRONG])
def test_words_are_checked_before_anything_is_sent(here, words, said, capfd):
    where = ["--address", "http://127.0.0.1:1"] if "--address" not in words else []
    assert fsamc("submit", "plan.yaml", "--out", "/o", *where, *words, "--print") == 2
    output, errors = capfd.readouterr()
    assert said in errors
    assert len(errors.splitlines()) == 1
    assert output == ""
    assert not (here / "home").exists()


def test_flags_and_their_opposites_are_passed_on(here, capfd):
    more = ["--no-reuse", "--json", "--no-figures", "--resume", "must", "--time-budget", "1h", "--offline"]
    words = ["plan.yaml", "folds.seeds=[1]", *more, "--out", "/o", "--data=/d"]
    assert fsamc("submit", *words, "--address", "http://127.0.0.1:1", "--print") == 0
    printed = shlex.split(capfd.readouterr().out)
    sent = printed[printed.index("--") + 1 :]
    assert sent[:5] == ["python", "-m", "sweeps", "sweep", "plan.yaml"]
    assert sent[-2:] == ["--address", "auto"]
    assert set(sent[5:-2]) == {*more, "--out", "/o", "--data", "/d"}


def test_ctrl_c_leaves_the_job_running_and_says_how_to_look_at_it(monkeypatch):
    def pressed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cluster.jobs.follow.follow", pressed)
    with pytest.raises(Unfinished, match="j goes on; `fsamc jobs logs j --follow` shows it, `fsamc jobs stop j` stops"):
        commands._followed(None, "j")


def test_with_json_nothing_else_comes_to_stdout(capfd):
    from sweeps.jobs.job_view import Log

    log = Log(pure=True)
    for piece in ('Runtime env\n{"event": "st', 'arted"}\nfsamc: x', "\n"):
        log(piece)
    assert capfd.readouterr() == ('{"event": "started"}\n', "Runtime env\nfsamc: x\n")


# From here on with a head.

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    with RayCluster(cpus=2) as started:
        given = {"RAY_API_SERVER_ADDRESS": started.jobs, "RAY_ADDRESS": None, "RAY_AUTH_TOKEN_PATH": None}
        with variables(given | started.lets_in):
            yield started


def words(lab: Lab, *more: str, out: str = "out") -> list[str]:
    there = ["--data", str(lab.data), "--out", str(lab.root / out), "--cache", str(lab.root / "cache")]
    return ["plan.yaml", *ONE, "--backbone", "tiny.pt2", "--no-figures", "--offline", *there, *more]


@pytest.mark.slow
def test_a_submitted_sweep_ends_as_a_local_one_and_goes_on_by_the_printed_line(cluster, lab, here, capfd):
    assert fsamc("submit", *words(lab)) == 0
    output, errors = capfd.readouterr()
    line, submission_id, *_ = output.splitlines()
    assert "1 trial (grid)" in output
    assert cluster.token not in output + errors
    assert fsamc("sweep", *words(lab, "--no-reuse", out="local")) == 0
    capfd.readouterr()
    assert table(lab.root / "out").equals(table(lab.root / "local"))

    ray = str(Path(sys.executable).with_name("ray"))
    by_hand = [ray, *shlex.split(line.replace("submit", "submit --no-wait", 1))[1:]]
    shown = subprocess.run(by_hand, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    again = re.search(r"raysubmit_\w+", shown.stdout)[0]
    assert fsamc("jobs", "logs", again, "--follow") == 0, "the same words go on with what is there"
    client = connect(None)
    ours, theirs = find(client, submission_id), find(client, again)
    assert theirs.entrypoint == ours.entrypoint == shlex.join(shlex.split(line)[shlex.split(line).index("--") + 1 :])
    assert theirs.runtime_env == ours.runtime_env
    assert theirs.metadata.items() >= {"fsamc": "small", "out": str(lab.root / "out")}.items()
    capfd.readouterr()

    assert fsamc("jobs", "list") == 0
    rows = {row.split()[0]: row.split() for row in capfd.readouterr().out.splitlines()[1:]}
    assert all({"small", "succeeded"} < set(rows[job]) for job in (submission_id, again))
    assert fsamc("jobs", "stop", submission_id) == 0
    assert "has ended already: succeeded" in capfd.readouterr().out

    shutil.rmtree(lab.root / "home")  # OUT outlives what was sent; the backbone is known by its content
    assert fsamc("sweep", "--out", lab.root / "out", "--backbone", "tiny.pt2", "--dry-run") == 0


@pytest.mark.slow
def test_bad_input_on_the_cluster_is_the_exit_code_here(cluster, lab, here, capfd):
    assert fsamc("submit", *words(lab, "--data", "/nowhere")) == 2
    assert "/nowhere" in capfd.readouterr().out


@pytest.mark.slow
def test_a_job_that_is_stopped_has_time_to_end_in_good_order(cluster, lab, here, capfd):
    """A sweep takes longer than the three seconds that Ray gives by itself."""
    program = (
        "import signal, sys, time, pathlib; stop = lambda *_: (time.sleep(5), "
        "pathlib.Path(sys.argv[1]).write_text('whole'), sys.exit(1)); signal.signal(signal.SIGTERM, stop); "
        "print('ready', flush=True); time.sleep(600)"
    )
    (lab.root / "job").mkdir()
    (lab.root / "job" / "file").touch()
    entrypoint = (sys.executable, "-c", program, str(lab.root / "ended"))
    job = Job(entrypoint=entrypoint, working_dir=lab.root / "job", metadata={"fsamc": "stops", "out": "/o"})
    client = connect(None)
    job.submit(client, "fsamc-stops-1")
    said = []
    for piece in _pieces(client, "fsamc-stops-1"):
        said.append(piece)
        if "ready" in piece.splitlines():
            break
    assert fsamc("jobs", "stop", "fsamc-stops-1") == 0
    assert "has ended: stopped; what is finished is kept" in capfd.readouterr().out
    assert (lab.root / "ended").read_text() == "whole"
    assert find(client, "fsamc-stops-1").status == JobStatus.STOPPED
    assert fsamc("jobs", "logs", "fsamc-stops-1", "--follow") == 1
    assert fsamc("jobs", "logs", "fsamc-stops-1") == 0
    output, errors = capfd.readouterr()
    assert "ready" in output
    assert "fsamc-stops-1 was stopped" in errors


def _pieces(client, submission_id: str) -> Iterator[str]:
    import asyncio

    loop = asyncio.new_event_loop()
    tail = client.tail_job_logs(submission_id)
    try:
        while True:
            yield loop.run_until_complete(asyncio.wait_for(anext(tail), 60))
    finally:
        loop.run_until_complete(tail.aclose())
        loop.close()


def test_a_job_that_is_not_there_is_told_in_a_line(cluster, capfd):
    for command in (["logs", "nobodys"], ["logs", "nobodys", "--follow"], ["stop", "nobodys"]):
        assert fsamc("jobs", *command) == 2
        assert "nobodys: the cluster knows no such job; `fsamc jobs list` lists them" in capfd.readouterr().err


NO_TOKEN = {"RAY_AUTH_MODE": "disabled", "RAY_AUTH_TOKEN": None}
WRONG_TOKEN = {"RAY_AUTH_TOKEN": "another"}
MEND = "set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN"


@pytest.mark.parametrize(
    ("given", "said"), [(NO_TOKEN, "asks for a token"), (WRONG_TOKEN, "refuses the token")], ids=["none", "wrong"]
)
def test_without_the_token_nothing_is_sent_and_no_sweep_joins(cluster, lab, here, capfd, given, said):
    with variables(given):
        assert fsamc("submit", *words(lab)) == 2
        assert fsamc("jobs", "list") == 2
        assert fsamc("sweep", *words(lab), "--address", cluster.gcs) == 2
    output, errors = capfd.readouterr()
    lines = errors.splitlines()
    assert len(lines) == 3, "a line each, and none of Ray's own"
    assert all(MEND in line for line in lines)
    assert all(said in line for line in lines[:2])
    assert "another" not in output
    assert not (lab.root / "out").exists()


def test_the_ports_of_a_head_are_not_taken_for_each_other(cluster, lab, here, capfd):
    assert fsamc("jobs", "list", "--address", f"http://{cluster.gcs}") == 2
    assert fsamc("jobs", "list", "--address", cluster.jobs.replace("http", "https")) == 2
    assert fsamc("sweep", *words(lab), "--address", cluster.jobs.removeprefix("http://")) == 2
    first, second, third = capfd.readouterr().err.splitlines()
    assert "Ray's own port, 6379" in first
    assert "no https" in second
    assert "the head's own port is another" in third
