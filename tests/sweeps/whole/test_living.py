"""Living with a sweep: ended early by a signal, extended, and gone on with by few words."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import pandas as pd
import pytest

from tests.sweeps.asleep import folds_that_sleep
from tests.sweeps.small import PLAN, Lab, assert_same_results, fsamc, n_rows, notes, table

pytestmark = pytest.mark.ray

RANDOM = {
    "space": {"representation.patches": {"integers": [2, 30]}, "finetune.lr": {"loguniform": [1e-4, 1e-2]}},
    "base": {**PLAN["base"], "head": {**PLAN["base"]["head"], "kind": "contrastive"}},
    "folds": {"seeds": [1], "shots": [1, 2]},
}
N_FOLDS = 16


@pytest.fixture(scope="module")
def done(materials: Path, tmp_path_factory) -> Lab:
    """A lab in which a random search of four trials has run into `reference`, from the cache `cache`."""
    root = tmp_path_factory.mktemp("living")
    lab = Lab(materials / "data", materials / "textures", materials / "tiny.pt2", root)
    with folds_that_sleep():
        lab.sweep(random(lab, 4), out="reference")
    return lab


def random(lab: Lab, trials: int) -> Path:
    return lab.plan(f"random{trials}.yaml", **RANDOM | {"search": {"algorithm": "random", "trials": trials}})


def test_sigterm_finishes_the_running_folds_and_every_line_is_an_event(done, capfd):
    out = done.root / "term"

    def terminate() -> None:
        while n_rows(out) < 3:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    with folds_that_sleep(0.4):
        threading.Thread(target=terminate, daemon=True).start()
        code = fsamc(*done.words(random(done, 4), "--no-reuse", "--json", out="term"))
    output, errors = capfd.readouterr()
    assert code == 1, errors
    assert errors == "fsamc: interrupted; the same command goes on where this one stopped\n"
    events = [json.loads(line) for line in output.splitlines()]
    assert events[0]["event"] == "started"
    (finishing,) = (place for place, event in enumerate(events) if event["event"] == "finishing")
    assert events[finishing]["reason"] == "interrupted"
    later = [event for event in events[finishing:] if event["event"] == "fold"]
    assert len(later) <= events[finishing]["folds"] + 1  # one more may have been told meanwhile
    end = events[-1]
    assert (end["event"], end["status"]) == ("done", "interrupted")
    folds = [event for event in events if event["event"] == "fold"]
    assert len(folds) == n_rows(out) == end["folds_done"] < N_FOLDS == end["folds"]
    assert Path(end["files"]["report"]).exists()
    assert notes(out)["status"] == "interrupted"
    with folds_that_sleep():  # it goes on with no more words than the folder
        assert fsamc("sweep", "--no-figures", "--out", out) == 0
    assert_same_results(out, done.root / "reference")


@pytest.mark.slow
@pytest.mark.usefixtures("asleep")
def test_a_sweep_that_is_extended_twice_is_the_one_that_had_as_many_trials_from_the_start(done):
    out = done.sweep(random(done, 2), out="extended")
    assert fsamc("sweep", "--no-figures", "--extend", 1, "--out", out) == 0
    assert notes(out)["trials"] == 3
    assert fsamc(*done.words(random(done, 2), "--extend", "1", out="extended")) == 0  # all words, as at first
    pd.testing.assert_frame_equal(table(out), table(done.root / "reference"))
    assert "trials: 4" in (out / "plan.yaml").read_text()
    assert fsamc("sweep", "--no-figures", "--out", out) == 0  # nothing is left to do
    assert notes(out)["trials"] == 4
