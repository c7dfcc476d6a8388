"""What a sweep tells while it goes on, and how long it says that it will take."""

from __future__ import annotations

import io
import json
from collections import Counter
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from sweeps.progress.counter import SweepProgress
from sweeps.progress.eta import UNKNOWN, Eta
from sweeps.progress.events import Done, Event, Finishing, NewBest, Noted, ProgressView, Started, TrialStopped, Warned
from sweeps.progress.lines import JsonLines, Quiet
from sweeps.progress.terminal import Screen
from sweeps.results.tables import DASH

NAN = float("nan")
A, B = ("prototype", 2), ("contrastive", 5)


def row(trial: int = 0, *, accuracy: float | str = 0.5, seconds: float | str = 2.0, kind=A, status: str = "ok") -> dict:
    head, shots = kind
    place = {"trial": trial, "category": "cap", "seed": 1, "draw": 0}
    return place | {"status": status, "accuracy": accuracy, "seconds": seconds, "head": head, "shots": shots}


FAILED = {"accuracy": "", "seconds": "", "status": "failed: cap/x.png: torn [x]"}
SUMMARY = pd.DataFrame(
    {
        "trial": [0, 0, 1, 1],
        "shots": pd.array([pd.NA] * 4, dtype="Int64"),
        "category": ["cap", "average"] * 2,
        "mean": [0.5, 0.5, NAN, NAN],
        "std": [0.1, NAN, NAN, NAN],
        "seeds": [2, 2, 2, 2],
        "categories": pd.array([pd.NA, 1, pd.NA, 1], dtype="Int64"),
    }
)


class Heard(ProgressView):
    console = Console(quiet=True)

    def __init__(self) -> None:
        self.events: list[Event] = []

    def tell(self, event: Event) -> None:
        self.events.append(event)


def a_sweep(view: ProgressView, *, status: str = "done", reason: str = "") -> None:
    """A whole sweep of two trials with two folds each, told to a view."""
    view.tell(Warned(text="left out at 5 shots: tile"))
    view.tell(Noted(text="2 images left out"))
    view.tell(
        Started(
            name="s",
            out="o",
            algorithm="grid",
            trials=2,
            folds=4,
            categories=("cap",),
            seeds=(1, 2),
            draws=(0,),
            shots=(2,),
        )
    )
    with SweepProgress(view, Eta({A: 2, B: 2}, {"bank": 1}, workers=1), folds=4, trials=2) as progress:
        progress.builds(["bank of cap, seed 1"], {"bank": (0, 0.0)})
        progress.builds(["bank of cap, seed 1"], {"bank": (0, 0.0)})
        progress.builds([], {"bank": (1, 3.0)})
        progress.fold(row(0))
        progress.fold(row(0), reused=True)
        progress.trial(0, "prototype, 2 shots", 0.5, NAN, score=0.5)
        progress.fold(row(1, kind=B, **FAILED))
        view.tell(Finishing(reason="interrupted", folds=1))
        progress.fold(row(1, kind=B))
        progress.trial(1, "contrastive, 5 shots", NAN, NAN, score=NAN)
        progress.lost(1)
    done = Done(
        name="s",
        status=status,
        reason=reason,
        counts=progress.counts,
        best=progress.best,
        seconds=9.0,
        summary=SUMMARY,
        labels={0: "prototype, 2 shots", 1: "contrastive, 5 shots"},
        caveats=("RANDOM",),
        files={"report": "o/r.html"},
    )
    view.tell(done)


def test_counts_and_the_best_are_kept_and_told():
    heard = Heard()
    with SweepProgress(heard, Eta({A: 4}, {}, workers=2), folds=6, trials=3, folds_done=2) as progress:
        for number, mean in enumerate([0.5, 0.4, 0.6, NAN]):
            progress.fold(row(number))
            progress.trial(number, "x", mean, 0.1, score=mean)
    assert [event.best.trial for event in heard.events if isinstance(event, NewBest)] == [0, 2]
    assert (progress.best.mean, progress.best.std) == (0.6, 0.1)
    assert (progress.counts.folds_done, progress.counts.trials_done, progress.counts.eta) == (6, 4, 0.0)


# --- how long it will take


def test_nothing_is_said_before_a_fold_was_run():
    eta = Eta({A: 3}, {"features": 2}, workers=1)
    eta.built({"features": (1, 60.0)})
    eta.fold(A, 1.0, reused=True)
    eta.fold(A, None, reused=False)
    assert eta.seconds() is None
    eta.fold(A, 1.0, reused=False)
    assert eta.seconds() == 0.0


def test_what_is_missing_is_built_and_folds_take_as_long_as_those_like_them():
    eta = Eta({A: 3, B: 2}, {"features": 3, "bank": 2}, workers=2)
    eta.built({"features": (1, 60.0)})
    eta.fold(A, 10.0, reused=False)
    builds = 2 * 60 + 2 * 60  # a bank is taken for an average build until one is there
    assert eta.seconds() == (2 * 10 + 2 * 10 + builds) / 2  # and so is a fold of another kind
    eta.fold(B, 50.0, reused=False)
    eta.built({"features": (3, 150.0), "bank": (1, 7.0)})
    assert eta.seconds() == (2 * 10 + 1 * 50 + 1 * 7) / 2


def test_a_fold_that_was_there_takes_no_time_and_teaches_nothing():
    eta = Eta({A: 4}, {}, workers=1)
    eta.fold(A, 10.0, reused=False)
    eta.fold(A, 99.0, reused=True)
    assert eta.seconds() == 20.0


def test_trials_that_are_not_known_yet_are_like_those_that_are():
    eta = Eta({A: 1, UNKNOWN: 2}, {}, workers=1)
    eta.fold(A, 10.0, reused=False)
    eta.fold(B, 30.0, reused=False)
    assert eta.seconds() == 20.0


# --- three views


def test_json_is_an_object_a_line_whose_keys_are_the_documented_ones():
    stream = io.StringIO()
    a_sweep(JsonLines(stream), status="paused", reason="later")
    events: list[dict[str, Any]] = [json.loads(line) for line in stream.getvalue().splitlines()]
    names = "warning note started building building fold fold trial best fold finishing fold trial trial_lost done"
    assert [event["event"] for event in events] == names.split()
    by_name = {event["event"]: event for event in events}
    counts = {"folds_done", "folds", "trials_done", "trials", "eta"}
    placed = {"categories", "seeds", "draws", "shots"}
    best = {"best_trial", "best_mean", "best_std", "best_score"}
    assert {name: set(event) - {"event"} for name, event in by_name.items()} == {
        "warning": {"text", "caveat"},
        "note": {"text"},
        "started": {"name", "out", "algorithm", "trials", "folds", "backbones", *placed},
        "building": {"under_way", *counts},
        "fold": {"trial", "category", "seed", "draw", "shots", "status", "accuracy", "seconds", "reused", *counts},
        "trial": {"trial", "configuration", "mean", "std", *best, *counts},
        "best": best,
        "finishing": {"reason", "folds"},
        "trial_lost": {"trial"},
        "done": {"name", "status", "reason", "seconds", "summary", "labels", "caveats", "files", *best, *counts},
    }
    assert by_name["done"]["summary"][1] == {
        "trial": 0,
        "shots": None,
        "category": "average",
        "mean": 0.5,
        "std": None,
        "seeds": 2,
        "categories": 1,
    }
    assert by_name["done"]["labels"]["1"] == "contrastive, 5 shots"
    failed = next(event for event in events if event.get("status", "ok").startswith("failed"))
    assert (failed["accuracy"], failed["folds_done"], failed["folds"], failed["trials_done"]) == (None, 3, 4, 1)


def test_quiet_is_the_table_and_what_went_wrong():
    output, errors = io.StringIO(), io.StringIO()
    a_sweep(Quiet(Console(file=output, width=120), errors))
    assert errors.getvalue().splitlines() == [
        "fsamc: warning: left out at 5 shots: tile",
        "fsamc: failed trial 1, cap, seed 1, draw 0: cap/x.png: torn [x]",
        "fsamc: trial 1: its process died",
    ]
    assert output.getvalue().startswith("s ")
    assert "prototype, 2 shots" in output.getvalue()
    assert output.getvalue().splitlines()[-1] == "RANDOM"


def test_a_quiet_sweep_that_was_paused_says_so():
    output = io.StringIO()
    view = Quiet(Console(file=output, width=120), io.StringIO())
    a_sweep(view, status="paused", reason="time budget reached after 1 of 2 trials; the same command goes on")
    assert output.getvalue().splitlines()[-1].startswith("time budget reached after 1 of 2 trials")


@pytest.mark.parametrize("terminal", [False, True])
def test_the_screen_says_how_far_it_is_and_how_to_stop(terminal):
    output = io.StringIO()
    a_sweep(Screen(Console(file=output, width=160, force_terminal=terminal, color_system=None)))
    shown = output.getvalue()
    for words in [
        "s: 2 trials (grid), 4 folds on 1 category x 2 seeds x 1 draw: cap",
        f"prototype, 2 shots  50.0 ± {DASH} %   best 50.0 ± {DASH} %, 2/4 folds, 1/2 trials",
        "failed trial 1, cap, seed 1, draw 0: cap/x.png: torn [x]",
        "interrupted: finishing 1 running fold, no more are started; Ctrl-C again stops at once",
        "4/4 folds, 2/2 trials" if terminal else "preparing bank of cap, seed 1",
    ]:
        assert words in shown, words


def test_a_sweep_that_ends_without_a_fold_is_told_too():
    stream, output = io.StringIO(), io.StringIO()
    done = Done(
        name="s",
        status="paused",
        reason="later",
        counts=SweepProgress(Heard(), Eta({}, {}, workers=1), folds=1, trials=1).counts,
        best=None,
        seconds=0.0,
        summary=None,
        labels={},
    )
    JsonLines(stream).tell(done)
    Quiet(Console(file=output), io.StringIO()).tell(done)
    assert json.loads(stream.getvalue())["summary"] is None
    assert output.getvalue() == "later\n"


def test_folds_that_a_stopped_trial_saves_are_no_longer_ahead():
    heard, eta = Heard(), Eta({A: 4, UNKNOWN: 4}, {}, workers=1)
    with SweepProgress(heard, eta, folds=8, trials=2) as progress:
        progress.fold(row(0))
        progress.stopped(
            0, "prototype, 2 shots", "stopped after 1 of 4 folds: worse", estimate=0.5, saved=Counter({A: 3})
        )
        assert (progress.counts.folds_done, progress.counts.folds, progress.counts.trials_done) == (1, 5, 1)
        assert progress.counts.eta == 4 * row(0)["seconds"]
    assert [event.reason for event in heard.events if isinstance(event, TrialStopped)] == [
        "stopped after 1 of 4 folds: worse"
    ]
