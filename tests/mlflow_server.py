"""An MLflow server on loopback, started and stopped by the test that asks for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from sweeps.tracking.uri import open_client
from tests.servers import free_port, wait


class MlflowServer:
    """An MLflow server on a free port; it may be killed, and started again on what it had.

    Args:
        root: folder for its log and artifacts.
        database: where it keeps runs; by default a file in `root`.
        known_as: the one name by which it lets itself be asked; by default any name of this machine.
    """

    def __init__(self, root: Path, database: str | None = None, *, known_as: str | None = None) -> None:
        self._root, self._process, self.port = root, None, free_port()
        self._database = database or f"sqlite:///{root / 'server.db'}"
        self._hosts = ["--allowed-hosts", f"{known_as}:{self.port}"] if known_as else []

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start, and wait until it answers."""
        if self._database.startswith("sqlite:"):
            open_client(self._database)
        words = ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        words += ["--artifacts-destination", str(self._root / "served"), *self._hosts]
        command = [sys.executable, "-m", "mlflow", "server", *words]
        # The address may hold a password, which a command line would show to everybody.
        environment = os.environ | {"MLFLOW_BACKEND_STORE_URI": self._database}
        environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # seven processes that no run is tracked with
        said = self._root / "server.log"
        with said.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, env=environment)
        wait(lambda: urlopen(f"{self.uri}/health", timeout=2), self._process, said, seconds=120)

    def kill(self) -> None:
        """Kill it and its workers with SIGKILL."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


@contextmanager
def mlflow_server(root: Path, *, known_as: str | None = None) -> Iterator[MlflowServer]:
    """A server that runs, on a database and artifacts in `root`."""
    server = MlflowServer(root, known_as=known_as)
    try:
        server.start()
        yield server
    finally:
        server.kill()
