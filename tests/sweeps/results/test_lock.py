"""One driver at a time in an OUT, also after one was killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import pytest

from fsamc.errors import BadInput
from sweeps.results.identity import check_resumable
from sweeps.results.lock import lock
from tests.sweeps.small import fsamc

HOLD = """
import sys, pathlib
from sweeps.results.lock import lock
with lock(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds `tmp_path / "out"`."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "out")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate(timeout=60)


def test_a_second_driver_is_told_who_the_first_is(holder, tmp_path):
    out = tmp_path / "out"
    with (
        pytest.raises(BadInput, match=f"writing to it .process {holder.pid} on {socket.gethostname()}."),
        lock(out),
    ):
        raise AssertionError("both are in")
    holder.communicate("go\n", timeout=60)
    with lock(out):
        pass
    check_resumable(out, None, {}, "auto")  # what the lock leaves is no sweep


def test_a_lock_goes_with_its_holder_however_that_ends(holder, tmp_path):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait(timeout=60)
    with lock(tmp_path / "out"):
        assert (tmp_path / "out" / "identity.json.holder").read_text().startswith(f"process {os.getpid()} on ")


def test_errors_leave_the_folder_free(tmp_path):
    with pytest.raises(ZeroDivisionError), lock(tmp_path / "out"):
        raise ZeroDivisionError
    with lock(tmp_path / "out"):
        pass


@pytest.mark.ray
def test_a_sweep_keeps_away_from_an_out_that_another_writes_to(lab, capfd):
    with lock(lab.root / "out"):
        assert fsamc(*lab.words(lab.plan(space={}))) == 2
    assert "a sweep is writing to it" in capfd.readouterr().err
    assert not (lab.root / "out" / "folds.csv").exists()
