"""Sweeps whose folds sleep: the whole product but what a fold does."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import psutil
import ray
import yaml
from rich.console import Console

from cluster.fold_service import FoldRunner
from cluster.folds import Fold, Materials
from fsamc.store.store import Store
from sweeps.request import Request
from sweeps.sweep import run_sweep
from tests.sweeps.asleep import made_up
from tests.sweeps.small import PLAN, n_rows, title, write_materials

SPACE = {
    "head.kind": {"choice": ["prototype", "contrastive"]},
    "representation.patches": {"integers": [1, 400]},
    "finetune.lr": {"loguniform": [1e-5, 1e-1]},
}


@ray.remote(num_cpus=0)
class Sleeper:
    """A service that has nothing built, and whose folds sleep.

    Args:
        workers: folds at once.
        seconds: of a fold.
    """

    def __init__(self, workers: int, seconds: float) -> None:
        self._free, self._seconds = asyncio.Semaphore(workers), seconds
        self._materials: Any = None

    async def processor_seconds(self) -> float:
        """What this process has taken of a processor."""
        return time.process_time()

    async def run(self, fold: Fold, materials: list[Any]) -> tuple[str, bool]:
        """A made-up result, as of a fold that nobody has run before."""
        self._materials = self._materials or materials[0]  # held, as a service does
        async with self._free:
            return await _sleep.remote(self._materials, fold, self._seconds), False

    async def halt(self) -> int:
        """There is nothing to halt."""
        return 0

    async def under_way(self) -> list[str]:
        """Nothing is built."""
        return []


@ray.remote
def _sleep(shared: Materials, fold: Fold, seconds: float) -> str:
    """Sleep, and write a result as a fold does; to make it up is part of the sleep."""
    end = time.monotonic() + seconds
    text = made_up(shared, fold, seconds).to_json()
    time.sleep(max(0.0, end - time.monotonic()))
    key = fold.inputs(shared.categories, shared.textures).key
    Store(shared.results[0]).put_text("fold", key, text)
    return text


def sleepy_request(root: Path, search: dict[str, Any], *, workers: int) -> Request:
    """A sweep of 4 folds a trial."""
    materials, plan = write_materials(root / "materials"), root / "plan.yaml"
    plan.write_text(yaml.safe_dump({**PLAN, "space": SPACE, "search": search}, sort_keys=False))
    return Request(
        plan=str(plan),
        changes=[f"resources.workers={workers}"],
        data=str(materials / "data"),
        textures=str(materials / "textures"),
        backbone=str(materials / "tiny.pt2"),
        out=root / "out",
        cache=root / "cache",
        figures=False,
        quiet=True,
    )


@dataclass(frozen=True)
class Mark:
    """The driver at one moment: folds written by then, seconds of a processor, bytes of memory that are its own."""

    at: float  # seconds
    folds: int
    seconds: float
    memory: int


@dataclass
class Spent:
    """By a sweep, from when folds can be run to its end, the report included.

    Attributes:
        wall: seconds.
        driver, service: seconds of a processor that the two took.
        marks: of the driver, once a second.
        trials: most trials' processes at the same time.
    """

    wall: float
    driver: float
    service: float
    marks: list[Mark]
    trials: int

    def per_fold(self) -> tuple[float, float]:
        """Seconds of a processor and bytes that a fold costs the driver; the start and the end are left out."""
        last = max(mark.folds for mark in self.marks)
        first, *_, end = [mark for mark in self.marks if 0.2 * last <= mark.folds < last]
        folds = end.folds - first.folds
        return (end.seconds - first.seconds) / folds, (end.memory - first.memory) / folds


def run_asleep(request: Request, seconds: float) -> Spent:
    """Sweep with folds that sleep so long."""
    begun, service = list[float](), list[float]()

    def start(shared: Materials) -> FoldRunner:
        sleeper = Sleeper.remote(shared.workers, seconds)
        service.append(ray.get(sleeper.processor_seconds.remote()))
        begun.extend([time.monotonic(), time.process_time()])
        return FoldRunner(sleeper, ray.put(shared))

    def read_and_stop(runner: FoldRunner) -> None:
        service.append(ray.get(runner.service.processor_seconds.remote()))
        ray.kill(runner.service)

    marks, trials, over = list[Mark](), [0], threading.Event()
    watch = threading.Thread(target=_watch, args=(request.out, marks, trials, over), daemon=True)
    watch.start()
    with mock.patch.object(FoldRunner, "start", start), mock.patch.object(FoldRunner, "stop", read_and_stop):
        run_sweep(request, Console(quiet=True))
    over.set()
    watch.join()
    wall, driver = time.monotonic() - begun[0], time.process_time() - begun[1]
    return Spent(wall, driver, service[-1] - service[0], marks, trials[0])


def _watch(out: Path, marks: list[Mark], trials: list[int], over: threading.Event) -> None:
    me = psutil.Process()
    while not over.wait(1.0):
        memory = me.memory_info()
        marks.append(Mark(time.monotonic(), n_rows(out), time.process_time(), memory.rss - memory.shared))
        if len(marks) % 10 == 0:  # which takes the driver's time that is measured
            titles = [title(process) for process in me.children(recursive=True)]
            trials[0] = max(trials[0], sum(title.startswith("ray::ImplicitFunc") for title in titles))
