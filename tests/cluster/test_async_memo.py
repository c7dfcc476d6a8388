"""What is found once for all who ask."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from cluster.async_memo import AsyncMemo


class Finder:
    """Finds a new answer at every try; fails at the tries that it is told."""

    def __init__(self, fails: tuple[int, ...] = ()) -> None:
        self.tries, self._fails, self.may_end = 0, fails, asyncio.Event()

    async def __call__(self) -> str:
        self.tries += 1
        number = self.tries
        await self.may_end.wait()
        if number in self._fails:
            raise ValueError(number)
        return f"answer {number}"


def run(scene: Callable[[], Awaitable[Any]]) -> Any:
    return asyncio.run(scene())


def test_all_who_ask_at_the_same_time_or_later_get_the_same_answer():
    async def scene() -> list[str]:
        once, find = AsyncMemo[str](), Finder()
        asked = [asyncio.ensure_future(once.get("a", find)) for _ in range(3)]
        await asyncio.sleep(0)
        find.may_end.set()
        return [*await asyncio.gather(*asked), await once.get("a", find), await once.get("b", find)]

    assert run(scene) == ["answer 1"] * 4 + ["answer 2"]


def test_all_who_asked_hear_of_a_failure_and_the_next_tries_anew():
    async def scene() -> tuple[list[Any], str]:
        once, find = AsyncMemo[str](), Finder(fails=(1,))
        asked = [asyncio.ensure_future(once.get("a", find)) for _ in range(2)]
        await asyncio.sleep(0)
        find.may_end.set()
        return await asyncio.gather(*asked, return_exceptions=True), await once.get("a", find)

    failed, found = run(scene)
    assert [type(error) for error in failed] == [ValueError, ValueError]
    assert found == "answer 2"


def test_the_search_goes_on_where_one_who_asked_is_cancelled():
    async def scene() -> str:
        once, find = AsyncMemo[str](), Finder()
        first, second = (asyncio.ensure_future(once.get("a", find)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        find.may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert await once.get("a", find) == await second
        return await second

    assert run(scene) == "answer 1"


def test_a_failure_of_which_nobody_heard_is_not_the_answer_of_who_asks_later():
    async def scene() -> str:
        once, find = AsyncMemo[str](), Finder(fails=(1,))
        asked = asyncio.ensure_future(once.get("a", find))
        await asyncio.sleep(0)
        asked.cancel()
        await asyncio.sleep(0)
        find.may_end.set()
        await asyncio.sleep(0.01)
        return await once.get("a", find)

    assert run(scene) == "answer 2"


def test_only_the_answer_that_is_given_now_is_held_and_one_forgotten_is_found_anew():
    async def scene() -> None:
        once, find = AsyncMemo[str](), Finder()
        asked = asyncio.ensure_future(once.get("a", find))
        await asyncio.sleep(0)
        assert not once.holds("a", "answer 1"), "it is still looked for"
        find.may_end.set()
        first = await asked
        assert once.holds("a", first)
        once.forget("a")
        assert not once.holds("a", first)
        second = await once.get("a", find)
        assert (first, second) == ("answer 1", "answer 2")
        assert once.holds("a", second)
        assert not once.holds("a", first)

    run(scene)
