"""A thread beside the sweep: the most memory its processes held, and what has been built."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

import psutil

from fsamc.store import Store


class Watch(threading.Thread):
    """Looks every few seconds until stopped.

    Attributes:
        peak_memory: bytes, proportional set size (shared pages once) over this process and all below it.
    """

    def __init__(self, store: Store, on_builds: Callable[[Counter[str]], None], *, period: float = 2.0) -> None:
        super().__init__(daemon=True, name="watch")
        self.peak_memory = 0
        self._store, self._on_builds, self._period = store, on_builds, period
        self._stopped = threading.Event()

    def run(self) -> None:
        """Look, tell, wait."""
        while not self._stopped.wait(self._period):
            self.peak_memory = max(self.peak_memory, tree_memory())
            self._on_builds(Counter(build.kind for build in self._store.builds()))

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self.join()


def tree_memory() -> int:
    """Bytes that this process and all below it hold, shared pages counted once."""
    this = psutil.Process()
    total = 0
    for process in (this, *this.children(recursive=True)):
        try:
            total += process.memory_full_info().pss
        except (psutil.Error, AttributeError):  # gone meanwhile, or a system without it
            continue
    return total
