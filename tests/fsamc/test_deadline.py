"""Deadline of a call: the answer, the error, or the end of the time, whichever comes first."""

from __future__ import annotations

import gc
import time
from contextlib import suppress
from weakref import WeakValueDictionary

import pytest

from fsamc.deadline import bounded, within


def test_an_answer_and_an_error_come_through():
    assert within(5, lambda: 7, "seven") == 7
    with pytest.raises(KeyError, match="ours"):
        within(5, lambda: {}["ours"], "an error")
    with pytest.raises(TimeoutError, match="theirs"):
        within(5, lambda: (_ for _ in ()).throw(TimeoutError("theirs")), "an error")


def test_an_error_goes_when_it_has_been_dealt_with():
    """With what it has open, such as the connection of an answer that is an error."""

    def fail() -> None:
        raise errors.setdefault("error", Refused())

    class Refused(OSError):
        """An error to which references may be weak."""

    errors: WeakValueDictionary[str, OSError] = WeakValueDictionary()
    gc.disable()
    try:
        with suppress(OSError):
            within(5, fail, "an error")
        assert not errors
    finally:
        gc.enable()


def test_a_late_call_is_named_and_left_behind():
    began = time.monotonic()
    with pytest.raises(TimeoutError, match=r"^the clock: no whole answer within 0\.05 seconds$"):
        within(0.05, lambda: time.sleep(60), "the clock")
    assert time.monotonic() - began < 30


def test_each_call_of_a_bounded_client_has_the_deadline_for_itself():
    class Client:
        def rest(self, seconds: float, *, answer: str) -> str:
            time.sleep(seconds)
            return answer

    client = bounded(Client(), 0.5, "http://there")
    assert [client.rest(0.3, answer="late enough") for _ in range(2)] == ["late enough"] * 2
    with pytest.raises(TimeoutError, match="rest of http://there"):
        client.rest(60, answer="")
