"""Stop of a watch: Ctrl-C or SIGTERM ends it in good order, so that what it has written is whole."""

from __future__ import annotations

import signal
import threading
from types import TracebackType
from typing import Any

PAUSE = 1.0  # seconds between two looks
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Listens while in its context, and only in a process's main thread, where signals are told.

    The first signal is noted, the second is too late to change anything, and the third ends the process where it is.

    Attributes:
        signal: the first that came; None so far.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._came = threading.Event()
        self._again = False
        self._before: dict[signal.Signals, Any] = {}

    def wait(self) -> bool:
        """Wait for the next look; return whether to end instead."""
        return self._came.wait(PAUSE)

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._signalled) for number in _SIGNALS}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _signalled(self, number: int, _frame: object) -> None:
        if self.signal is None:
            self.signal = number
            self._came.set()
        elif not self._again:
            self._again = True
        else:
            raise KeyboardInterrupt
