"""What a sweep costs beside its folds: trials whose folds only sleep, through all the rest of the product.

    python -m tests.bench.bench_scheduling                                  2,000 trials
    python -m tests.bench.bench_scheduling --trials 200 --algorithm optuna

`fsamc sweep` itself runs, on an embedded Ray, with its search, its tables, its MLflow database and its report; in place
of the service that has things built and folds run stands one whose folds sleep and come back with made-up answers, as a
Ray task each. Overhead is the whole time from when folds can be run, deliveries to MLflow and the report included, less
what the sleep takes on as many workers.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import pandas as pd

from sweeps.cli import collect_rarely, quiet_ray
from sweeps.report.write import write_report
from tests.bench.sleeping import run_asleep, sleepy_request

WORKERS = 2


def main() -> None:
    """Run it, and print what was spent on what."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=0.02, help="that a fold sleeps")
    parser.add_argument("--algorithm", choices=["random", "optuna"], default="random")
    parser.add_argument("--stopping", choices=["none", "race"], default="none")
    given = parser.parse_args()
    collect_rarely()
    quiet_ray()
    root = Path(tempfile.mkdtemp(prefix="fsamc-scheduling-"))
    search = {"algorithm": given.algorithm, "trials": given.trials, "stopping": {"kind": given.stopping}}
    request = sleepy_request(root, search, workers=WORKERS)
    whole = run_asleep(request, given.seconds).wall
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


if __name__ == "__main__":
    main()
