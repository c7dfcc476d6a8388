"""Working set: the artifacts in memory, and which go first when they are too many."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping


class WorkingSet:
    """Artifacts in memory, least recently used first. What a fold reads is never released.

    Args:
        capacity: bytes that may lie there while no fold needs more.
    """

    def __init__(self, capacity: float) -> None:
        self._capacity = capacity
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._readers: Counter[str] = Counter()

    @property
    def bytes(self) -> int:
        """Size of what is in memory."""
        return sum(self._sizes.values())

    def enter(self, sizes: Mapping[str, int]) -> list[str]:
        """Note that a fold is going to read these, of so many bytes each; return what to release for them."""
        for key, size in sizes.items():
            self._sizes[key] = size
            self._sizes.move_to_end(key)
            self._readers[key] += 1
        return self._overdue()

    def leave(self, keys: Iterable[str]) -> list[str]:
        """Note that a fold has read these; return what to release."""
        for key in keys:
            self._readers[key] -= 1
        return self._overdue()

    def _overdue(self) -> list[str]:
        """Drop the least recently used that nobody reads until the rest fits; return their keys."""
        released, excess = [], self.bytes - self._capacity
        for key in [key for key in self._sizes if not self._readers[key]]:
            if excess <= 0:
                break
            excess -= self._sizes.pop(key)
            del self._readers[key]
            released.append(key)
        return released
