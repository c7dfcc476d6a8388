"""Signals and the time budget, without a sweep."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from fsamc.errors import BadInput
from sweeps.errors import Unfinished
from sweeps.results.reader import TrialRecord
from sweeps.trials.interrupts import BUDGET, INTERRUPTED, Interrupts, seconds_of
from sweeps.trials.status import sweep_status


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2h", 7200), ("30m", 1800), ("1h30m", 5400), ("90", 90), ("45s", 45), ("1.5h", 5400), ("1d", 86400), ("2H 5", 0)],
)
def test_a_budget_is_a_time(text, seconds):
    if seconds:
        assert seconds_of(text) == seconds
    else:
        with pytest.raises(BadInput):
            seconds_of(text)


@pytest.mark.parametrize("text", ["", "0", "h", "-5", "2 hours", "1m1h", "1.2.3h", "nan"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(BadInput, match="expected a time such as 2h"):
        seconds_of(text)


def press(number: signal.Signals = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)
    time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_cuts_short(number):
    asked = threading.Event()
    before = signal.getsignal(number)
    with Interrupts(None, started=time.monotonic()) as interrupts:
        went_on = False
        with interrupts.ending(asked.set):
            press(number)
            assert asked.wait(5)
            assert (interrupts.reason, interrupts.now, interrupts.requested) == (INTERRUPTED, False, True)
            went_on = True
            press(number)
            raise AssertionError("cut short")
        assert went_on
        assert interrupts.now
    assert signal.getsignal(number) == before


def test_while_no_trials_run_a_signal_is_an_interrupt():
    told = "interrupted; the same command goes on where this one stopped"
    with pytest.raises(Unfinished, match=told), Interrupts(None, started=time.monotonic()):
        press()


def test_an_interrupt_of_another_kind_is_not_swallowed():
    interrupts = Interrupts(None, started=time.monotonic())
    with interrupts, pytest.raises(KeyboardInterrupt), interrupts.ending(lambda: None):
        raise KeyboardInterrupt


def test_the_budget_counts_from_the_start_of_the_run():
    with Interrupts(3600, started=time.monotonic() - 3600) as interrupts:
        asked = threading.Event()
        with interrupts.ending(asked.set):
            assert asked.wait(5)
            assert (interrupts.reason, interrupts.now) == (BUDGET, False)
            press()
            assert interrupts.reason == INTERRUPTED


def test_without_a_budget_nothing_is_asked():
    with Interrupts(None, started=time.monotonic() - 1e6) as interrupts:
        assert not interrupts.requested


DONE, OPEN = TrialRecord(0, {}, done=True), TrialRecord(1, {})


@pytest.mark.parametrize(
    ("records", "ended", "more", "status", "reason"),
    [
        ([DONE], {0}, {}, "done", ""),
        ([DONE, OPEN], {0}, {}, "interrupted", "the same command goes on"),
        ([DONE, OPEN], {0, 1}, {}, "failed", "1 of 2 trials failed"),
        ([DONE], {0}, {"all_proposed": False}, "interrupted", "the same command goes on"),
        ([DONE, OPEN], {0}, {"budget_spent": True}, "paused", "after 1 of 3 trials; the same command goes on"),
        ([DONE], {0}, {"budget_spent": True}, "done", ""),
        ([DONE, OPEN], {0}, {"stopped_by": "the disk is full"}, "stopped", "the disk is full; mend that"),
    ],
)
def test_how_a_sweep_has_ended(records, ended, more, status, reason):
    given = {"all_proposed": True, "trials": 3, "stopped_by": None, "budget_spent": False} | more
    found = sweep_status(records, ended, **given)
    assert found[0] == status
    assert reason in found[1]
