"""A Ray that stays up from one sweep of a test process to the next, with workers that have loaded torch.

A process can be in one Ray at a time: whoever joins another first puts this one down.
"""

from __future__ import annotations

from contextlib import chdir
from pathlib import Path

import ray

from cluster import runtime
from sweeps.cli import quiet_ray

NICE = 1  # of its workers
ROOT = Path(__file__).resolve().parents[1]


def up() -> None:
    """Have a Ray with two CPUs in this process, whose workers find the tests wherever the test is by then."""
    if not ray.is_initialized():
        quiet_ray()
        with chdir(ROOT):
            runtime.start(None, cpus=2, gpus=0, nice=NICE)


def down() -> None:
    """Have none in this process."""
    ray.shutdown()
