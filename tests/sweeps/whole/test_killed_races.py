"""Sweeps that race, end when they are decided and hold a final, killed in both: the tables of an undisturbed run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sweeps.results.reader import SweepReader
from sweeps.trials.status import is_finished
from tests.sweeps.asleep import folds_that_sleep
from tests.sweeps.in_mlflow import contents
from tests.sweeps.small import Lab, assert_same_results, n_rows, notes

pytestmark = [pytest.mark.ray, pytest.mark.slow]

TRIALS, PLANNED = 8, 8 * 8
PARTS: dict[str, Any] = {
    "space": {
        "representation.patches": {"choice": [1, 8, 40, 60]},
        "representation.parts": {"choice": [["residual"], ["raw"]]},
    },
    "folds": {"seeds": [1, 2], "draws": [0, 1], "shots": [1]},
    "resources": {"workers": 4, "folds_at_once": 2, "gpus": 0},
}
FINAL = {"trials": 2, "most": 3, "draws": 3, "share": 0.3}
COUNTS = ("status", "trials_stopped", "trials_spared", "folds_scored", "folds_saved")


@pytest.mark.parametrize(
    ("algorithm", "kind"),
    [("grid", "race"), ("random", "race"), ("grid", "proved"), ("random", "proved"), ("grid", "intensify")],
)
def test_a_driver_killed_in_its_race_and_in_its_final_ends_in_the_tables_of_an_undisturbed_run(lab, algorithm, kind):
    stopping = {"kind": kind, "confidence": 0.7, "error": 0.4, "margin": 0.02}
    search = {"algorithm": algorithm, "trials": TRIALS, "until": "decided", "stopping": stopping, "final": FINAL}
    plan = lab.plan(**PARTS, search=search)
    with folds_that_sleep():
        whole = lab.sweep(plan, "--no-reuse", out="whole")
    assert notes(whole)["folds_saved"] > 0, "or there was no race"
    out, words = lab.root / "out", lab.words(plan, "--no-reuse")

    rows = n_rows(whole)
    lab.kill_when(lambda: n_rows(out) >= rows // 2, words, asleep="0.3x3")
    assert rows // 2 <= n_rows(out) < rows
    lab.kill_when(in_final(out), words, asleep="0.3x3")
    assert not (out / "final.csv").exists()
    assert not is_finished(out)
    with folds_that_sleep():
        lab.finish(words)

    assert_same_results(out, whole)
    assert SweepReader(out).trials == SweepReader(whole).trials
    assert {name: notes(out).get(name) for name in COUNTS} == {name: notes(whole).get(name) for name in COUNTS}
    for name in ("final.csv", "final_folds.csv", "final_predictions.csv"):
        mine, theirs = (pd.read_csv(where / name).drop(columns="seconds", errors="ignore") for where in (out, whole))
        pd.testing.assert_frame_equal(mine, theirs)
    assert (out / "best.yaml").read_text() == (whole / "best.yaml").read_text()
    assert tracked(out, lab) == tracked(whole, lab)


def in_final(out: Path) -> Callable[[], bool]:
    """Whether a fold has been scored since all trials came to their end."""
    before: list[int] = []

    def reached() -> bool:
        trials = SweepReader(out).trials
        if len(trials) < TRIALS or not all(record.done for record in trials):
            return False
        before.append(len([*(out / ".folds" / "fold").iterdir()]))
        return before[-1] > before[0]

    return reached


def tracked(out: Path, lab: Lab) -> dict[str, dict[str, Any]]:
    """By trial, what is measured, set and told of it in MLflow."""
    runs = contents(f"sqlite:///{out}/mlflow.db", "small", notes(out)["run"], lab.root / f"{out.name}-runs")
    return {
        trial: {name: run[name] for name in ("status", "params", "metrics", "inputs")} for trial, run in runs.items()
    }
