"""What lies in memory at once, and what goes first when it is too much."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping


class WorkingSet:
    """Artifacts in memory, in the order of their last use. What a fold reads is never let go of.

    Args:
        most: bytes that may lie there while no fold needs more.
    """

    def __init__(self, most: float) -> None:
        self._most = most
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._readers: Counter[str] = Counter()

    @property
    def bytes(self) -> int:
        """What lies there now."""
        return sum(self._sizes.values())

    def enter(self, sizes: Mapping[str, int]) -> list[str]:
        """A fold is going to read these, of so many bytes each: what is to be released for them."""
        for key, size in sizes.items():
            self._sizes[key] = size
            self._sizes.move_to_end(key)
            self._readers[key] += 1
        return self._overdue()

    def leave(self, keys: Iterable[str]) -> list[str]:
        """A fold has read these: what is to be released."""
        for key in keys:
            self._readers[key] -= 1
        return self._overdue()

    def _overdue(self) -> list[str]:
        """The least recently used that nobody reads, until the rest is no more than it may be."""
        released, excess = [], self.bytes - self._most
        for key in [key for key in self._sizes if not self._readers[key]]:
            if excess <= 0:
                break
            excess -= self._sizes.pop(key)
            del self._readers[key]
            released.append(key)
        return released
