"""Monitor thread beside the sweep, for what no event tells: memory held, builds under way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType

import psutil


class Monitor(threading.Thread):
    """Thread that calls `look` every `period` seconds while its context is open.

    A look that is dear comes more rarely: with hundreds of trials' processes, to ask all for their memory takes half a
    second of the driver.

    Args:
        look: called in this thread.
        period: seconds between two looks.
        share: of the processor that looks may take.
    """

    def __init__(self, look: Callable[[], None], *, period: float = 2.0, share: float = 0.02) -> None:
        super().__init__(daemon=True, name="monitor")
        self._look, self._period, self._share = look, period, share
        self._stopped = threading.Event()

    def run(self) -> None:
        """Call `look` once every period until the context is left."""
        pause = self._period
        while not self._stopped.wait(pause):
            begun = time.thread_time()
            self._look()
            pause = max(self._period, (time.thread_time() - begun) / self._share)

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
