"""What is found once for all who ask."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class AsyncMemo(Generic[T]):
    """Answers by key, each found once for all who ask for it, at the same time or later. What failed is tried anew."""

    def __init__(self) -> None:
        self._asked: dict[str, asyncio.Task[T]] = {}

    def __iter__(self) -> Iterator[str]:
        """The keys of what is known or looked for."""
        return iter(self._asked)

    async def get(self, key: str, find: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The answer. Raises what `find` raises; it goes on where whoever asks is cancelled."""
        if key not in self._asked:
            task = self._asked[key] = asyncio.ensure_future(find())
            task.add_done_callback(lambda _: self._drop_if_failed(key, task))
        return await asyncio.shield(self._asked[key])

    def holds(self, key: str, answer: T) -> bool:
        """Whether whoever asks now gets this very answer."""
        task = self._asked.get(key)
        return task is not None and task.done() and task.result() is answer

    def forget(self, key: str) -> None:
        """Have the answer found anew when somebody asks again."""
        self._asked.pop(key, None)

    def _drop_if_failed(self, key: str, task: asyncio.Task[T]) -> None:
        if (task.cancelled() or task.exception()) and self._asked.get(key) is task:
            del self._asked[key]
