"""The monitor: looks as often as it says, and more rarely where a look is dear."""

from __future__ import annotations

import threading
import time

from sweeps.trials.monitor import Monitor


def test_looks_that_are_dear_come_more_rarely():
    spent: list[float] = []
    enough = threading.Event()

    def look() -> None:
        begun = time.thread_time()
        while time.thread_time() < begun + 0.02:
            pass
        spent.append(time.thread_time() - begun)
        if len(spent) == 4:
            enough.set()

    begun = time.monotonic()
    with Monitor(look, period=0.001, share=0.25):
        enough.wait(60)
        taken = time.monotonic() - begun
    assert taken >= sum(spent[:3]) / 0.25, "three pauses, each four times as long as its look"


def test_cheap_looks_come_every_period():
    times: list[float] = []
    enough = threading.Event()

    def look() -> None:
        times.append(time.monotonic())
        if len(times) == 5:
            enough.set()

    with Monitor(look, period=0.02):
        assert enough.wait(60)
    assert times[-1] - times[0] >= 4 * 0.02
