"""Actors that have artifacts built once on the whole cluster, and serve banks from memory.

One actor per (category, seed) looks after its banks and nearest rows; one per category after what no seed changes,
its features and pseudo-defects. The disk is the truth: an actor that dies comes back empty and loads again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import ray
from ray.exceptions import ActorDiedError, ActorUnavailableError, ObjectLostError, OwnerDiedError
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from fsamc.artifacts import Bank, FeatureSet, Nearest, PseudoSet
from fsamc.config import Compute
from fsamc.store import Arrays, Artifact, Store

NAMESPACE = "fsamc"
_LOST = (ActorDiedError, ActorUnavailableError, ObjectLostError, OwnerDiedError)
_ATTEMPTS = 6
# Tune runs a trial inside a placement group that captures what the trial starts; folds and actors are not its own.
OUTSIDE_TRIAL = PlacementGroupSchedulingStrategy(placement_group=None)
T = TypeVar("T")


@ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=3)
class BankActor:
    """Serves the artifacts of one (category, seed); async, so that a build holds up nobody else.

    It does no arithmetic: builds are tasks with CPUs of their own, and this process loads no torch.
    """

    def __init__(self, root: Path, run: str) -> None:
        self._store = Store(root, run=run)
        self._building: dict[str, asyncio.Task[None]] = {}
        self._served: dict[str, dict[str, Any]] = {}

    async def ensure(self, artifact: Artifact, gpus: float, *_after: None) -> None:
        """Return once the artifact is on disk, built if it was not. `_after`: results to wait for first."""
        if artifact.key not in self._building:
            self._building[artifact.key] = asyncio.ensure_future(self._ensure(artifact, gpus))
        try:
            await asyncio.shield(self._building[artifact.key])
        except BaseException:
            self._building.pop(artifact.key, None)
            raise

    async def serve(self, artifact: Artifact) -> dict[str, Any]:
        """References to the artifact's arrays in the object store, one copy for all who ask."""
        if artifact.key not in self._served:
            arrays = await asyncio.to_thread(self._store.get, artifact)
            self._served[artifact.key] = {name: ray.put(np.asarray(array)) for name, array in arrays.items()}
        return self._served[artifact.key]

    async def _ensure(self, artifact: Artifact, gpus: float) -> None:
        if not await asyncio.to_thread(self._store.has, artifact):
            threads = compute_of(artifact).threads
            await _build.options(num_cpus=threads, num_gpus=gpus).remote(self._store.root, self._store.run, artifact)


@ray.remote(max_retries=3)
def _build(root: Path, run: str, artifact: Artifact) -> None:
    Store(root, run=run).get(artifact)


class ClusterStore(Store):
    """A fold's view of the artifacts on a Ray worker.

    Banks and nearest rows come from their actor's memory, shared by all workers of a node; features are files that
    the workers map, so that pages are shared too.
    """

    def get(self, artifact: Artifact) -> Arrays:
        """The artifact's arrays, read-only and without a copy."""
        if not isinstance(artifact, Bank | Nearest):
            return super().get(artifact)

        def fetch() -> Arrays:
            references = ray.get(actor_for(artifact, self.root, self.run).serve.remote(artifact))
            return {name: ray.get(reference) for name, reference in references.items()}

        return patiently(fetch)

    def has(self, artifact: Artifact) -> bool:
        """Whether the artifact can be had without building it: what actors serve always can."""
        return isinstance(artifact, Bank | Nearest) or super().has(artifact)


def ensure(artifacts: list[Artifact], root: Path, run: str, gpus: float) -> list[Any]:
    """Ask the actors for artifacts, given in the order of their needs; references to wait for, one each."""
    done: dict[str, Any] = {}
    for artifact in artifacts:
        after = [done[need.key] for need in artifact.needs()]
        done[artifact.key] = actor_for(artifact, root, run).ensure.remote(artifact, gpus, *after)
    return list(done.values())


def actor_for(artifact: Artifact, root: Path, run: str) -> Any:
    """The one actor on the cluster that looks after the artifact; made if it is not there."""
    category, seed = _owner(artifact)
    name = f"bank:{root}:{run}:{category}:{seed}"
    options = {"name": name, "namespace": NAMESPACE, "get_if_exists": True, "scheduling_strategy": OUTSIDE_TRIAL}
    return BankActor.options(**options).remote(root, run)  # type: ignore[attr-defined]


def compute_of(artifact: Artifact) -> Compute:
    """What the artifact's arithmetic runs on."""
    return _features_of(artifact).compute


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


def _owner(artifact: Artifact) -> tuple[str, int | None]:
    """(category, seed), or (category, None) for what no seed changes."""
    bank = artifact.bank if isinstance(artifact, Nearest) else artifact
    return _features_of(artifact).category.name, bank.seed if isinstance(bank, Bank) else None


def _features_of(artifact: Artifact) -> FeatureSet | PseudoSet:
    if isinstance(artifact, Nearest):
        return artifact.bank.good
    if isinstance(artifact, Bank):
        return artifact.good
    assert isinstance(artifact, FeatureSet | PseudoSet)
    return artifact
