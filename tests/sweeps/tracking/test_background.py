"""The process that delivers beside a sweep: what it leaves is delivered all the same, and it ends with its driver."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from multiprocessing import active_children

import psutil

from sweeps.tracking import MlflowSync
from tests.sweeps.in_mlflow import contents
from tests.sweeps.outs import PLAN, Out
from tests.sweeps.small import ROOT, copied_databases, wait_for


def process() -> psutil.Process:
    [one] = [child.pid for child in active_children() if child.name == "mlflow-sync"]
    return psutil.Process(one)


def test_what_a_process_that_was_killed_left_is_delivered(uri, tmp_path):
    out = Out(tmp_path / "killed", sweep="killed")
    with copied_databases(), MlflowSync(out.root, out.plan, uri) as sync:
        out.trial(0)
        process().kill()
        out.trial(1)
        out.end()
        assert sync.finish() is None
        assert sync.page.startswith("/#/experiments/")
    found = contents(uri, PLAN.name, "killed", tmp_path / "found")
    assert {name: run["status"] for name, run in found.items()} == dict.fromkeys(("parent", "0", "1"), "FINISHED")


DRIVER = """
import signal, sys, time
from multiprocessing import active_children
from pathlib import Path
from sweeps.results.reader import SweepReader
from sweeps.tracking import MlflowSync
if __name__ == "__main__":
    signal.signal(signal.SIGINT, lambda *_: None)
    out = Path(sys.argv[1])
    with MlflowSync(out, SweepReader(out).plan, sys.argv[2]):
        print(active_children()[0].pid, flush=True)
        time.sleep(600)
"""


def test_ctrl_c_is_the_drivers_alone_and_with_its_driver_the_process_ends(tmp_path):
    out, database = Out(tmp_path / "out").root, tmp_path / "runs.db"
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    words = [sys.executable, str(script), str(out), f"sqlite:///{database}"]
    pipe, ours = subprocess.PIPE, {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(words, env=ours, stdout=pipe, stderr=pipe, text=True, start_new_session=True) as driver:
        try:
            sync = psutil.Process(int(driver.stdout.readline()))
            os.killpg(driver.pid, signal.SIGINT)  # as a terminal does, while the process is still starting
            wait_for(database.exists, driver)
            assert sync.is_running()
        finally:
            driver.kill()
        sync.wait(timeout=30)
        assert driver.stderr.read() == ""
