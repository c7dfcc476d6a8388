"""Folds on Ray: starting it, running folds as tasks, results on disk before they are reported."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

from cluster.banks import NAMESPACE, OUTSIDE_TRIAL, ClusterStore, compute_of, ensure
from fsamc.config import FoldConfig
from fsamc.dataset import Category
from fsamc.errors import BadInput
from fsamc.inputs import fold_inputs, fold_key
from fsamc.result import FoldResult
from fsamc.store import Store
from fsamc.textures import Textures


@dataclass(frozen=True, kw_only=True)
class Materials:
    """What all folds of a sweep share. Put into the object store once."""

    categories: dict[str, Category]
    textures: Textures | None
    store: Path  # artifacts
    results: tuple[Path, ...]  # stores of finished folds: all are read, the first is written
    run: str  # the sweep's name for its builds
    gpus: float  # of one fold or build


@dataclass(frozen=True, kw_only=True)
class Fold:
    """One (category, seed, draw) of a configuration."""

    category: str
    seed: int
    draw: int
    config: FoldConfig


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A finished fold: its result, or why there is none."""

    fold: Fold
    result: FoldResult | None
    reused: bool = False
    error: str | None = None
    fatal: bool = False  # the error will meet every fold alike


def start(address: str | None, *, cpus: int, gpus: float) -> None:
    """Join the cluster at `address`, or start an embedded one with `cpus` CPUs for folds."""
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_DEDUP_LOGS", "1")
    if address:
        ray.init(address=address, namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR)
        return
    ray.init(
        num_cpus=cpus,
        num_gpus=int(gpus) or None,
        namespace=NAMESPACE,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )


def run_folds(
    folds: Sequence[Fold], materials: Any, shared: Materials, *, at_once: int, retries: int
) -> Iterator[Outcome]:
    """Run folds as tasks, `at_once` of them in flight, and yield each as it finishes.

    Args:
        folds: what to run.
        materials: reference to `shared` in the object store.
        shared: the same, at hand.
        at_once: how many folds to have in flight.
        retries: how often a fold that raised is tried again.
    """
    waiting = [(fold, retries) for fold in reversed(folds)]
    running: dict[Any, tuple[Fold, int]] = {}
    while waiting or running:
        while waiting and len(running) < at_once:
            fold, left = waiting.pop()
            if saved := find_result(fold, shared):
                yield Outcome(fold=fold, result=saved, reused=True)
            else:
                running[_submit(fold, materials, shared)] = fold, left
        if not running:
            continue
        (done,), _ = ray.wait(list(running), num_returns=1)
        fold, left = running.pop(done)
        try:
            yield Outcome(fold=fold, result=FoldResult.from_json(ray.get(done)))
        except Exception as error:  # whatever a fold may raise is this fold's outcome, not the sweep's
            if left and not _is_fatal(error):
                waiting.append((fold, left - 1))
            else:
                yield Outcome(fold=fold, result=None, error=_one_line(error), fatal=_is_fatal(error))


def find_result(fold: Fold, shared: Materials) -> FoldResult | None:
    """The fold's result, if one of the stores has it."""
    key = _key(fold, shared)
    for root in shared.results:
        if text := Store(root).get_text("fold", key):
            return FoldResult.from_json(text)
    return None


def _is_fatal(error: BaseException) -> bool:
    """A full or read-only disk."""
    cause = getattr(error, "cause", None) or error
    return isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def _one_line(error: BaseException) -> str:
    """What was raised on the worker, without its traceback."""
    cause = getattr(error, "cause", None) or error
    text = " ".join(str(cause).split()) or type(cause).__name__
    return text if isinstance(cause, BadInput) else f"{type(cause).__name__}: {text}"[:300]


def _submit(fold: Fold, materials: Any, shared: Materials) -> Any:
    """Have the fold's artifacts built, and the fold run after them: a worker is never held by waiting."""
    inputs = fold_inputs(
        shared.categories[fold.category], fold.config, seed=fold.seed, draw=fold.draw, textures=shared.textures
    )
    artifacts = inputs.artifacts()
    ready = ensure(artifacts, shared.store, shared.run, shared.gpus)
    threads = compute_of(artifacts[0]).threads
    options = {"num_cpus": threads, "num_gpus": shared.gpus, "scheduling_strategy": OUTSIDE_TRIAL}
    return _run_fold.options(**options).remote(materials, fold, *ready)


@ray.remote(max_retries=3)
def _run_fold(shared: Materials, fold: Fold, *_ready: None) -> str:
    from fsamc.fold import run_fold  # here, because the callers of this module load no torch

    result = run_fold(
        shared.categories[fold.category],
        fold.config,
        seed=fold.seed,
        draw=fold.draw,
        store=ClusterStore(shared.store, run=shared.run),
        textures=shared.textures,
    )
    text = result.to_json()
    Store(shared.results[0]).put_text("fold", result.key, text)
    return text


def _key(fold: Fold, shared: Materials) -> str:
    return fold_key(
        shared.categories[fold.category], fold.config, seed=fold.seed, draw=fold.draw, textures=shared.textures
    )
