"""What is packed for a job, how the job server is reached, and logs over connections that break."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import socket
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from zipfile import ZipFile

import pytest
from ray._private.runtime_env.packaging import create_package
from ray.job_submission import JobDetails, JobStatus, JobType

from cluster import PACKAGES, ray_private
from cluster.jobs import follow as following
from cluster.jobs import job_server
from cluster.jobs.follow import follow
from cluster.jobs.package import Package, code, file_here
from cluster.jobs.submit import Job, next_lines, outcome
from cluster.nodes.head_probe import TokenRefused, check_head
from fsamc.errors import BadInput

ROOT = Path(__file__).resolve().parents[3]


def test_the_code_of_a_job_is_what_the_packages_install_and_nothing_else():
    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    expected = {
        file.relative_to(ROOT).as_posix()
        for name in PACKAGES
        for pattern in ["**/*.py", *named.get(name, [])]
        for file in (ROOT / name).glob(pattern)
    }
    assert set(code()) == expected
    assert all((ROOT / name).samefile(file) for name, file in code().items())


def test_a_staged_job_runs_on_its_own_code(tmp_path):
    place = Package(code()).stage(tmp_path)
    program = "import cluster, fsamc, sweeps; print(*(one.__file__ for one in (cluster, fsamc, sweeps)), sep='\\n')"
    shown = subprocess.run([sys.executable, "-c", program], cwd=place, capture_output=True, text=True, check=True)
    assert all(Path(line).is_relative_to(place) for line in shown.stdout.splitlines())


def test_a_folder_is_named_by_its_content_and_mended(tmp_path):
    (tmp_path / "net.pt2").write_bytes(b"weights")
    packed = Package({"files/net.pt2": tmp_path / "net.pt2", "plan.yaml": b"name: x"})
    place = packed.stage(tmp_path / "jobs")
    made = (place / "plan.yaml").stat().st_mtime_ns
    assert packed.stage(tmp_path / "jobs") == place
    assert (place / "plan.yaml").stat().st_mtime_ns == made, "written again"
    (place / "plan.yaml").write_text("name: y")
    (place / "stray.bin").write_bytes(b"slipped in")
    assert packed.stage(tmp_path / "jobs") == place
    assert {file.relative_to(place).as_posix() for file in place.rglob("*") if file.is_file()} == set(packed.files)
    assert (place / "plan.yaml").read_text() == "name: x"
    (tmp_path / "net.pt2").write_bytes(b"other weights")
    assert packed.stage(tmp_path / "jobs") != place
    assert len(list((tmp_path / "jobs").iterdir())) == 2, "nothing half-written is left"


def test_what_nobody_has_sent_for_a_month_goes(tmp_path):
    forgotten, used = (Package({"plan.yaml": name}).stage(tmp_path) for name in (b"a", b"b"))
    for place in (forgotten, used):
        os.utime(place, (long_ago := time.time() - 31 * 24 * 3600, long_ago))
    assert Package({"plan.yaml": b"b"}).stage(tmp_path) == used
    new = Package({"plan.yaml": b"c"}).stage(tmp_path)
    assert set(tmp_path.iterdir()) == {used, new}


def test_the_size_is_that_of_the_zip_that_ray_uploads(tmp_path):
    packed = Package({**code(), "files/nét.pt2": bytes(100_000), "plan.yaml": b""})
    create_package(str(packed.stage(tmp_path / "jobs")), tmp_path / "package.zip", include_gitignore=True)
    assert packed.size == (tmp_path / "package.zip").stat().st_size
    assert set(ZipFile(tmp_path / "package.zip").namelist()) == set(packed.files)


def test_a_package_that_is_too_large_names_its_largest_file(tmp_path, monkeypatch):
    large = tmp_path / "net.pt2"
    with large.open("wb") as file:
        file.truncate(100 * 2**20)
    with pytest.raises(
        BadInput, match=r"net\.pt2: the largest file \(100\.0 MiB\).*less than 100\.0 MiB; put it where"
    ):
        Package({**code(), "files/net.pt2": large}).check()
    monkeypatch.setattr(ray_private.packaging, "GCS_STORAGE_MAX_SIZE", 1000)
    with pytest.raises(BadInput, match="b: the largest file"):
        Package({"a": bytes(10), "b": bytes(1000)}).check()
    Package({"a": bytes(800)}).check()


def test_a_relative_path_is_a_file_of_this_folder(tmp_path, monkeypatch):
    inside, outside = tmp_path / "here", tmp_path / "secret.pt2"
    (inside / "nets").mkdir(parents=True)
    outside.write_bytes(b"x")
    (inside / "nets" / "net.pt2").write_bytes(b"x")
    (inside / "same.pt2").symlink_to(inside / "nets" / "net.pt2")
    (inside / "away.pt2").symlink_to(outside)
    (inside / "up").symlink_to(tmp_path)
    monkeypatch.chdir(inside)
    assert file_here("nets/net.pt2") == ("files/nets/net.pt2", inside / "nets" / "net.pt2")
    assert file_here("./nets/../same.pt2")[0] == "files/same.pt2"
    for given in ("../secret.pt2", "away.pt2", "up/secret.pt2", "nets/../../secret.pt2"):
        with pytest.raises(BadInput, match="leads out of"):
            file_here(given)
    with pytest.raises(BadInput, match=r"none\.pt2: no such file"):
        file_here("none.pt2")


def test_the_printed_lines_say_what_is_sent_and_where(monkeypatch):
    for name in job_server.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    job = Job(entrypoint=("python", "-m", "it's"), working_dir=Path("/a b"), metadata={"fsamc": "x'y", "out": "/o"})
    words = shlex.split(job.line("http://h:8265"))
    assert words[:3] == ["ray", "job", "submit"]
    options = dict(zip(words[3:11:2], words[4:12:2], strict=True))
    assert (options["--address"], options["--working-dir"]) == ("http://h:8265", "/a b")
    assert json.loads(options["--metadata-json"]) == job.metadata
    assert words[11:] == ["--", *job.entrypoint]
    assert next_lines("http://h:8265", "id") == (
        "ray job logs --address http://h:8265 --follow id",
        "ray job stop --address http://h:8265 id",
        "ray job list --address http://h:8265",
    )
    monkeypatch.setenv("RAY_ADDRESS", "http://other:8265")  # `ray job` takes it before --address
    for line in (job.line("http://h:8265"), *next_lines("http://h:8265", "id")):
        assert shlex.split(line)[0] == "RAY_API_SERVER_ADDRESS=http://h:8265"


def connect(address: str | None) -> object:
    return job_server.connect(job_server.job_server(address))


@contextmanager
def listening(status: int | None) -> Iterator[int]:
    """A port where a web server answers every question with `status`; with None nothing is ever answered."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *_: object) -> None:
            pass

    if status is None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            yield silent.getsockname()[1]
        return
    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("status", [200, 500, None])
def test_what_is_no_job_server_is_refused_soon(status, monkeypatch):
    monkeypatch.setattr(ray_private, "CONNECT", 0.3)
    with listening(status) as port, pytest.raises(BadInput, match="no job server of Ray answers") as error:
        connect(f"http://127.0.0.1:{port}")
    assert f"--address http://127.0.0.1:{port}:" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:6379", "expected http:// or https://"),
        ("ray://head:10001", "expected http:// or https://"),
        ("auto", "expected http:// or https://"),
        ("http://head:x", "no address"),
        ("http://", "expected http:// or https://"),
        ("http://me:secret@head:8265", "would be shown"),
        ("http://head?api-key=secret", "would be shown"),
        ("http://127.0.0.1:1", "Connection refused"),
        (None, "--address is missing"),
    ],
)
def test_an_address_that_is_none_is_refused(address, said, monkeypatch):
    monkeypatch.delenv("RAY_API_SERVER_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:6379")  # that of Ray itself does not help
    with pytest.raises(BadInput, match=said) as error:
        connect(address)
    assert "http://HOST:8265" in str(error.value)
    assert "secret" not in str(error.value)


def test_the_environment_names_the_job_server_and_never_overrules(monkeypatch):
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://127.0.0.1:1")
    with pytest.raises(BadInput, match=r"--address http://127\.0\.0\.1:1: no job server"):
        connect(None)
    with listening(500) as port, pytest.raises(BadInput, match=f":{port}: no job server.*500"):
        connect(f"http://127.0.0.1:{port}")
    assert os.environ["RAY_API_SERVER_ADDRESS"] == "http://127.0.0.1:1"
    assert job_server.overridden("http://127.0.0.1:2")
    assert not job_server.overridden("http://127.0.0.1:1")


@pytest.mark.parametrize("proxy", ["", "http://127.0.0.1:9"])
def test_a_port_that_says_nothing_is_no_head_and_soon_told_past_any_proxy(monkeypatch, proxy):
    for name in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, proxy)
    for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
    with listening(None) as port, pytest.raises(ConnectionError) as error:
        check_head(f"127.0.0.1:{port}", patience=0.5)
    assert not isinstance(error.value, TokenRefused)
    assert "refused" not in str(error.value)  # as nobody listens where the proxy should be


LOG = "one\ntwo\nthree\n"


BREAKS, IS_SILENT = object(), object()


class Server:
    """Stands in for Ray's client: `plays` says for each connection what comes, and whether it then breaks."""

    def __init__(self, *plays: list[object], ends: JobStatus = JobStatus.SUCCEEDED) -> None:
        self.plays, self.ends = list(plays), ends

    async def tail_job_logs(self, job_id: str):
        for piece in self.plays.pop(0):
            if piece is BREAKS:
                raise RuntimeError("WebSocket connection closed unexpectedly")
            if piece is IS_SILENT:
                await asyncio.Event().wait()
            yield piece

    def get_job_info(self, job_id: str) -> JobDetails:
        return details(JobStatus.RUNNING if self.plays else self.ends)


def details(status: JobStatus, code: int | None = None, message: str | None = None) -> JobDetails:
    return JobDetails(
        type=JobType.SUBMISSION,
        submission_id="j",
        status=status,
        entrypoint="",
        message=message,
        driver_exit_code=code,
    )


@pytest.mark.parametrize(
    "plays",
    [
        [["one\ntwo\n", "three\n"]],
        [["one\nt", BREAKS], ["one\n", "two\nthree\n"]],
        [[BREAKS], ["one\n", BREAKS], [LOG, BREAKS], [LOG]],
        [["one\n"], [LOG]],
        [["one\n", IS_SILENT], [LOG]],
    ],
)
def test_each_character_comes_once_however_often_the_connection_breaks(plays, monkeypatch):
    monkeypatch.setattr(following, "_PAUSE", 0)
    monkeypatch.setattr(following, "SILENCE", 0.05)
    shown: list[str] = []
    assert follow(Server(*plays), "j", shown.append).status == JobStatus.SUCCEEDED
    assert "".join(shown) == LOG


def test_a_log_that_is_gone_with_its_node_keeps_nobody_waiting(monkeypatch):
    monkeypatch.setattr(following, "_PAUSE", 0)
    server = Server(*[[BREAKS]] * 9, ends=JobStatus.FAILED)
    server.get_job_info = lambda _: details(JobStatus.FAILED)
    assert follow(server, "j", print).status == JobStatus.FAILED
    assert len(server.plays) == 5


def test_a_job_server_that_is_away_for_a_while_is_waited_for_and_one_that_stays_away_is_told(monkeypatch):
    def absent(_: str) -> JobDetails:
        server.get_job_info = back
        raise ConnectionRefusedError("refused")

    monkeypatch.setattr(following, "_PAUSE", 0.01)
    server = Server([BREAKS], [LOG])
    back, server.get_job_info = server.get_job_info, absent
    assert follow(server, "j", print, patience=0.05).status == JobStatus.SUCCEEDED
    server, back = Server(*[[BREAKS]] * 99), absent
    server.get_job_info = absent
    with pytest.raises(ConnectionError, match="refused"):
        follow(server, "j", print, patience=0.05)


def test_where_the_log_cannot_be_written_the_reason_is_not_taken_for_the_connections():
    def closed(_: str) -> None:
        raise BrokenPipeError("head has seen enough")

    with pytest.raises(BrokenPipeError, match="seen enough"):
        follow(Server([LOG]), "j", closed)


@pytest.mark.parametrize(
    ("job", "code", "said"),
    [
        (details(JobStatus.SUCCEEDED, 0), 0, ""),
        (details(JobStatus.FAILED, 1), 1, ""),
        (details(JobStatus.FAILED, 2), 2, ""),
        (details(JobStatus.FAILED, -9, "exit code -9"), 1, "j has died: exit code -9; what is finished is kept"),
        (
            details(JobStatus.FAILED, None, "runtime_env setup failed:\n x"),
            1,
            "j has died: runtime_env setup failed: x",
        ),
        (details(JobStatus.STOPPED), 1, "j was stopped"),
    ],
)
def test_a_job_ends_as_its_sweep_does_or_says_why(job, code, said):
    found = outcome(job)
    assert found[0] == code
    assert found[1].startswith(said)
    assert bool(found[1]) == bool(said)


class Head:
    """Stands in for Ray's client: a head that is still starting, for so many jobs that are handed over."""

    def __init__(self, calls: int, says: str = "No available agent to submit job, please try again later.") -> None:
        self.left, self.says, self.taken = calls, says, list[str]()

    def submit_job(self, *, submission_id: str, **_: object) -> None:
        self.left -= 1
        if self.left >= 0:
            raise RuntimeError(self.says)
        self.taken.append(submission_id)


def test_a_head_that_is_still_starting_is_asked_again_and_other_troubles_are_told(monkeypatch, tmp_path):
    monkeypatch.setattr("cluster.jobs.submit.time.sleep", lambda _: None)
    job, head = Job(entrypoint=["true"], working_dir=tmp_path, metadata={}), Head(2)
    job.submit(head, "one")
    assert head.taken == ["one"]
    with pytest.raises(RuntimeError, match="No available agent"):
        job.submit(Head(2), "one", patience=0.0)
    with pytest.raises(RuntimeError, match="no such folder"):
        job.submit(Head(1, "no such folder"), "one")
