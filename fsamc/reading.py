"""Reading of many files: a few at a time, in order, and whoever waits is told how far it is."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Tell = Callable[[str, int, int], object]
"""Hears what is being done, how many are done, and of how many."""

_THREADS = 4
_AHEAD = 64  # files that are read or waited for beyond the one that is yielded; bounds the memory
Item = TypeVar("Item")
T = TypeVar("T")


def silent(_what: str, _done: int, _of: int) -> None:
    """Tell nobody."""


def read_each(work: Callable[[Item], T], items: Sequence[Item], what: str = "", tell: Tell = silent) -> Iterator[T]:
    """Yield `work(item)` of each item in order, from several threads; the first error is raised in its place.

    Args:
        work: is done.
        items: some are taken ahead of what is yielded, however many there are.
        what: it is, for `tell`.
        tell: hears of each that is done.
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        ahead: deque[Future[T]] = deque()
        try:
            for done in range(-_AHEAD, len(items)):
                if done + _AHEAD < len(items):
                    ahead.append(pool.submit(work, items[done + _AHEAD]))
                if done >= 0:
                    yield ahead.popleft().result()
                    tell(what, done + 1, len(items))
        finally:
            for one in ahead:
                one.cancel()
