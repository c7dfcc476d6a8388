"""What a sweep costs beside its folds: trials whose folds only sleep, through all the rest of the product.

    python -m tests.bench.bench_scheduling                                  2,000 trials
    python -m tests.bench.bench_scheduling --trials 200 --algorithm optuna

`fsamc sweep` itself runs, on an embedded Ray, with its search, its tables, its MLflow database and its report; in place
of the keeper that has things built and folds run stands one whose folds sleep and come back with made-up answers, as a
Ray task each. Overhead is the whole time from when folds can be run, deliveries to MLflow and the report included, less
what the sleep takes on as many workers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import ray
import yaml
from rich.console import Console

from cluster.folds import Fold, Materials
from cluster.keeper import FoldRunner
from fsamc.result import FoldResult
from fsamc.seeds import numpy_generator
from fsamc.store import Store
from sweeps.cli import quiet_ray
from sweeps.report import write_report
from sweeps.request import Request
from sweeps.sweep import run_sweep
from tests.sweeps.small import PLAN, write_materials

QUERIES = 12
WORKERS = 2
SPACE = {"head.patches": {"integers": [1, 400]}, "finetune.lr": {"loguniform": [1e-5, 1e-1]}}


@ray.remote(num_cpus=0)
class Sleeper:
    """A keeper that has nothing built, and whose folds sleep.

    Args:
        workers: folds at once.
        seconds: of a fold.
    """

    def __init__(self, workers: int, seconds: float) -> None:
        self._free, self._seconds = asyncio.Semaphore(workers), seconds

    async def run(self, fold: Fold, materials: list[Any]) -> tuple[str, bool]:
        """A made-up result, as of a fold that nobody has run before."""
        async with self._free:
            return await _sleep.remote(materials[0], fold, self._seconds), False

    async def halt(self) -> int:
        """There is nothing to halt."""
        return 0

    async def under_way(self) -> list[str]:
        """Nothing is built."""
        return []


@ray.remote
def _sleep(shared: Materials, fold: Fold, seconds: float) -> str:
    """Sleep, and write a result as a fold does."""
    time.sleep(seconds)
    text = made_up(shared, fold, seconds).to_json()
    key = fold.key(shared.categories, shared.textures)
    Store(shared.results[0]).put_text("fold", key, text)
    return text


def made_up(shared: Materials, fold: Fold, seconds: float) -> FoldResult:
    """Answers of which more are right near 40 patches and a rate of 1e-3."""
    category, config = shared.categories[fold.category], fold.config
    classes = tuple(category.defects)
    rng = numpy_generator("made up", config.head.patches, config.finetune.lr, fold.category, fold.seed)
    off = abs(np.log10(config.finetune.lr) + 3) / 4 + abs(config.head.patches - 40) / 400
    truth = tuple(n % len(classes) for n in range(QUERIES))
    right = rng.random(QUERIES) < np.clip(0.8 - off, 0.1, 0.9)
    predicted = tuple(t if r else (t + 1) % len(classes) for t, r in zip(truth, right, strict=True))
    return FoldResult(
        key=fold.key(shared.categories, shared.textures),
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
        left_out=0,
        rounds=0,
        learning=(),
        stages={"classify": seconds},
    )


def main() -> None:
    """Run it, and print what was spent on what."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=0.02, help="that a fold sleeps")
    parser.add_argument("--algorithm", choices=["random", "optuna"], default="random")
    parser.add_argument("--stopping", choices=["none", "race"], default="none")
    given = parser.parse_args()
    quiet_ray()
    root = Path(tempfile.mkdtemp(prefix="fsamc-scheduling-"))
    search = {"algorithm": given.algorithm, "trials": given.trials, "stopping": {"kind": given.stopping}}
    request = _request(root, search)
    whole = _run(request, given.seconds)
    begun = time.monotonic()
    write_report(request.out)
    reporting = time.monotonic() - begun
    folds = pd.read_csv(request.out / "folds.csv")
    asleep = len(folds) * given.seconds / WORKERS
    trials = folds["trial"].nunique()
    status = json.loads((request.out / "sweep.json").read_text())["status"]
    print(f"{status}: {trials} trials, {len(folds)} folds, {given.algorithm}, stopping {given.stopping}")
    print(f"scheduling and tracking: {whole:.0f} s, of which the folds sleep {asleep:.0f} s on {WORKERS} workers")
    print(f"overhead: {(whole - asleep) / trials:.3f} s a trial")
    print(f"report: {reporting:.1f} s, {(request.out / 'report.html').stat().st_size / 1e6:.1f} MB")
    print(f"in {root}")


def _request(root: Path, search: dict[str, Any]) -> Request:
    materials, plan = write_materials(root / "materials"), root / "plan.yaml"
    plan.write_text(yaml.safe_dump({**PLAN, "space": SPACE, "search": search}, sort_keys=False))
    return Request(
        plan=str(plan),
        changes=(f"resources.workers={WORKERS}",),
        data=materials / "data",
        textures=materials / "textures",
        backbone=str(materials / "tiny.pt2"),
        out=root / "out",
        cache=root / "cache",
        figures=False,
        view="quiet",
    )


def _run(request: Request, seconds: float) -> float:
    """Sweep with folds that sleep so long; seconds from when folds can be run to the end, the report included."""
    started = []

    def start(shared: Materials) -> FoldRunner:
        started.append(time.monotonic())
        return FoldRunner(Sleeper.remote(shared.workers, seconds), ray.put(shared))

    with mock.patch.object(FoldRunner, "start", start):
        run_sweep(request, Console(quiet=True))
    return time.monotonic() - started[0]


if __name__ == "__main__":
    main()
