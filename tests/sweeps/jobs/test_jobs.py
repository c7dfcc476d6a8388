"""Sweeps as jobs: what is sent, what is refused, and the whole way on a real head that asks for a token."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray.job_submission import JobStatus

from cluster.jobs.follow import follow
from cluster.jobs.job_server import connect
from cluster.jobs.submit import Job, next_lines, outcome
from fsamc.errors import BadInput
from sweeps.cli import submit as command
from sweeps.errors import Unfinished
from sweeps.jobs.job_arguments import JobArguments, SweepWords, prepare_job
from sweeps.plan.load import load_plan
from tests.ray_cluster import RayCluster
from tests.sweeps.small import Lab, fsamc, table

ONE = ["space={}", "folds.seeds=[1]", "folds.categories=[cap]"]


@pytest.fixture
def here(lab: Lab, monkeypatch) -> Path:
    """The folder that one submits from, with a network of its own; and a cache for what is staged."""
    monkeypatch.chdir(lab.root)
    monkeypatch.setenv("XDG_CACHE_HOME", str(lab.root / "home"))
    shutil.copy(lab.backbone, lab.root / "tiny.pt2")
    lab.plan()
    return lab.root


def prepared(plan: str | None = "plan.yaml", *changes: str, **options: str | None) -> JobArguments:
    words = {f"--{name.replace('_', '-')}": word for name, word in options.items()}
    return prepare_job(SweepWords(plan=plan, changes=changes, options={"--out": "/there/out"} | words))


def test_a_plan_is_sent_with_what_it_extends_and_its_changes_folded_in(here):
    (here / "above.yaml").write_text("extends: plan.yaml\nname: above\nbase: {shots: 3}\n")
    arguments = prepared("above.yaml", "folds.seeds=[7]", data="/there", backbone="tiny.pt2")
    place = arguments.job().working_dir
    assert arguments.words == ("plan.yaml", "--out", "/there/out", "--data", "/there")
    there = load_plan(str(place / "plan.yaml"))
    whole = load_plan("above.yaml", ["folds.seeds=[7]"], backbone="files/tiny.pt2")
    assert there.model_dump() == whole.model_dump()
    assert (place / "files" / "tiny.pt2").read_bytes() == (here / "tiny.pt2").read_bytes()
    packages = {"fsamc", "cluster", "sweeps"}
    assert {path.name for path in place.iterdir()} == packages | {"files", "plan.yaml", "commit.txt"}


def test_files_are_packed_wherever_they_are_swept(here):
    shutil.copy("tiny.pt2", "other.pt2")
    swept = "space.features.backbone={choice: [tiny.pt2, other.pt2, /there/net.pt2]}"
    files = prepared("plan.yaml", swept, backbone="tiny.pt2").package.files
    (here / "sent.yaml").write_bytes(files["plan.yaml"])
    there = load_plan("sent.yaml")
    assert there.space["features.backbone"].choice == ("files/tiny.pt2", "files/other.pt2", "/there/net.pt2")
    assert {name for name in files if name.startswith("files/")} == {"files/tiny.pt2", "files/other.pt2"}


def test_the_same_words_are_the_same_package(here):
    first, again = (prepared(data="/there", backbone="tiny.pt2") for _ in range(2))
    assert first.job() == again.job()
    assert first.new_id() != again.new_id()
    assert re.fullmatch(r"fsamc-small-[0-9a-f]{8}", first.new_id())
    assert re.fullmatch(r"fsamc-my-run-[0-9a-f]{8}", first.new_id("my run/"))


def test_the_sweep_in_out_goes_on_without_a_plan(here):
    arguments = prepared(None, extend="5", backbone="tiny.pt2")
    assert arguments.words == ("--out", "/there/out", "--extend", "5", "--backbone", "files/tiny.pt2")
    assert arguments.name == "out"
    assert "plan.yaml" not in arguments.package.files


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
    ({"tracking_uri": "http://hidden@host:5000"}, "--tracking-uri holds a password"),
    ({"data": "s3://key:hidden@bucket/images"}, "--data holds a password"),
    ({"data": "s3://bucket/images?secret_key=hidden&access_key=k"}, "--data holds a password"),
]


@pytest.mark.parametrize(("options", "said"), REFUSED, ids=[str(options) for options, _ in REFUSED])
def test_what_means_nothing_on_a_cluster_is_refused(here, options, said):
    with pytest.raises(BadInput) as error:
        prepared(**options)
    assert said in str(error.value)
    assert "hidden" not in str(error.value)
    assert not (here / "home").exists(), "nothing is staged"


@pytest.mark.parametrize("storage", ["study.journal", "sqlite:///study.db"])
def test_a_study_in_a_file_of_the_job_is_refused(here, storage):
    with pytest.raises(BadInput, match=r"search\.storage: .*: a file of the job"):
        prepared("plan.yaml", f"search={{algorithm: optuna, storage: '{storage}'}}")


@pytest.mark.parametrize("word", ["dtd", "/there", "s3://bucket/textures"])
def test_places_on_the_cluster_are_passed_on_as_they_are(here, word):
    assert prepared(textures=word).words[-2:] == ("--textures", word)


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


LINES = "`ray job logs --follow j` shows it"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyboardInterrupt(), f"j goes on; {LINES}"),
        (BrokenPipeError(), f"j goes on; {LINES}"),
        (ConnectionError("refused"), rf"the job server is gone \(refused\); j may go on: {LINES}"),
    ],
    ids=["Ctrl-C", "a reader that has gone", "a server that has gone"],
)
def test_whatever_ends_the_command_the_job_goes_on_and_it_says_how_to_look_at_it(monkeypatch, error, said):
    def ended(*_: object) -> None:
        raise error

    monkeypatch.setattr("cluster.jobs.follow.follow", ended)
    with pytest.raises(Unfinished, match=said):
        command._follow(None, "j", print, LINES)


def test_with_json_nothing_else_comes_to_stdout(capfd):
    write = command.JsonToStdout()
    for piece in ('Runtime env\n{"event": "st', 'arted"}\nfsamc: x', "\n"):
        write(piece)
    assert capfd.readouterr() == ('{"event": "started"}\n', "Runtime env\nfsamc: x\n")


# From here on with a head.

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    with RayCluster(cpus=2) as started, pytest.MonkeyPatch.context() as patched:
        for name in ("RAY_ADDRESS", "RAY_AUTH_TOKEN_PATH"):
            patched.delenv(name, raising=False)
        for name, value in ({"RAY_API_SERVER_ADDRESS": started.jobs} | started.lets_in).items():
            patched.setenv(name, value)
        yield started


def words(lab: Lab, *more: str, out: str = "out") -> list[str]:
    there = ["--data", str(lab.data), "--out", str(lab.root / out), "--cache", str(lab.root / "cache")]
    return ["plan.yaml", *ONE, "--backbone", "tiny.pt2", "--no-figures", "--offline", *there, *more]


def ray(line: str) -> subprocess.CompletedProcess[str]:
    """Type a line that was printed."""
    assert shlex.split(line)[0] == "ray"
    program = Path(sys.executable).with_name("ray")
    done = subprocess.run([program, *shlex.split(line)[1:]], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.mark.slow
def test_a_submitted_sweep_ends_as_a_local_one_and_goes_on_by_the_printed_line(cluster, lab, here, capfd):
    assert fsamc("submit", *words(lab)) == 0
    output, errors = capfd.readouterr()
    line, submission_id, logs, _, jobs, *_ = output.splitlines()
    assert "1 trial (grid)" in output
    assert cluster.token not in output + errors
    assert fsamc("sweep", *words(lab, "--no-reuse", out="local")) == 0
    capfd.readouterr()
    assert table(lab.root / "out").equals(table(lab.root / "local"))

    assert "1 trial (grid)" in ray(logs).stdout
    again = re.search(r"raysubmit_\w+", ray(line).stdout)[0]
    client = connect(cluster.jobs)
    ours, theirs = map(client.get_job_info, (submission_id, again))
    assert theirs.status == JobStatus.SUCCEEDED, "the same words go on with what is there"
    assert theirs.entrypoint == ours.entrypoint == shlex.join(shlex.split(line)[shlex.split(line).index("--") + 1 :])
    assert theirs.runtime_env == ours.runtime_env
    assert theirs.metadata.items() >= {"fsamc": "small", "out": str(lab.root / "out")}.items()
    assert submission_id in ray(jobs).stdout

    shutil.rmtree(lab.root / "home")  # OUT outlives what was sent; the backbone is known by its content
    assert fsamc("sweep", "--out", lab.root / "out", "--backbone", "tiny.pt2", "--dry-run") == 0


@pytest.mark.slow
def test_bad_input_on_the_cluster_is_the_exit_code_here(cluster, lab, here, capfd):
    assert fsamc("submit", *words(lab, "--data", "/nowhere")) == 2
    assert "/nowhere" in capfd.readouterr().out


@pytest.mark.slow
def test_a_job_that_is_stopped_by_the_printed_line_has_time_to_end_in_good_order(cluster, tmp_path):
    """A sweep takes longer than the three seconds that Ray gives by itself."""
    program = (
        "import signal, sys, time, pathlib; stop = lambda *_: (time.sleep(5), "
        "pathlib.Path(sys.argv[1]).write_text('whole'), sys.exit(1)); signal.signal(signal.SIGTERM, stop); "
        "print('ready', flush=True); time.sleep(600)"
    )
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "file").touch()
    entrypoint = (sys.executable, "-c", program, str(tmp_path / "ended"))
    client = connect(cluster.jobs)
    job = Job(entrypoint=entrypoint, working_dir=tmp_path / "job", metadata={"fsamc": "stops", "out": "/o"})
    job.submit(client, "fsamc-stops-1")
    stop = next_lines(cluster.jobs, "fsamc-stops-1")[1]
    ended = follow(client, "fsamc-stops-1", lambda piece: "ready" in piece.splitlines() and ray(stop))
    assert (tmp_path / "ended").read_text() == "whole"
    assert ended.status == JobStatus.STOPPED
    assert outcome(ended)[0] == 1


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"RAY_AUTH_MODE": "disabled", "RAY_AUTH_TOKEN": ""}, "asks for a token"),
        ({"RAY_AUTH_TOKEN": "another"}, "refuses the token"),
    ],
    ids=["none", "wrong"],
)
def test_without_the_token_nothing_is_sent_and_no_sweep_joins(cluster, lab, here, capfd, monkeypatch, variables, said):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert fsamc("submit", *words(lab)) == 2
    assert fsamc("sweep", *words(lab), "--address", cluster.gcs) == 2
    output, errors = capfd.readouterr()
    lines = errors.splitlines()
    assert len(lines) == 2, "a line each, and none of Ray's own"
    assert all("set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN" in line for line in lines)
    assert said in lines[0]
    assert "another" not in output
    assert not (lab.root / "out").exists()


def test_the_ports_of_a_head_are_not_taken_for_each_other(cluster, lab, here, capfd):
    assert fsamc("submit", *words(lab), "--address", f"http://{cluster.gcs}") == 2
    assert fsamc("submit", *words(lab), "--address", cluster.jobs.replace("http", "https")) == 2
    assert fsamc("sweep", *words(lab), "--address", cluster.jobs.removeprefix("http://")) == 2
    first, second, third = capfd.readouterr().err.splitlines()
    assert "Ray's own port, 6379" in first
    assert "no https" in second
    assert "the head's own port is another" in third
