"""One driver at a time in an OUT, also after one was killed."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from fsamc.errors import BadInput
from sweeps import sweep
from sweeps.results.folder import SweepFolder
from sweeps.results.identity import check_resumable, claim, end_extension, extended, read_identity, with_trials
from sweeps.results.lock import lock
from tests import one_ray
from tests.sweeps.asleep import folds_that_sleep
from tests.sweeps.outs import PLAN
from tests.sweeps.small import fsamc, notes, table

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


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.symlink_to(path)], ids=["folder", "link to itself"])
def test_a_lock_that_is_no_file_is_one_line(tmp_path, make):
    make(tmp_path / "identity.json.lock")
    with pytest.raises(BadInput, match=r"identity\.json\.lock"), lock(tmp_path):
        raise AssertionError("it is in")


def test_errors_leave_the_folder_free(tmp_path):
    with pytest.raises(ZeroDivisionError), lock(tmp_path / "out"):
        raise ZeroDivisionError
    with lock(tmp_path / "out"):
        pass


@pytest.mark.ray
def test_a_sweep_keeps_away_from_an_out_that_another_writes_to(lab, capfd):
    one_ray.up()
    with lock(lab.root / "out"):
        assert fsamc(*lab.words(lab.plan(space={}))) == 2
    assert "a sweep is writing to it" in capfd.readouterr().err
    assert not (lab.root / "out" / "folds.csv").exists()


@pytest.mark.ray
@pytest.mark.parametrize(
    ("second", "said"),
    [
        pytest.param(
            "folds.seeds=[1,2,3]",
            r"another plan .folds.seeds was \[1, 2\] and is \[1, 2, 3\]",
            marks=pytest.mark.slow,
        ),
        ("", ""),
    ],
)
def test_of_two_sweeps_that_found_out_empty_the_second_finds_the_first_one_s(lab, monkeypatch, second, said, capfd):
    """The first begins and ends after the second has checked, and before it takes the lock."""
    plan, out = lab.plan(space={}), lab.root / "out"
    one_ray.up()
    announce = sweep.announce

    def overtaken(*args, **options) -> None:
        monkeypatch.setattr(sweep, "announce", announce)
        assert fsamc(*lab.words(plan)) == 0
        announce(*args, **options)

    monkeypatch.setattr(sweep, "announce", overtaken)
    with folds_that_sleep():
        assert fsamc(*lab.words(plan, *filter(None, [second]))) == (2 if second else 0)
    told = capfd.readouterr().err
    assert re.search(said, told), told
    assert len(told.splitlines()) == (1 if second else 0)
    assert len(table(out)) == 4
    assert notes(out)["status"] == "done"


@pytest.mark.parametrize(
    ("plan", "data", "mode", "said"),
    [
        (PLAN, {"category cap": "c1"}, "never", "holds a sweep already"),
        (PLAN, {"category cap": "c2"}, "auto", "ran on other data .category cap differs."),
        (with_trials(PLAN, 9), {"category cap": "c1"}, "must", r"search\.trials was 3 and is 9"),
    ],
)
def test_what_was_checked_before_the_lock_is_checked_again_under_it(tmp_path, plan, data, mode, said):
    check_resumable(tmp_path, plan, data, "auto")  # empty, as the second finds it
    claim(tmp_path, PLAN, {"category cap": "c1"})
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(BadInput, match=said):
        SweepFolder(tmp_path, plan).open(data, mode=mode)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_an_extension_that_another_one_overtook_is_told_so(tmp_path):
    out, plan = tmp_path / "out", with_trials(PLAN, 4)
    claim(out, plan, {})
    mine = extended(plan, out, 3)
    claim(out, extended(plan, out, 2), {}, extending=2)
    end_extension(out)
    with pytest.raises(BadInput, match=r"search\.trials was 6 and is 4"):
        claim(out, mine, {}, extending=3)
    assert read_identity(out).trials == 6
