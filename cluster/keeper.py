"""The one actor that a sweep's trials talk to: it runs folds, after having built what they read."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

from cluster.banks import BankActor, Builder, ClusterStore, Offer, files_of, patiently
from cluster.folds import Fold, Materials, find_result
from fsamc.artifacts import Bank, Nearest
from fsamc.errors import naming
from fsamc.store import Artifact, Store


@ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=3)
class Keeper(Builder):
    """Runs folds; has features and pseudo-defects built; makes the bank actors, on demand.

    All tasks are submitted from here and not from the trials, which Tune gives an environment of their own: Ray
    keeps workers apart by environment, and none would stay warm for both builds and folds.
    """

    def __init__(self, root: Path, run: str, gpus: float, workers: int) -> None:
        super().__init__(root, run, gpus)
        self._free = asyncio.Semaphore(workers)
        self._halted = asyncio.Event()
        self._running = 0
        self._shared: Materials | None = None
        self._banks: dict[tuple[str, int], Any] = {}
        self._under_way: dict[str, Artifact] = {}
        # A keeper's actors die with it: those of its successor have other names.
        self._namespace = f"fsamc-{uuid.uuid4().hex}"

    async def run(self, fold: Fold, materials: list[Any]) -> tuple[str, bool] | None:
        """The fold's result as JSON, on disk by now; and whether it was there before. None if no more are started.

        `materials` holds a reference to the sweep's `Materials`: an argument by itself would be copied every time.
        """
        if self._shared is None:
            self._shared = await materials[0]
        shared = self._shared
        if self._halted.is_set():
            return None
        if saved := await asyncio.to_thread(find_result, fold, shared):
            return saved, True
        artifacts = fold.artifacts(shared.categories, shared.textures)
        offered = await self._unless_halted(self._provide_all(artifacts))
        if offered is None:
            return None
        files = [artifact for artifact in artifacts if artifact.key not in offered]
        keeper = ray.get_runtime_context().current_actor
        task = _run_fold.options(num_cpus=fold.config.compute.threads, num_gpus=self._gpus)
        async with self._free:
            if self._halted.is_set():
                return None
            self._running += 1
            try:
                return await task.remote(materials[0], fold, offered, files, keeper), False
            finally:
                self._running -= 1

    async def halt(self) -> int:
        """Start no more folds, and wait for no more builds: how many folds are running."""
        self._halted.set()
        return self._running

    async def provide(self, artifact: Artifact) -> Offer:
        """Have the artifact on disk, and in the object store if a bank actor serves it."""
        if not isinstance(artifact, Bank | Nearest):
            await self.ensure(artifact)
            return {}
        offer: Offer = await self._bank_actor(artifact).provide.remote(artifact)
        return offer

    async def under_way(self) -> list[str]:
        """What is being built, for people."""
        return [f"{artifact.kind} of {artifact.about}" for artifact in self._under_way.values()]

    async def _provide_all(self, artifacts: Iterable[Artifact]) -> Offer:
        """What is offered of artifacts that come in the order of their needs."""
        tasks: dict[str, asyncio.Task[Offer]] = {}
        for artifact in artifacts:
            needs = [tasks[need.key] for need in artifact.needs()]
            tasks[artifact.key] = asyncio.ensure_future(self._provide_after(needs, artifact))
        return {key: arrays for offer in await asyncio.gather(*tasks.values()) for key, arrays in offer.items()}

    async def _unless_halted(self, offering: Coroutine[Any, Any, Offer]) -> Offer | None:
        """What is offered; None as soon as no fold is to be started any more. The builds are left to themselves."""
        work = asyncio.ensure_future(offering)
        halted = asyncio.ensure_future(self._halted.wait())
        await asyncio.wait({work, halted}, return_when=asyncio.FIRST_COMPLETED)
        halted.cancel()
        return work.result() if work.done() else None

    async def _provide_after(self, needs: Iterable[asyncio.Task[Offer]], artifact: Artifact) -> Offer:
        await asyncio.gather(*needs)
        self._under_way[artifact.key] = artifact
        try:
            return await self.provide(artifact)
        finally:
            self._under_way.pop(artifact.key, None)

    def _bank_actor(self, artifact: Bank | Nearest) -> Any:
        """The one actor of the artifact's (category, seed)."""
        bank = artifact.bank if isinstance(artifact, Nearest) else artifact
        owner = bank.good.category.name, bank.seed
        if owner not in self._banks:
            named = BankActor.options(name=f"bank:{owner[0]}:{owner[1]}", namespace=self._namespace)  # type: ignore[attr-defined]
            self._banks[owner] = named.remote(self._store.root, self._store.run, self._gpus)
        return self._banks[owner]


@dataclass(frozen=True)
class FoldRunner:
    """Hands folds to a sweep's keeper, from any process. The keeper and its actors live until `start`'s caller goes."""

    keeper: Any
    materials: Any  # reference to the sweep's `Materials`

    @classmethod
    def start(cls, shared: Materials) -> FoldRunner:
        """A keeper for a sweep."""
        keeper = Keeper.remote(shared.store, shared.run, shared.gpus, shared.workers)  # type: ignore[attr-defined]
        return cls(keeper, ray.put(shared))

    def submit(self, fold: Fold) -> Any:
        """Reference to what `Keeper.run` gives."""
        return self.keeper.run.remote(fold, [self.materials])

    def halt(self, *, timeout: float) -> int:
        """Start no more folds; how many are running. Raises a RayError if the keeper does not answer in time."""
        running: int = ray.get(self.keeper.halt.remote(), timeout=timeout)
        return running

    def under_way(self, *, timeout: float) -> list[str]:
        """What is being built. Raises a RayError if the keeper does not answer within `timeout` seconds."""
        found: list[str] = ray.get(self.keeper.under_way.remote(), timeout=timeout)
        return found


@ray.remote(max_retries=3)
def _run_fold(shared: Materials, fold: Fold, offered: Offer, files: list[Artifact], keeper: Any) -> str:
    """Run a fold on what is `offered` and on `files`, which the keeper has verified once for all workers."""
    from fsamc.fold import run_fold  # here, because whoever submits folds loads no torch

    def ask_again(artifact: Artifact) -> Offer:
        offer: Offer = patiently(lambda: ray.get(keeper.provide.remote(artifact)))
        return offer

    store = files_of(shared.store, shared.run)
    for artifact in files:
        store.trust(artifact)
    result = run_fold(
        shared.categories[fold.category],
        fold.config,
        seed=fold.seed,
        draw=fold.draw,
        store=ClusterStore(store, offered, ask_again),
        textures=shared.textures,
    )
    text = result.to_json()
    with naming(shared.results[0]):
        Store(shared.results[0]).put_text("fold", result.key, text)
    return text
