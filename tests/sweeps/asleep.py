"""Folds that sleep and make up their answers: the whole product but what a fold does, without torch in a worker.

In a test: the fixture `asleep`. As a command of its own: `python -m tests.sweeps.asleep SECONDS WORDS…`, or with
three trials side by side `SECONDSx3`.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from math import log10
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import ray

from cluster.fold_service import FoldRunner
from cluster.folds import Fold, Materials, find_result
from fsamc.fold.result import FoldResult
from fsamc.seeds import numpy_generator
from fsamc.store.store import Store
from sweeps.cli import quiet_ray
from sweeps.trials.interrupts import BUDGET, Interrupts

QUERIES = 12


@ray.remote(num_cpus=0)
class Sleeper:
    """In a fold service's place: builds nothing, and its folds sleep in its own process."""

    def __init__(self, workers: int, seconds: float, fails: tuple[str, ...] = ()) -> None:
        self._free, self._seconds, self._fails = asyncio.Semaphore(workers), seconds, fails
        self._running, self._halted = 0, False

    async def run(self, fold: Fold, materials: list[Any]) -> tuple[str, bool] | None:
        """A made-up result, on disk by now; and whether it was there before. None once no more are started."""
        shared: Materials = await materials[0]
        if saved := find_result(fold.inputs(shared.categories, shared.textures).key, shared.results):
            return saved, True
        async with self._free:
            if self._halted:
                return None
            if fold.category in self._fails:
                raise OSError(f"{fold.category}: cannot be read")
            self._running += 1
            await asyncio.sleep(self._seconds)
            self._running -= 1
            result = made_up(shared, fold, self._seconds)
            Store(shared.results[0]).put_text("fold", result.key, text := result.to_json())
            return text, False

    async def halt(self) -> int:
        """Start no more folds: how many are running."""
        self._halted = True
        return self._running

    async def under_way(self) -> list[str]:
        """Nothing is built."""
        return []


def made_up(shared: Materials, fold: Fold, seconds: float) -> FoldResult:
    """Answers of which more are right near 40 patches, a rate of 1e-3, and on residuals."""
    category, config = shared.categories[fold.category], fold.config
    classes = tuple(category.defects)
    key = fold.inputs(shared.categories, shared.textures).key
    off = abs(log10(config.finetune.lr) + 3) / 4 + abs(log10(config.representation.patches / 40)) / 2
    off += ("raw" in config.representation.parts) / 2
    rng = numpy_generator("made up", key)
    truth = tuple(n % len(classes) for n in range(QUERIES))
    right = rng.random(QUERIES) < np.clip(0.8 - off, 0.1, 0.9)
    predicted = tuple(t if r else (t + 1) % len(classes) for t, r in zip(truth, right, strict=True))
    return FoldResult(
        key=key,
        category=fold.category,
        seed=fold.seed,
        draw=fold.draw,
        shots=config.shots,
        head=config.head.kind,
        classes=classes,
        support=dict.fromkeys(classes, ()),
        images=tuple(f"test/{classes[t]}/{n:03}.png" for n, t in enumerate(truth)),
        truth=truth,
        predicted=predicted,
        scores=tuple(tuple(float(c == p) for c in range(len(classes))) for p in predicted),
        excluded=0,
        rounds=0,
        learning=(),
        stages={"classify": seconds},
        measured={name: float(np.clip(right.mean() + rng.normal() / 50, 0, 1)) for name in config.scoring.measure},
    )


@contextmanager
def folds_that_sleep(
    seconds: float = 0.0, *, fails: tuple[str, ...] = (), report: bool = False, trials: int = 1
) -> Iterator[None]:
    """Sweeps that start in this process run no fold; and write an empty report, unless one is asked for.

    Usually trials come one after the other: the process of a second one would still be starting when all is over.

    Args:
        seconds: of a fold.
        fails: categories of which every fold fails.
        report: whether a report is written.
        trials: side by side.
    """
    quiet_ray()  # before Tune is loaded
    from sweeps.trials import tuner

    side_by_side = tuner.side_by_side

    def start(shared: Materials) -> FoldRunner:
        return FoldRunner(Sleeper.remote(shared.workers, seconds, fails), ray.put(shared))

    def trials_at_once(*args: Any, **counts: int) -> tuple[int, int]:
        return side_by_side(*args, **counts)[0], trials

    with ExitStack() as patches:
        patches.enter_context(mock.patch.object(FoldRunner, "start", start))
        patches.enter_context(mock.patch.object(tuner, "side_by_side", trials_at_once))
        if not report:
            patches.enter_context(mock.patch("sweeps.report.write.write_report", _touch_report))
        yield


def _touch_report(out: Path) -> None:
    (out / "report.html").touch()


@contextmanager
def budget_spent_after(folds: int, out: Path) -> Iterator[None]:
    """Sweeps into `out` have a time budget that is over once so many folds are written, however fast the machine is."""

    class Spent(Interrupts):
        def __enter__(self) -> Interrupts:
            threading.Thread(target=self._spend, daemon=True).start()
            return super().__enter__()

        def _spend(self) -> None:
            table = out / "folds.csv"
            while not table.exists() or table.read_text().count("\n") <= folds:
                time.sleep(0.01)
            self._end(BUDGET)

    with mock.patch("sweeps.sweep.Interrupts", Spent):
        yield


if __name__ == "__main__":
    from sweeps.cli import app, guarded
    from tests.sweeps import asleep

    slept, _, at_once = sys.argv[1].partition("x")
    with asleep.folds_that_sleep(float(slept), trials=int(at_once or 1)):
        guarded(lambda: app(sys.argv[2:], standalone_mode=False, prog_name="fsamc"))
