"""The recorder by itself, called as Tune calls it: what is on disk when, and who is told what."""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.search import Searcher

from cluster.folds import Fold, Outcome
from fsamc.config.dotted import updated
from sweeps.results import folder as folder_module
from sweeps.results.reader import SweepReader
from sweeps.results.usage import Usage
from sweeps.search import Proposal
from sweeps.trials import tuner
from sweeps.trials.racing import Standings
from sweeps.trials.recorder import Recorder
from sweeps.trials.stopping import EarlyStopping
from sweeps.trials.trial import PendingFolds, PlanSearch
from tests.sweeps.outs import Out, outcome

WHERE = [("cap", 1, 0), ("cap", 2, 0), ("tile", 1, 0), ("tile", 2, 0)]


class Told:
    """In place of the progress and the search: notes what it is told, and what OUT holds at that moment."""

    def __init__(self, out: Out, proposals: list[Proposal]) -> None:
        self.out, self.proposals = out, proposals
        self.calls: list[tuple[Any, ...]] = []
        self.rows_at: list[int] = []
        self.done_at: list[list[bool]] = []

    def propose(self) -> Proposal | None:
        return self.proposals.pop(0) if self.proposals else None

    def tell(self, number: int, score: float | None, **more: Any) -> None:
        self.done_at.append([record.done for record in SweepReader(self.out.root).trials])
        self.calls.append(("search", number, score, more))

    def prune(self, number: int, estimate: float, **more: Any) -> None:
        record = SweepReader(self.out.root).trials[number]
        self.calls.append(("pruned", number, estimate, record.estimate, more))

    def fold(self, row: dict[str, Any], *, reused: bool) -> None:
        self.rows_at.append(len(SweepReader(self.out.root).folds))

    def trial(self, number: int, label: str, mean: float, std: float, *, score: float) -> None:
        self.calls.append(("trial", number, mean, score))

    def stopped(self, number: int, label: str, reason: str, *, estimate: float, saved: Any) -> None:
        self.calls.append(("stopped", number, reason, estimate, saved.total()))

    def lost(self, number: int) -> None:
        self.calls.append(("lost", number))


class Judge:
    """In place of early stopping: whatever comes is judged at once, and stopped where a test gives a reason."""

    def __init__(self) -> None:
        self.reasons: dict[int, str] = {}
        self.estimates: dict[int, float] = {}
        self.standings = Standings()
        self.came: list[tuple[int, Outcome]] = []

    def judged(self) -> list[tuple[int, Outcome]]:
        came, self.came = self.came, []
        return came

    def lost(self, number: int) -> None:
        """Nobody waits for it."""


class Bench:
    """A recorder on an OUT, with a trial of four folds."""

    def __init__(self, root: Path) -> None:
        self.out = Out(root)
        self.told = Told(self.out, [Proposal(0, self.out.values(0)), Proposal(1, self.out.values(1))])
        self.stopping = Judge()
        self.usage = Usage()
        told: Any = self.told
        stopping: Any = self.stopping
        self.recorder = Recorder(self.out.folder, told, told, self.usage, stopping)

    def saved(self) -> SweepReader:
        return SweepReader(self.out.root)

    def start(self) -> SimpleNamespace:
        record = self.recorder.propose()
        assert record is not None
        config = updated(self.out.plan.base, record.values)
        folds = [Fold(category=category, seed=seed, draw=draw, config=config) for category, seed, draw in WHERE]
        trial = SimpleNamespace(
            config={
                "number": record.number,
                "values": record.values,
                "folds": PendingFolds(folds),
                "planned": len(folds),
            },
            run_metadata=SimpleNamespace(metric_analysis={}, metric_n_steps={}),
        )
        self.recorder.on_trial_start(0, [], trial)
        return trial

    def outcome(self, trial: SimpleNamespace, place: int, right: int | None) -> Outcome:
        return outcome(self.out.plan, trial.config["values"], WHERE[place], right)

    def report(self, trial: SimpleNamespace, place: int, right: int | None = 5) -> None:
        self.stopping.came.append((trial.config["number"], self.outcome(trial, place, right)))
        self.recorder.on_trial_result(0, [], trial, {"outcome": self.stopping.came[-1][1]})

    def complete(self, trial: SimpleNamespace) -> None:
        self.recorder.on_trial_result(0, [], trial, {"outcome": None})
        self.recorder.on_trial_complete(0, [], trial)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "out")


def test_a_proposed_trial_is_written_down_before_it_starts(bench: Bench):
    search = PlanSearch(
        waiting=[],
        propose=bench.recorder.propose,
        folds=lambda values: [Fold(category="cap", seed=1, draw=0, config=updated(bench.out.plan.base, values))],
        passes=[frozenset({"cap"})],
    )
    for number in range(2):
        config = search.suggest(f"t{number}")
        assert config["number"] == number
        assert [(record.number, record.values) for record in bench.saved().trials] == [
            (one, bench.out.values(one)) for one in range(number + 1)
        ]
        assert bench.saved().trials[number].started is not None
    assert search.suggest("t2") == Searcher.FINISHED


def test_a_fold_is_on_disk_before_anybody_hears_of_it_and_is_told_once(bench: Bench):
    trial = bench.start()
    for place in (0, 1, 0):  # the third again, of a trial whose process died
        bench.report(trial, place)
    bench.recorder.on_trial_start(0, [], trial)
    bench.report(trial, 1)
    assert bench.told.rows_at == [1, 2]
    assert bench.usage.folds == len(bench.saved().folds) == 2
    assert not bench.told.calls


def test_a_whole_trial_is_done_on_disk_before_the_search_learns_its_score(bench: Bench):
    trial = bench.start()
    for place, right in ((3, 9), (0, 4), (2, 7), (1, 6)):
        bench.report(trial, place, right)
    assert not bench.saved().trials[0].done
    bench.complete(trial)
    (search, shown) = bench.told.calls
    assert search[:2] == ("search", 0)
    assert search[2] == pytest.approx(0.65)
    assert search[3]["std"] == pytest.approx((0.75 - 0.55) / 2**0.5)
    assert search[3]["seconds"] == pytest.approx(0.5)
    assert shown == ("trial", 0, pytest.approx(0.65), pytest.approx(0.65))
    assert bench.told.done_at == [[True]]
    assert bench.recorder.ended == {0}
    assert bench.saved().notes["folds"] == 4
    assert not list(trial.config["folds"])


def test_the_search_learns_the_objective_s_score_and_the_screen_shows_the_accuracy(bench: Bench, monkeypatch):
    monkeypatch.setattr("sweeps.trials.recorder.fold_score", lambda plan, result: float(result.seed == 1))
    trial = bench.start()
    for place in range(4):
        bench.report(trial, place, 5)
    bench.complete(trial)
    assert bench.told.calls[0][2] == 0.5
    assert bench.told.calls[1][2:] == (0.5, 0.5)
    monkeypatch.setattr(
        "sweeps.trials.recorder.fold_score", lambda plan, result: float("nan") if result.category == "cap" else 0.25
    )
    trial = bench.start()
    for place in range(4):
        bench.report(trial, place, 5)
    bench.complete(trial)
    assert bench.told.calls[2][2] == 0.25
    assert bench.told.calls[3][2:] == (0.5, 0.25)


def test_a_trial_with_a_failed_fold_is_tried_again_by_the_next_run(bench: Bench):
    trial = bench.start()
    for place in range(4):
        bench.report(trial, place, None if place == 2 else 5)
    bench.complete(trial)
    assert bench.told.calls[0][:3] == ("search", 0, None)
    (record,) = bench.saved().trials
    assert (record.done, record.failed) == (False, True)
    assert bench.recorder.ended == {0}
    assert (bench.usage.folds, bench.usage.failed) == (4, 1)


def test_a_trial_that_was_stopped_early_is_done_and_stands_for_its_estimate(bench: Bench):
    first = bench.start()
    folds = [(*where, 3) for where in WHERE]
    bench.stopping.standings.enter(0, folds)
    for place in range(4):
        bench.report(first, place, 8)
        bench.stopping.standings.tell(0, folds[place], 0.8)
    bench.complete(first)
    second = bench.start()
    bench.stopping.standings.enter(1, folds)
    bench.report(second, 2, 3)
    bench.stopping.standings.tell(1, folds[2], 0.3)
    estimate = bench.stopping.standings.estimate(1)
    assert estimate == pytest.approx(0.3)
    bench.stopping.reasons[1], bench.stopping.estimates[1] = "far below", estimate
    bench.stopping.standings.enter(2, folds)
    for place, score in zip(folds, (0.9, 0.9, 0.6, 0.9), strict=True):
        bench.stopping.standings.tell(2, place, score)
    assert bench.stopping.standings.estimate(1) == pytest.approx(0.525), "which comes too late to count"
    bench.complete(second)
    assert bench.told.calls[2:] == [
        ("pruned", 1, estimate, estimate, {"folds": {2: 0.3}, "seconds": 0.5}),
        ("stopped", 1, "stopped after 1 of 4 folds: far below", estimate, 3),
    ]
    record = bench.saved().trials[1]
    assert (record.done, record.stopped) == (True, "stopped after 1 of 4 folds: far below")


def test_a_trial_whose_process_died_for_good_is_noted_as_failed(bench: Bench):
    trial = bench.start()
    bench.report(trial, 0)
    bench.recorder.on_trial_error(0, [], trial)
    assert bench.told.calls == [("lost", 0), ("search", 0, None, {})]
    assert bench.saved().trials[0].failed
    bench.report(trial, 1)
    assert len(bench.saved().folds) == 1


@pytest.fixture
def fill_the_disk(monkeypatch) -> Callable[[], None]:
    def full(path: Path, text: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    return lambda: monkeypatch.setattr(folder_module, "append", full)


def test_on_a_full_disk_no_trial_starts_that_is_not_written_down(bench: Bench, fill_the_disk):
    fill_the_disk()
    assert bench.recorder.propose() is None
    assert "No space left" in str(bench.recorder.stopped_by)
    assert not bench.saved().trials


def test_on_a_full_disk_nobody_hears_of_what_is_not_written_down(bench: Bench, fill_the_disk):
    trial = bench.start()
    for place in range(3):
        bench.report(trial, place)
    fill_the_disk()
    bench.report(trial, 3)
    bench.complete(trial)
    assert "No space left" in str(bench.recorder.stopped_by)
    assert len(bench.told.rows_at) == bench.usage.folds == 3
    assert not bench.told.calls
    assert not bench.recorder.ended


def test_an_outcome_that_no_other_fold_would_escape_ends_the_sweep(bench: Bench):
    trial = bench.start()
    fatal = Outcome(fold=bench.outcome(trial, 0, 5).fold, result=None, error="cache: disk full", fatal=True)
    bench.recorder.on_trial_result(0, [], trial, {"outcome": fatal})
    bench.report(trial, 1)
    assert bench.recorder.stopped_by == "cache: disk full"
    assert bench.recorder.propose() is None
    assert bench.saved().folds.empty


@pytest.mark.parametrize("raises", ["screen", "scheduler"])
def test_an_error_that_nobody_expects_surfaces_as_itself(bench: Bench, monkeypatch: pytest.MonkeyPatch, raises):
    """Tune takes what a callback or scheduler raises for the trial's failure, and starts that again."""
    trial, error = bench.start(), UnicodeEncodeError("ascii", "\u00b1", 0, 1, "ordinal not in range")
    stopping, stops = EarlyStopping(bench.out.plan, folds=4), []

    def raise_it(*_: Any, **__: Any) -> None:
        raise error

    class Tuner:
        def __init__(self, *_: Any, run_config: Any, **__: Any) -> None:
            self.stop = run_config.stop

        def fit(self) -> None:
            stops.append(self.stop.stop_all())
            with suppress(UnicodeEncodeError):
                if raises == "scheduler":
                    stopping.on_trial_result(None, trial, {"outcome": bench.outcome(trial, 0, 5)})
                bench.report(trial, 0)
            stops.append(self.stop.stop_all())

    if raises == "screen":
        monkeypatch.setattr(bench.told, "fold", raise_it)
    else:
        monkeypatch.setattr(stopping, "_tell", raise_it)
    monkeypatch.setattr(tuner.tune, "Tuner", Tuner)
    for name in ("with_parameters", "with_resources"):
        monkeypatch.setattr(tuner.tune, name, lambda trainable, *_, **__: trainable)
    anything: Any = None
    where = {"runner": anything, "workers": 1, "folds": 4, "left": 1, "scratch": Path("x"), "now": lambda: False}
    with pytest.raises(UnicodeEncodeError) as raised:
        tuner.run_trials(anything, bench.recorder, stopping, bench.out.plan, **where)
    assert raised.value is error
    assert stops == [False, True]
    assert len(bench.saved().folds) == (raises == "screen")
