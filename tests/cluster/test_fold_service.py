"""What a service does about what its folds read, without a Ray: what is asked for, lost and let go of."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from math import inf
from types import SimpleNamespace

import pytest
from ray.exceptions import ActorDiedError, ActorUnavailableError, ObjectLostError, OwnerDiedError, RayTaskError

from cluster.bank_actors import Offer
from cluster.fold_service import FoldService, _run_fold
from cluster.folds import Fold
from tests.sweeps.asleep import made_up

LOST = [
    OwnerDiedError("0", "", ""),
    ObjectLostError("0", "", ""),
    ActorUnavailableError("", b"0" * 16),
    ActorDiedError(),
]


def at_once(found) -> asyncio.Future:
    """Stands for a reference."""
    future = asyncio.get_running_loop().create_future()
    future.set_result(found)
    return future


class Losing(FoldService.__ray_metadata__.modified_class):
    """A service outside Ray, whose folds lose what they read so many times."""

    def __init__(self, root, error: Exception, times: int) -> None:
        super().__init__(root, "test", 0.0, 1, inf)
        self._error, self._times, self.tries = error, times, 0

    async def _run_once(self, fold, artifacts):
        self.tries += 1
        if self.tries <= self._times:
            raise self._error
        return "{}"


def run_losing(shared, fold, monkeypatch, error: Exception, times: int) -> tuple[Losing, list[float]]:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    async def run() -> None:
        assert await service.run(fold(), [at_once(shared)]) == ("{}", False)

    monkeypatch.setattr("cluster.fold_service.asyncio.sleep", pause)
    service = Losing(shared.store, error, times)
    try:
        asyncio.run(run())
    finally:
        return service, pauses  # noqa: B012


@pytest.mark.parametrize("error", [*LOST, RayTaskError("f", "", LOST[0])], ids=lambda error: type(error).__name__)
def test_a_fold_that_lost_what_it_reads_runs_again_until_it_is_there(shared, fold, monkeypatch, error):
    service, _ = run_losing(shared, fold, monkeypatch, error, 2)
    assert service.tries == 3


@pytest.mark.parametrize("error", [ValueError("bad"), RayTaskError("f", "", ValueError("bad"))])
def test_other_errors_are_the_folds_own(shared, fold, monkeypatch, error):
    service, _ = run_losing(shared, fold, monkeypatch, error, 1)
    assert service.tries == 1


def test_what_stays_lost_is_not_asked_for_for_ever(shared, fold, monkeypatch):
    service, pauses = run_losing(shared, fold, monkeypatch, LOST[-1], 1000)
    assert service.tries == len(pauses) + 1
    assert 100 < sum(pauses) < 200


def test_a_worker_returns_a_result_that_is_flushed_to_the_disk(shared, fold, monkeypatch):
    flushed, flush = set(), os.fsync
    one = fold()
    monkeypatch.setattr(os, "fsync", lambda number: flushed.add(os.fstat(number).st_ino) or flush(number))
    monkeypatch.setattr("fsamc.fold.run.run_fold", lambda *arguments, **more: made_up(shared, one, 1.0))
    text = _run_fold._function(shared, one, [], {})
    (content,) = shared.results[0].glob("fold/*/content.json")
    assert content.read_text() == text
    assert {path.stat().st_ino for path in (content, content.parent, content.parent.parent)} <= flushed


class Asked:
    """Stands for a bank actor: what it was asked for, and told to release."""

    def __init__(self) -> None:
        self.provided: list[str] = []
        self.released: list[str] = []
        self.provide, self.release = SimpleNamespace(remote=self._provide), SimpleNamespace(remote=self._release)

    async def _provide(self, artifact) -> Offer:
        self.provided.append(artifact.key)
        await asyncio.sleep(0)
        return Offer({}, 8)

    def _release(self, keys) -> None:
        self.released.extend(keys)


class Reading(FoldService.__ray_metadata__.modified_class):
    """A service outside Ray with one bank actor, where everything is on disk; its folds end as they are told to."""

    def __init__(self, root) -> None:
        super().__init__(root, "test", 0.0, 2, inf)
        self.bank = Asked()
        self.begun: list[asyncio.Future] = []

    async def ensure(self, artifact) -> None:
        """It is there."""

    def _bank_actor(self, owner) -> Asked:
        return self.bank

    def _begin(self, fold, files, names, references) -> asyncio.Future:
        self.begun.append(asyncio.get_running_loop().create_future())
        return self.begun[-1]

    async def reading(self, folds: int) -> None:
        """Wait until so many have begun."""
        while len(self.begun) < folds:
            await asyncio.sleep(0.01)


def run_reading(shared, folds: list[Fold], scene: Callable[[Reading], Awaitable[None]]) -> Asked:
    """What the bank actor was asked for while the folds ran, two at a time."""

    async def run() -> Asked:
        service = Reading(shared.store)
        asked = asyncio.gather(*[service.run(one, [at_once(shared)]) for one in folds])
        await scene(service)
        assert await asked == [("{}", False)] * len(folds)
        return service.bank

    return asyncio.run(asyncio.wait_for(run(), 60))


def test_however_many_folds_read_a_bank_its_actor_is_asked_once(shared, fold):
    """A reference that comes in a second time may never be found: what a fold reads is held between folds."""

    async def scene(service: Reading) -> None:
        for number in range(4):
            await service.reading(number + 1)
            service.begun[number].set_result("{}")

    bank = run_reading(shared, [fold(representation__patches=n) for n in (3, 4, 5, 6)], scene)
    assert len(bank.provided) == len(set(bank.provided)) == 2  # the bank and the nearest rows
    assert bank.released == []


def test_what_a_fold_lost_is_let_go_of_and_asked_for_anew(shared, fold):
    async def scene(service: Reading) -> None:
        await service.reading(1)
        service.begun[0].set_exception(LOST[0])
        await service.reading(2)
        service.begun[1].set_result("{}")

    bank = run_reading(shared, [fold()], scene)
    assert len(bank.released) == 2
    assert Counter(bank.provided) == Counter(2 * bank.released)


def test_what_has_come_anew_is_not_let_go_of_by_a_fold_that_lost_what_was_there_before(shared, fold):
    async def scene(service: Reading) -> None:
        await service.reading(2)
        service.begun[0].set_exception(LOST[0])
        await service.reading(3)
        service.begun[1].set_exception(LOST[0])
        await service.reading(4)
        for reading in service.begun[2:]:
            reading.set_result("{}")

    bank = run_reading(shared, [fold(representation__patches=n) for n in (3, 4)], scene)
    assert len(bank.released) == 2
    assert len(bank.provided) == 4
