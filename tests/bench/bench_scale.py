"""How far one driver reaches: measured on this machine, and simulated from there.

    make bench-scale
    make bench-scale ARGS="--slots 16"

First, what a fold takes of the driver and of the service, through which all folds pass: a sweep whose folds take no
time; and what a fold leaves in the driver's memory. Second, real Ray with as many slots as memory holds, whose workers
load no torch and whose folds sleep for ten seconds. Third, the same in the simulation, which must say about the same.
Last, clusters of 200 nodes and 20,000 folds, in the simulation alone: no machine of them was there.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from sweeps.cli import quiet_ray
from sweeps.plan.settings import Plan
from tests.bench.simulation import Cluster, Costs, Outcome, simulate, steady_share
from tests.bench.sleeping import Spent, run_asleep, sleepy_request

PER_TRIAL = 4
SHORT = 0.4  # seconds of a fold that MLflow can follow: what waits for it would pass for growth
SLOT = 150 << 20  # bytes of a worker that loads no torch, with its share of the trials' processes
SPREAD = 0.2  # of a simulated fold's time, either way: real folds are not of one length


def main() -> None:
    """Measure, simulate, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slots", type=int, default=min(16, psutil.virtual_memory().available // (2 * SLOT)))
    parser.add_argument("--seconds", type=float, default=10.0, help="of a fold")
    parser.add_argument("--rounds", type=int, default=12, help="folds of each slot")
    parser.add_argument("--trials", type=int, default=300, help="of the sweep that measures the costs")
    given = parser.parse_args()
    quiet_ray()
    console = Console()
    quick, folds = _sweep(given.trials, 0.0, workers=4), given.trials * PER_TRIAL
    costs = Costs(driver=quick.per_fold()[0], service=quick.service / folds)
    console.print(
        f"{folds} folds of no time, {os.cpu_count()} processors, load {os.getloadavg()[0]:.0f}: a fold takes "
        f"{1e3 * costs.driver:.1f} ms of the driver and {1e3 * costs.service:.1f} ms of the service"
    )
    _, growth = _sweep(given.trials, SHORT, workers=4).per_fold()
    console.print(f"{folds} folds of {SHORT} s: the driver grew by {growth / 1e3:.1f} MB per 1,000 folds")
    console.print(_table(given, costs, _sweep(given.slots * given.rounds // PER_TRIAL, given.seconds, given.slots)))


def _sweep(trials: int, seconds: float, workers: int) -> Spent:
    with tempfile.TemporaryDirectory(prefix="fsamc-scale-") as root:
        search = {"algorithm": "random", "trials": trials}
        return run_asleep(sleepy_request(Path(root), search, workers=workers), seconds)


def _table(given: argparse.Namespace, costs: Costs, real: Spent) -> Table:
    table = Table("", "slots", "folds", "seconds", "of ideal", "once started", "driver busy", "trials' processes")
    count = given.slots * given.rounds // PER_TRIAL * PER_TRIAL
    ideal = count * given.seconds / given.slots
    told = [(mark.at, mark.folds) for mark in real.marks]
    measured = Outcome(
        seconds=real.wall,
        share=ideal / real.wall,
        steady=steady_share(told, given.slots, given.seconds),
        driver=real.driver / real.wall,
        trials=real.trials,
    )
    table.add_row("real Ray, here", *_row(given.slots, count, measured))
    here = Cluster(nodes=1, slots=given.slots)
    table.add_row("the same, simulated", *_row(given.slots, count, _simulated(here, costs, count, given.seconds, 0.0)))
    for slots in (1, 2, 4):
        far = Cluster(nodes=200, slots=slots)
        found = _simulated(far, costs, 20_000, given.seconds, SPREAD)
        table.add_row(f"200 nodes of {slots}, simulated", *_row(200 * slots, 20_000, found))
    return table


def _simulated(cluster: Cluster, costs: Costs, folds: int, seconds: float, spread: float) -> Outcome:
    plan = Plan.model_validate({"name": "scale", "search": {"algorithm": "random"}})
    return simulate(plan, cluster, costs, folds=folds, per_trial=PER_TRIAL, seconds=seconds, spread=spread)


def _row(slots: int, folds: int, found: Outcome) -> list[str]:
    shares = [f"{100 * found.share:.1f} %", f"{100 * found.steady:.1f} %", f"{100 * found.driver:.0f} %"]
    return [str(slots), str(folds), f"{found.seconds:.0f}", *shares, str(found.trials)]


if __name__ == "__main__":
    main()
