"""Monitor thread beside the sweep, for what no event tells: memory held, builds under way."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType

import psutil


class Monitor(threading.Thread):
    """Thread that calls `look` every `period` seconds while its context is open."""

    def __init__(self, look: Callable[[], None], *, period: float = 2.0) -> None:
        super().__init__(daemon=True, name="monitor")
        self._look, self._period = look, period
        self._stopped = threading.Event()

    def run(self) -> None:
        """Call `look` once every period until the context is left."""
        while not self._stopped.wait(self._period):
            self._look()

    def __enter__(self) -> Monitor:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self.join()


def tree_memory() -> int:
    """Count the bytes that this process and all below it hold, shared pages once (proportional set size)."""
    this = psutil.Process()
    total = 0
    for process in (this, *this.children(recursive=True)):
        try:
            total += process.memory_full_info().pss
        except (psutil.Error, AttributeError):  # gone meanwhile, or a system without it
            continue
    return total
