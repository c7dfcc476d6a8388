"""An MLflow server on loopback, started and stopped by the test that asks for it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sweeps.tracking_uri import open_client


class MlflowServer:
    """An MLflow server on a free port; it may be killed, and started again on what it had."""

    def __init__(self, root: Path) -> None:
        self._root, self._process = root, None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start, and wait until it answers."""
        database = f"sqlite:///{self._root / 'server.db'}"
        open_client(database)
        words = ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "1", "--backend-store-uri", database]
        words += ["--artifacts-destination", str(self._root / "served")]
        command = [sys.executable, "-m", "mlflow", "server", *words]
        with (self._root / "server.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        end = time.monotonic() + 120
        while trouble := self._trouble():
            said = f"{trouble}\n{(self._root / 'server.log').read_text()}"
            assert self._process.poll() is None, f"the MLflow server has ended: {said}"
            assert time.monotonic() < end, f"the MLflow server does not answer: {said}"
            time.sleep(0.1)

    def kill(self) -> None:
        """Kill it and its workers with SIGKILL."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _trouble(self) -> str | None:
        """Why it does not answer; None if it does."""
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=2):
                return None
        except OSError as error:
            return repr(error)


@contextmanager
def mlflow_server(root: Path) -> Iterator[MlflowServer]:
    """A server that runs, on a database and artifacts in `root`."""
    server = MlflowServer(root)
    try:
        server.start()
        yield server
    finally:
        server.kill()
