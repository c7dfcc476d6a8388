"""Seconds that the stages of a fold take."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Seconds per named stage, added up over repeated visits. A stage within another one is part of that."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._within = False

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count what happens inside the block towards `name`."""
        if self._within:
            yield
            return
        started, self._within = time.perf_counter(), True
        try:
            yield
        finally:
            self._within = False
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started
