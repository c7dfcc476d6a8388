"""Memo of coroutines: each key is computed once, however many wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class AsyncMemo(Generic[T]):
    """Results by key, each computed once for all who call, at the same time or later. A failure is not remembered."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[T]] = {}

    def __iter__(self) -> Iterator[str]:
        """Iterate over the keys that are computed or on their way."""
        return iter(self._tasks)

    async def get(self, key: str, compute: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return the result. Raises what `compute` raises; the computation outlives a caller that is cancelled."""
        if key not in self._tasks:
            task = self._tasks[key] = asyncio.ensure_future(compute())
            task.add_done_callback(lambda _: self._drop_if_failed(key, task))
        return await asyncio.shield(self._tasks[key])

    def holds(self, key: str, result: T) -> bool:
        """Whether `get` returns this very object now."""
        task = self._tasks.get(key)
        return task is not None and task.done() and task.result() is result

    def forget(self, key: str) -> None:
        """Have the result computed anew at the next call."""
        self._tasks.pop(key, None)

    def _drop_if_failed(self, key: str, task: asyncio.Task[T]) -> None:
        if (task.cancelled() or task.exception()) and self._tasks.get(key) is task:
            del self._tasks[key]
