"""Fold service: the one actor that a sweep's trials talk to. It runs folds, after having built what they read."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from cluster.async_memo import AsyncMemo
from cluster.bank_actors import GONE, BankActor, Builder, ClusterStore, Offer, files_of, lost
from cluster.folds import Fold, Materials, find_result
from cluster.nodes.inventory import alive_nodes
from cluster.working_set import WorkingSet
from fsamc.artifacts.base import Artifact
from fsamc.errors import naming
from fsamc.store.store import Store

_PATIENCE = 150.0  # seconds for what is lost to come back: it takes Ray up to a minute to see that a node is dead
T = TypeVar("T")


@ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=3)
class FoldService(Builder):
    """Runs folds; has features and pseudo-defects built; makes the bank actors, on demand.

    All tasks are submitted from here and not from the trials, which Tune gives an environment of their own: Ray
    keeps workers apart by environment, and none would stay warm for both builds and folds.
    """

    def __init__(self, root: Path, run: str, gpus: float, workers: int, working_set: float) -> None:
        super().__init__(root, run, gpus)
        self._free = asyncio.Semaphore(workers)
        self._halted = asyncio.Event()
        self._running = 0
        self._materials: Any = None
        self._shared: Materials | None = None
        self._banks: dict[tuple[str, int], Any] = {}
        self._offered = AsyncMemo[Offer]()
        self._offered_by: dict[str, Any] = {}
        self._working_set = WorkingSet(working_set)
        self._under_way: dict[str, Artifact] = {}
        # A service's actors die with it: those of its successor have other names.
        self._namespace = f"fsamc-{uuid.uuid4().hex}"

    async def run(self, fold: Fold, materials: list[Any]) -> tuple[str, bool] | None:
        """Return the fold's result as JSON, on disk by now, and whether it was there before. None once halted.

        What is lost on the way, with a process or a node, is provided again.

        `materials` holds a reference to the sweep's `Materials`, the same in every call: an argument by itself would
        be copied every time. The first is held, as offers are.
        """
        if self._materials is None:
            self._materials = materials[0]
        if self._shared is None:
            self._shared = await self._materials
        shared = self._shared
        if self._halted.is_set():
            return None
        inputs = fold.inputs(shared.categories, shared.textures)
        if saved := await asyncio.to_thread(lambda: find_result(inputs.key, shared.results)):
            return saved, True
        waited, pause = 0.0, 0.0
        while True:
            try:
                text = await self._run_once(fold, inputs.artifacts)
            except Exception as error:
                if not lost(error) or waited > _PATIENCE:
                    raise
                pause = min(2 * pause, 5.0) or 0.2
                await asyncio.sleep(pause)
                waited += pause
            else:
                return None if text is None else (text, False)

    async def halt(self) -> int:
        """Start no more folds, and wait for no more builds; return how many folds are running."""
        self._halted.set()
        return self._running

    async def provide(self, artifact: Artifact) -> Offer | None:
        """Have the artifact on disk, and in the object store if a bank actor serves it.

        A bank actor is called once, and its offer is held until it is released. If every fold called it itself, a
        reference could come in while the last one to the same array goes, in another thread. Ray (2.60) would forget
        that the array is there, and a fold that is to read it would wait for ever.
        """
        if owner := artifact.served_by:
            return await self._offered.get(artifact.key, lambda: self._call_bank_actor(owner, artifact))
        await self.ensure(artifact)
        return None

    async def _call_bank_actor(self, owner: tuple[str, int], artifact: Artifact) -> Offer:
        actor = self._offered_by[artifact.key] = self._bank_actor(owner)
        try:
            offer: Offer = await actor.provide.remote(artifact)
        except GONE:
            if self._banks.get(owner) is actor:
                del self._banks[owner]  # the next one has another node
            raise
        return offer

    async def under_way(self) -> list[str]:
        """Return what is being built, for people."""
        return [f"{artifact.kind} of {artifact.about}" for artifact in self._under_way.values()]

    async def _run_once(self, fold: Fold, artifacts: Sequence[Artifact]) -> str | None:
        """Return the fold's result as JSON; None once halted."""
        offers = await self._unless_halted(self._provide_all(artifacts))
        if offers is None:
            return None
        files = [artifact for artifact in artifacts if artifact.key not in offers]
        names = {key: tuple(offer.references) for key, offer in offers.items()}
        references = [reference for offer in offers.values() for reference in offer.references.values()]
        with self._reading(offers):
            async with self._free:
                if self._halted.is_set():
                    return None
                self._running += 1
                try:
                    return await self._begin(fold, files, names, references)
                finally:
                    self._running -= 1

    def _begin(
        self, fold: Fold, files: list[Artifact], names: dict[str, tuple[str, ...]], references: list[Any]
    ) -> Awaitable[str]:
        task = _run_fold.options(num_cpus=fold.config.compute.threads, num_gpus=self._gpus)
        # As arguments of their own: Ray runs the fold where most of them are, and brings the rest there.
        begun: Awaitable[str] = task.remote(self._materials, fold, files, names, *references)
        return begun

    async def _provide_all(self, artifacts: Iterable[Artifact]) -> dict[str, Offer]:
        """Return the offers of artifacts that come in the order of their needs, by key."""
        tasks: dict[str, asyncio.Task[Offer | None]] = {}
        for artifact in artifacts:
            needs = [tasks[need.key] for need in artifact.needs()]
            tasks[artifact.key] = asyncio.ensure_future(self._provide_after(needs, artifact))
        offers = zip(tasks, await asyncio.gather(*tasks.values()), strict=True)
        return {key: offer for key, offer in offers if offer is not None}

    async def _unless_halted(self, offering: Coroutine[Any, Any, T]) -> T | None:
        """Return what is offered; None as soon as the service is halted. The builds are left to themselves."""
        work = asyncio.ensure_future(offering)
        halted = asyncio.ensure_future(self._halted.wait())
        await asyncio.wait({work, halted}, return_when=asyncio.FIRST_COMPLETED)
        halted.cancel()
        return work.result() if work.done() else None

    async def _provide_after(self, needs: Iterable[asyncio.Task[Offer | None]], artifact: Artifact) -> Offer | None:
        await asyncio.gather(*needs)
        self._under_way[artifact.key] = artifact
        try:
            return await self.provide(artifact)
        finally:
            self._under_way.pop(artifact.key, None)

    @contextmanager
    def _reading(self, offers: Mapping[str, Offer]) -> Iterator[None]:
        """Keep what is offered in memory while a fold reads it; what nobody reads goes when there is too much.

        What the fold lost goes at once, unless it has come anew since.
        """
        self._release(self._working_set.enter({key: offer.size for key, offer in offers.items()}))
        try:
            yield
        except Exception as error:
            if lost(error):
                self._release(key for key, offer in offers.items() if self._offered.holds(key, offer))
            raise
        finally:
            self._release(self._working_set.leave(offers))

    def _release(self, keys: Iterable[str]) -> None:
        """Release what is offered: it is loaded from disk again when a fold needs it."""
        for key in keys:
            self._offered.forget(key)
            if actor := self._offered_by.pop(key, None):
                actor.release.remote([key])

    def _bank_actor(self, owner: tuple[str, int]) -> Any:
        """Return the one actor of a (category, seed)."""
        if owner not in self._banks:
            actor = BankActor.options(  # type: ignore[attr-defined]
                name=f"bank:{owner[0]}:{owner[1]}",
                namespace=self._namespace,
                scheduling_strategy=_bank_node(len(self._banks)),
            )
            self._banks[owner] = actor.remote(self._store.root, self._store.run, self._gpus)
        return self._banks[owner]


def _bank_node(number: int) -> NodeAffinitySchedulingStrategy | str:
    """Choose a bank actor's node: one that runs folds, another for the next, since folds go where their banks are."""
    nodes = sorted(node.id for node in alive_nodes() if node.resources.get("CPU"))
    return _on(nodes[number % len(nodes)]) if nodes else "DEFAULT"


def _on(node: str) -> NodeAffinitySchedulingStrategy:
    """Demand a node: Ray ignores the wish (`soft`) of an actor that takes no CPU."""
    return NodeAffinitySchedulingStrategy(node, soft=False)


@dataclass(frozen=True)
class FoldRunner:
    """Handle to a sweep's fold service, for any process.

    The service and its actors live until they are stopped, or `start`'s caller goes.
    """

    service: Any
    materials: Any  # reference to the sweep's `Materials`

    @classmethod
    def start(cls, shared: Materials) -> FoldRunner:
        """Start a sweep's service on its driver's node: what ends one ends the other."""
        here = ray.get_runtime_context().get_node_id()
        actor = FoldService.options(scheduling_strategy=_on(here))  # type: ignore[attr-defined]
        service = actor.remote(shared.store, shared.run, shared.gpus, shared.workers, shared.working_set)
        return cls(service, ray.put(shared))

    def stop(self) -> None:
        """End the service, its actors and what it runs. Raises a RayError if Ray is gone."""
        ray.kill(self.service)

    def submit(self, fold: Fold) -> Any:
        """Return a reference to what `FoldService.run` gives."""
        return self.service.run.remote(fold, [self.materials])

    def halt(self, *, timeout: float) -> int:
        """Start no more folds; return how many are running. Raises a RayError if there is no answer in time."""
        running: int = ray.get(self.service.halt.remote(), timeout=timeout)
        return running

    def under_way(self, *, timeout: float) -> list[str]:
        """Return what is being built. Raises a RayError if there is no answer within `timeout` seconds."""
        builds: list[str] = ray.get(self.service.under_way.remote(), timeout=timeout)
        return builds


@ray.remote(max_retries=3)
def _run_fold(
    shared: Materials, fold: Fold, files: list[Artifact], names: dict[str, tuple[str, ...]], *arrays: np.ndarray
) -> str:
    """Run a fold on `files`, which the service has verified once for all workers, and on arrays in the object store.

    Its result is in the store and flushed when this returns, before anybody hears of it. So rows of folds.csv, what
    the screen, MLflow and the study say of a fold, need no flushing of their own: they are made of it again.

    `names`: of each served artifact's arrays, by its key, in the order of `arrays`.
    """
    from fsamc.fold.run import run_fold
    from fsamc.hardware import share_gpu  # here, because whoever submits folds loads no torch

    share_gpu(shared.gpus, fold.config.compute.device)
    store = files_of(shared.store, shared.run)
    for artifact in files:
        store.trust(artifact)
    each = iter(arrays)
    served = {key: {name: next(each) for name in of} for key, of in names.items()}
    result = run_fold(
        shared.categories[fold.category],
        fold.config,
        seed=fold.seed,
        draw=fold.draw,
        store=ClusterStore(store, served),
        textures=shared.textures,
    )
    text = result.to_json()
    with naming(shared.results[0]):
        Store(shared.results[0]).put_text("fold", result.key, text)
    return text
