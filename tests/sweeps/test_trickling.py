"""Servers that send a byte now and then: whoever asks them is told at the deadline, with the address, in one line."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cluster.jobs.job_server import connect
from fsamc.config.dotted import validated
from fsamc.errors import BadInput
from sweeps.doctor import tokens, tracking
from sweeps.plan.settings import Plan
from sweeps.search import Home, check_search
from sweeps.tracking import MlflowSync
from sweeps.tracking.uri import check_tracking
from tests.servers import trickling
from tests.sweeps.outs import PLAN, Out

DEADLINE = 0.5
LATE = f"no whole answer within {DEADLINE:g} seconds"
STARTS = {
    "head": b"HTTP/1.1 200 OK\r\nX-Slow: ",
    "body": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n",
    "PostgreSQL": b"R\0\0\7\0",
}


@pytest.fixture(autouse=True)
def settled() -> Iterator[None]:
    """Nothing goes on after a test: answers that broke off leave sockets to the garbage collector, which complains."""
    before = set(threading.enumerate())  # a call that another test has left behind is none of ours
    yield
    for late in set(threading.enumerate()) - before:
        late.join(20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(params=["head", "body"])
def address(request) -> Iterator[str]:
    with trickling(STARTS[request.param]) as port:
        yield f"http://127.0.0.1:{port}"


def study(address: str, out: Any) -> None:
    storage = address.replace("http", "postgresql") + "/studies?sslmode=disable&gssencmode=disable"
    asked = {"name": "p", "search": {"storage": storage}, "resources": {"deadline": DEADLINE}}
    check_search(validated(Plan, asked), Home(out=out, run="", data=""))


@pytest.mark.parametrize(
    ("ask", "option"),
    [
        (lambda address, _: check_tracking(address, "p", deadline=DEADLINE), "--tracking-uri http://127.0.0.1:"),
        (lambda address, _: connect(address, deadline=DEADLINE), "--address http://127.0.0.1:"),
    ],
)
def test_a_server_that_trickles_is_told_of_before_the_start(ask: Callable[..., object], option, address, tmp_path):
    with pytest.raises(BadInput, match=LATE) as error:
        ask(address, tmp_path)
    assert str(error.value).startswith(option)
    assert "\n" not in str(error.value)


def test_a_database_that_trickles_is_told_of_before_the_start(tmp_path):
    with trickling(STARTS["PostgreSQL"]) as port, pytest.raises(BadInput, match=LATE) as error:
        study(f"http://127.0.0.1:{port}", tmp_path)
    assert str(error.value).startswith(f"search.storage: postgresql://127.0.0.1:{port}/studies?")


def test_a_sweep_goes_on_without_an_mlflow_that_trickles(address, tmp_path):
    resources = PLAN.resources.model_copy(update={"tracking_patience": 0.0, "deadline": DEADLINE})
    out = Out(tmp_path / "out", sweep="trickled", plan=PLAN.model_copy(update={"resources": resources}))
    with MlflowSync(out.root, out.plan, address) as sync:
        out.trial(0)
        out.end()
        undelivered = sync.finish()
    assert undelivered.startswith("1 trial is not delivered to MLflow (")
    assert LATE in undelivered


def test_the_doctor_says_what_it_can(monkeypatch):
    monkeypatch.setattr(tokens, "DEADLINE", DEADLINE)
    monkeypatch.setattr(tracking, "DEADLINE", DEADLINE)
    with trickling(STARTS["head"]) as port:
        assert "cannot be reached from here" in tokens.check_dashboard(f"127.0.0.1:{port}").finding
        assert tracking._version(f"http://127.0.0.1:{port}") is None


ASKS = """
import sys
from pathlib import Path
from fsamc.data.remote import local, source
from sweeps.cli.exits import end_process
end_process(lambda: local(source(sys.argv[1], "--data"), Path("cache"), "--data", deadline=1))
"""


def test_the_process_ends_though_a_store_keeps_its_library_waiting(tmp_path):
    with trickling(STARTS["body"]) as port:
        address = f"s3://bucket/data?endpoint_override=127.0.0.1:{port}&scheme=http&region=x"
        words = [sys.executable, "-c", ASKS, address]
        ended = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert ended.stderr.startswith(f"fsamc: --data {address}: cannot be read (")
    assert "no whole answer within 1 seconds" in ended.stderr
