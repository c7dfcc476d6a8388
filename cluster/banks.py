"""Actors that have artifacts built once on the whole cluster, and serve banks from memory.

One actor per (category, seed) serves its banks and nearest rows. The disk is the truth: an actor that dies comes back
empty and loads again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import ray
from ray.exceptions import ActorDiedError, ActorUnavailableError, ObjectLostError, OwnerDiedError

from fsamc.artifacts import Bank, FeatureSet, GoodScores, Nearest, PseudoSet
from fsamc.config import Compute
from fsamc.errors import naming
from fsamc.store import Arrays, Artifact, Store

_LOST = (ActorDiedError, ActorUnavailableError, ObjectLostError, OwnerDiedError)
_ATTEMPTS = 6
Offer = dict[str, dict[str, Any]]  # artifact's key -> array's name -> reference in the object store
T = TypeVar("T")


class Builder:
    """What all actors here are: they have artifacts built, and no build holds up anybody else.

    They do no arithmetic: builds are tasks with CPUs of their own, and the actors' processes load no torch.

    Args:
        root: of the store.
        run: the sweep's name for its builds.
        gpus: of one build.
    """

    def __init__(self, root: Path, run: str, gpus: float) -> None:
        self._store = Store(root, run=run)
        self._gpus = gpus
        self._building: dict[str, asyncio.Task[None]] = {}

    async def ensure(self, artifact: Artifact) -> None:
        """Return once the artifact is on disk: whoever asks while it is being built waits for the same build."""
        if artifact.key not in self._building:
            self._building[artifact.key] = asyncio.ensure_future(self._build_if_missing(artifact))
        try:
            await asyncio.shield(self._building[artifact.key])
        except BaseException:
            self._building.pop(artifact.key, None)
            raise

    async def _build_if_missing(self, artifact: Artifact) -> None:
        if not await asyncio.to_thread(self._store.has, artifact):
            task = _build.options(num_cpus=compute_of(artifact).threads, num_gpus=self._gpus)
            await task.remote(self._store.root, self._store.run, artifact)


@ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=3)
class BankActor(Builder):
    """Serves the banks of one (category, seed), and their nearest rows."""

    def __init__(self, root: Path, run: str, gpus: float) -> None:
        super().__init__(root, run, gpus)
        self._served: dict[str, dict[str, Any]] = {}

    async def provide(self, artifact: Artifact) -> Offer:
        """The artifact in the object store, one copy for all who ask; built first where the disk has none."""
        await self.ensure(artifact)
        if artifact.key not in self._served:
            arrays = await asyncio.to_thread(self._store.get, artifact)
            self._served.setdefault(artifact.key, {name: ray.put(np.asarray(array)) for name, array in arrays.items()})
        return {artifact.key: self._served[artifact.key]}


@ray.remote(max_retries=3)
def _build(root: Path, run: str, artifact: Artifact) -> None:
    with naming(root):
        files_of(root, run).get(artifact)


class ClusterStore(Store):
    """A fold's view of the artifacts on a Ray worker, read-only and without a copy.

    Banks and nearest rows lie in the object store, shared by all workers of a node; features, which are a detector's
    rows where it retrieves good images, are files that the workers map, so that pages are shared too.

    Args:
        files: what is on disk.
        offered: what the bank actors serve to this fold.
        ask_again: has an artifact served anew whose actor died meanwhile.
    """

    def __init__(self, files: Store, offered: Offer, ask_again: Callable[[Artifact], Offer]) -> None:
        super().__init__(files.root, run=files.run)
        self._files, self._offered, self._ask_again = files, dict(offered), ask_again

    def get(self, artifact: Artifact) -> Arrays:
        """The artifact's arrays."""
        if artifact.key not in self._offered:
            return self._files.get(artifact)
        try:
            return _fetched(self._offered[artifact.key])
        except _LOST:
            return patiently(lambda: self._fetched_anew(artifact))

    def has(self, artifact: Artifact) -> bool:
        """Whether the artifact can be had without building it."""
        return artifact.key in self._offered or self._files.has(artifact)

    def _fetched_anew(self, artifact: Artifact) -> Arrays:
        self._offered |= self._ask_again(artifact)
        return _fetched(self._offered[artifact.key])


@lru_cache(maxsize=4)
def files_of(root: Path, run: str) -> Store:
    """The process's own store: what a warm worker has verified for one fold stays so for the next."""
    return Store(root, run=run)


def compute_of(artifact: Artifact) -> Compute:
    """What the artifact's arithmetic runs on."""
    bank = artifact.bank if isinstance(artifact, GoodScores | Nearest) else artifact
    features = bank.good if isinstance(bank, Bank) else bank
    assert isinstance(features, FeatureSet | PseudoSet)
    return features.compute


def patiently(ask: Callable[[], T]) -> T:
    """The result of `ask`, asked again while an actor is being restarted or an object is being rebuilt."""
    for attempt in range(_ATTEMPTS):
        try:
            return ask()
        except _LOST:
            if attempt == _ATTEMPTS - 1:
                raise
            time.sleep(0.2 * 2**attempt)
    raise AssertionError("unreachable")


def _fetched(references: Mapping[str, Any]) -> Arrays:
    return {name: ray.get(reference) for name, reference in references.items()}
