"""A sweep keeps to itself: it listens on loopback only, asks for a token, and writes no secret anywhere."""

from __future__ import annotations

import ipaddress
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from fsamc.data.remote import Address
from sweeps.cli import quiet_ray
from sweeps.results.saved_settings import read_saved_settings
from tests.servers import postgresql
from tests.sweeps.small import Lab

pytestmark = pytest.mark.ray
SECRET = "marked-secret-5d41402abc4b"


class Monitor:
    """What a process and all below it listen on, their command lines, their tokens; looked at again and again."""

    def __init__(self) -> None:
        self.listening: set[tuple[str, str]] = set()
        self.commands: set[str] = set()
        self.tokens: set[tuple[str, str]] = set()

    def until_the_end_of(self, process: subprocess.Popen[str]) -> None:
        said = threading.Thread(target=process.communicate)
        said.start()
        while said.is_alive():
            with suppress(psutil.NoSuchProcess):
                root = psutil.Process(process.pid)
                for one in (root, *root.children(recursive=True)):
                    self._look(one)
            said.join(timeout=0.5)

    def _look(self, process: psutil.Process) -> None:
        with suppress(psutil.Error):
            name = process.name()
            self.commands.add(" ".join(process.cmdline()))
            open_ports = process.net_connections(kind="inet")
            self.listening |= {(name, one.laddr.ip) for one in open_ports if one.status == psutil.CONN_LISTEN}
            if name == "raylet":
                variables = process.environ()
                self.tokens.add((variables["RAY_AUTH_MODE"], variables["RAY_AUTH_TOKEN"]))


def is_loopback(address: str) -> bool:
    found = ipaddress.ip_address(address)
    return (getattr(found, "ipv4_mapped", None) or found).is_loopback


@pytest.fixture
def database(monkeypatch) -> Iterator[str]:
    """An address in PostgreSQL that names its password by a variable."""
    with postgresql() as server:
        monkeypatch.setenv("PGSECRET", server.password)
        yield server.make_database("closed")


@pytest.mark.slow
def test_a_sweep_listens_on_loopback_and_leaves_no_secret(lab: Lab, database, monkeypatch):
    """One sweep: images at an address, its study in PostgreSQL, a token of the user's in the environment."""
    quiet_ray()
    monkeypatch.setenv("RAY_AUTH_TOKEN", SECRET)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", SECRET)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    search = {"algorithm": "optuna", "trials": 2, "storage": database, "study": "closed"}
    words = lab.words(lab.plan(search=search, folds={"seeds": [1], "categories": ["tile"]}))
    words[words.index(str(lab.data))] = f"file://{lab.data}"
    sessions = set(Path("/tmp/ray").glob("session_*"))
    process, watch = lab.start(words, asleep=0.1), Monitor()
    watch.until_the_end_of(process)
    assert process.returncode == 0, "the sweep failed"
    assert {"gcs_server", "raylet"} <= {name for name, _ in watch.listening}
    assert [(name, where) for name, where in watch.listening if not is_loopback(where)] == []
    ((mode, token),) = watch.tokens
    assert (mode, len(token)) == ("token", 64), "one of its own"
    secrets = [SECRET, token, os.environ["PGSECRET"]]
    assert [command for command in watch.commands if any(secret in command for secret in secrets)] == []
    ended = [path for path in set(Path("/tmp/ray").glob("session_*")) - sessions if str(process.pid) in path.name]
    assert ended
    for place in (lab.root / "out", lab.root / "cache", *ended):
        assert any(place.iterdir())
        assert list(holding(place, secrets)) == []
    assert read_saved_settings(lab.root / "out").data == Address(f"file://{lab.data}")


def holding(folder: Path, secrets: list[str]) -> Iterator[Path]:
    """The files in which a secret stands."""
    for path in folder.rglob("*"):
        if path.is_file() and any(secret.encode() in path.read_bytes() for secret in secrets):
            yield path
