"""Interrupts of a sweep: Ctrl-C or SIGTERM once, twice, or the end of its time budget."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from fsamc.errors import BadInput
from sweeps.errors import Unfinished

INTERRUPTED, BUDGET = "interrupted", "time budget reached"
GO_ON = f"{INTERRUPTED}; the same command goes on where this one stopped"
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


class Interrupts:
    """Listens while in its context, and only in a process's main thread, where signals are told.

    While trials run (`ending`), the first signal or the end of the budget asks for an end in good order, and the second
    signal raises KeyboardInterrupt where it meets the program. At any other time the first one does, and leaves the
    context as Unfinished.

    Args:
        budget: seconds from the start of this run, or None.
        started: when that was, on the monotonic clock.

    Attributes:
        reason: why the sweep is to end early; nothing where it is not.
        now: whether it is to end at once.
    """

    def __init__(self, budget: float | None, *, started: float) -> None:
        self.started = started
        self._left = None if budget is None else budget - (time.monotonic() - started)
        self.reason = ""
        self.now = False
        self._signals = 0
        self._ask: Callable[[], object] | None = None
        self._timer: threading.Timer | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._signalled) for number in _SIGNALS}
        if self._left is not None:
            self._timer = threading.Timer(max(0.0, self._left), self._end, [BUDGET])
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer:
            self._timer.cancel()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if isinstance(error, KeyboardInterrupt):
            raise Unfinished(GO_ON) from None

    @contextmanager
    def ending(self, ask: Callable[[], object]) -> Iterator[None]:
        """Call `ask` in its own thread as soon as an end is asked for while this context is open, or was before.

        What the second signal cuts short is left without an error.
        """
        self._ask = ask
        if self.reason:
            ask()
        try:
            yield
        except KeyboardInterrupt:
            if not self.now:
                raise
        finally:
            self._ask = None

    @property
    def requested(self) -> bool:
        """Whether no more trials are to be started."""
        return bool(self.reason)

    def _signalled(self, *_: Any) -> None:
        self._signals += 1
        if self._ask is None or self._signals > 1:
            self.now, self.reason = True, INTERRUPTED
            raise KeyboardInterrupt
        self._end(INTERRUPTED)

    def _end(self, reason: str) -> None:
        """Ask for the end. A signal counts for more than the budget: then the sweep exits with 1."""
        self.reason = INTERRUPTED if INTERRUPTED in (reason, self.reason) else reason
        if self._ask:
            threading.Thread(target=self._ask, daemon=True, name="end").start()  # a handler should not wait for Ray


def seconds_of(text: str) -> float:
    """Read `2h`, `90m`, `1h30m`, `45s`, `1d` or plain seconds. Raises BadInput."""
    match = re.fullmatch(r"(?:([\d.]+)d)?(?:([\d.]+)h)?(?:([\d.]+)m)?(?:([\d.]+)s?)?", text.strip().lower())
    try:
        parts = match.groups() if match and any(match.groups()) else ()
        seconds = sum(float(part) * unit for part, unit in zip(parts, _UNITS.values(), strict=False) if part)
    except ValueError:
        seconds = 0.0
    if seconds <= 0:
        raise BadInput(f"--time-budget {text}: expected a time such as 2h, 90m, 1h30m or seconds")
    return seconds
