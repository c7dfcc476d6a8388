"""Actors that have artifacts built once on the whole cluster, and serve banks from memory.

One actor per (category, seed) serves its banks and nearest rows. The disk is authoritative: an actor that dies comes
back empty and loads again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray.exceptions import ActorDiedError, ActorUnavailableError, ActorUnschedulableError, ObjectLostError

from cluster.async_memo import AsyncMemo
from fsamc.artifacts.base import Artifact
from fsamc.errors import naming
from fsamc.store.store import Arrays, Buildable, Store

GONE = (ActorDiedError, ActorUnschedulableError)  # for good: its node is dead
_LOST = (*GONE, ActorUnavailableError, ObjectLostError)


@dataclass(frozen=True)
class Offer:
    """An artifact in the object store.

    Attributes:
        references: to its arrays, by name.
        size: bytes of all of them.
    """

    references: dict[str, Any]
    size: int


class Builder:
    """Base of the actors here: they have artifacts built, and no build holds up anybody else.

    They do no arithmetic: builds are tasks with CPUs of their own, and the actors' processes load no torch.

    Args:
        root: of the store.
        run: the sweep's name for its builds.
        gpus: of one build.
    """

    def __init__(self, root: Path, run: str, gpus: float) -> None:
        self._store = Store(root, run=run)
        self._gpus = gpus
        self._built = AsyncMemo[None]()

    async def ensure(self, artifact: Artifact) -> None:
        """Return once the artifact is on disk: all calls while it is being built wait for the same build."""
        await self._built.get(artifact.key, lambda: self._build_if_missing(artifact))

    async def _build_if_missing(self, artifact: Artifact) -> None:
        if not await asyncio.to_thread(self._store.has, artifact):
            task = _build.options(num_cpus=artifact.compute.threads, num_gpus=self._gpus)
            await task.remote(self._store.root, self._store.run, artifact, self._gpus)


@ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=3)
class BankActor(Builder):
    """Serves the banks of one (category, seed), and their nearest rows."""

    def __init__(self, root: Path, run: str, gpus: float) -> None:
        super().__init__(root, run, gpus)
        self._served = AsyncMemo[Offer]()

    async def provide(self, artifact: Artifact) -> Offer:
        """Return the artifact in the object store, one copy for all; built first where the disk has none."""
        return await self._served.get(artifact.key, lambda: self._load(artifact))

    async def _load(self, artifact: Artifact) -> Offer:
        await self.ensure(artifact)
        return _put(await asyncio.to_thread(self._store.get, artifact))

    def release(self, keys: Iterable[str]) -> None:
        """Stop serving these: their memory is free as soon as no fold reads them."""
        for key in keys:
            self._served.forget(key)


@ray.remote(max_retries=3)
def _build(root: Path, run: str, artifact: Artifact, gpus: float) -> None:
    from fsamc.hardware import share_gpu  # here, because whoever submits builds loads no torch

    share_gpu(gpus, artifact.compute.device)
    with naming(root):
        files_of(root, run).get(artifact)


class ClusterStore(Store):
    """A fold's view of the artifacts on a Ray worker, read-only and without a copy.

    Banks and nearest rows lie in the object store, shared by all workers of a node; features, which are a detector's
    rows where it retrieves good images, are files that the workers map, so that pages are shared too.

    Args:
        files: what is on disk.
        served: what lies in this node's object store, by artifact's key.
    """

    def __init__(self, files: Store, served: Mapping[str, Arrays]) -> None:
        super().__init__(files.root, run=files.run)
        self._files, self._served = files, served

    def get(self, artifact: Buildable) -> Arrays:
        """Return the artifact's arrays."""
        return self._served.get(artifact.key) or self._files.get(artifact)

    def has(self, artifact: Buildable) -> bool:
        """Whether the artifact can be had without building it."""
        return artifact.key in self._served or self._files.has(artifact)


@lru_cache(maxsize=4)
def files_of(root: Path, run: str) -> Store:
    """Return the process's own store: what a warm worker has verified for one fold stays so for the next."""
    return Store(root, run=run)


def lost(error: BaseException) -> bool:
    """Whether an actor or an object went away, with its process or its node: a second try finds it again."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, _LOST):
        cause = getattr(cause, "cause", None)
    return cause is not None


def _put(arrays: Arrays) -> Offer:
    plain = {name: np.asarray(array) for name, array in arrays.items()}
    return Offer({name: ray.put(array) for name, array in plain.items()}, sum(each.nbytes for each in plain.values()))
