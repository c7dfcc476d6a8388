"""`fsamc ui`: where a sweep's runs are shown."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from urllib.request import Request, urlopen

import pytest

from sweeps.tracking import MlflowSync
from sweeps.tracking.pages import runs_page
from tests.servers import free_port, wait
from tests.sweeps.outs import Out
from tests.sweeps.small import FSAMC, copied_databases, fsamc


@pytest.fixture
def tracked(tmp_path) -> Out:
    """A sweep of one trial whose runs are in OUT."""
    out = Out(tmp_path / "results")
    out.trial(0)
    out.end()
    with copied_databases(), MlflowSync(out.root, out.plan, f"sqlite:///{out.root / 'mlflow.db'}") as sync:
        assert sync.finish() is None
    return out


def test_the_page_is_that_of_the_plans_experiment_wherever_out_lies_now(tracked, tmp_path):
    moved = tracked.root.rename(tmp_path / "moved")
    uri, page = runs_page(moved)
    assert uri == f"sqlite:///{moved / 'mlflow.db'}"
    assert page.startswith("/#/experiments/1/runs?")


def test_what_cannot_be_shown_is_one_line(tracked, tmp_path, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert fsamc("ui", tracked.root, "--port", port) == 2
    assert capsys.readouterr().err.startswith(f"fsamc: --port {port}: cannot be used (Address already in use); ")
    assert fsamc("ui", tmp_path) == 2
    assert capsys.readouterr().err.startswith(f"fsamc: {tmp_path}: holds no sweep that has started; ")
    (tracked.root / "mlflow.db").unlink()
    assert fsamc("ui", tracked.root) == 2
    assert capsys.readouterr().err == (
        f"fsamc: {tracked.root}/mlflow.db: no such file; deliver the runs: fsamc track {tracked.root}\n"
    )


@pytest.mark.slow
def test_mlflow_answers_until_it_is_interrupted(tracked):
    port = free_port()
    words = [*FSAMC, "ui", str(tracked.root), "--port", str(port)]
    log = tracked.root.parent / "log"
    with log.open("wb") as said:
        server = subprocess.Popen(words, stdout=said, stderr=said, start_new_session=True)
    try:
        wait(lambda: urlopen(f"http://127.0.0.1:{port}/health", timeout=2), server, log, seconds=120)
        asked = Request(
            f"http://127.0.0.1:{port}/api/2.0/mlflow/runs/search",
            json.dumps({"experiment_ids": ["1"]}).encode(),
            {"Content-Type": "application/json"},
        )
        assert len(json.load(urlopen(asked, timeout=30))["runs"]) == 2, "the sweep and its trial"
        assert f"runs: http://127.0.0.1:{port}/#/experiments/1/runs?" in log.read_text()
        server.send_signal(signal.SIGINT)
        server.wait(timeout=60)
        with pytest.raises(OSError, match="refused"):
            urlopen(f"http://127.0.0.1:{port}/health", timeout=2)
    finally:
        server.kill()
