"""Deadline of a call to another machine: for the whole of it, however often a byte comes in between."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar, cast

Answer = TypeVar("Answer")
Client = TypeVar("Client")

DEADLINE = 60.0  # seconds, where no plan says otherwise
DOWNLOAD = 30 * DEADLINE  # of some hundred megabytes


def within(seconds: float, call: Callable[[], Answer], name: str) -> Answer:
    """Return what `call` returns, or raise what it raises.

    The timeouts of clients are for one read, and a server that sends a byte now and then never meets them. So the call
    runs in a thread of its own. One that is late is left behind, and its answer dropped.

    Args:
        seconds: what the call may take.
        call: what is waited for.
        name: of the call, and whom it asks.

    Raises:
        TimeoutError: there is no answer after `seconds`, named by `name`.
    """
    future: Future[Answer] = Future()
    thread = _Call(target=_settle, args=(future, call), daemon=True, name=name)
    thread.start()
    thread.join(seconds)
    if not future.done():
        raise TimeoutError(f"{name}: no whole answer within {seconds:g} seconds")
    try:
        return future.result()
    finally:
        del future  # else an error would hold itself, and what it has open, by way of its traceback


def bounded(client: Client, seconds: float, address: str) -> Client:
    """Return the client of `address`, each of whose calls raises a TimeoutError after `seconds`."""
    return cast(Client, _Bounded(client, seconds, address))


def any_left_behind() -> bool:
    """Whether a call that was late still runs: the libraries of some wait for it when the process ends."""
    return any(isinstance(thread, _Call) for thread in threading.enumerate())


class _Call(threading.Thread):
    """A call that somebody waits for, or has waited for."""


class _Bounded:
    def __init__(self, client: object, seconds: float, address: str) -> None:
        self._client, self._seconds, self._address = client, seconds, address

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)
        return lambda *args, **named: within(
            self._seconds, partial(method, *args, **named), f"{name} of {self._address}"
        )


def _settle(future: Future[Answer], call: Callable[[], Answer]) -> None:
    try:
        future.set_result(call())
    except BaseException as error:  # whatever it is, whoever waits is told
        future.set_exception(error)
    finally:
        del future
