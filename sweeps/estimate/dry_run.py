"""What `--dry-run` shows: the size of a sweep, and the time, memory and disk that it would take here."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import psutil
from rich.console import Console
from rich.table import Table

from sweeps.checks.prepare import Prepared
from sweeps.estimate.estimate import Estimate, Seconds, estimate
from sweeps.estimate.probes import Measured
from sweeps.request import CheckedRequest
from sweeps.results.usage import KINDS
from sweeps.search import Proposer
from sweeps.trials.monitor import Monitor

_ACTOR = 100 << 20  # bytes of a process that runs Ray and no torch: an actor, a trial
_RAY = 700 << 20  # bytes of Ray's own processes
_AT_ONCE = 3  # trials under way, and the keeper


def dry_run(checked: CheckedRequest, proposer: Proposer, console: Console) -> None:
    """Measure the parts of a sweep and print what they add up to. Starts no Ray and writes nothing."""
    request, prepared, cache, process = checked.request, checked.prepared, checked.places.cache, psutil.Process()
    before = process.memory_info().rss
    own = [_own(process)]
    counts = [
        len(category.with_classes(good=prepared.plan.base.good).classes) for category in prepared.categories.values()
    ]
    results = (cache, request.out / ".folds") if request.reuse else (request.out / ".folds",)
    with (
        console.status("measuring what the parts of a fold take on this machine"),
        Monitor(lambda: own.append(_own(process)), period=0.05),
    ):
        found = estimate(
            prepared,
            proposer,
            Measured((min(counts), max(counts))),
            workers=checked.workers,
            cache=cache,
            results=results,
        )
    memory = _memory(found, prepared, process=before, worker=max(own))
    console.print(_table(found))
    for line in _lines(found, prepared, memory):
        console.print(line, soft_wrap=True, highlight=False, markup=False)


def _own(process: psutil.Process) -> int:
    """Bytes that are not a file's: the libraries' are shared by all processes that load them."""
    found = process.memory_info()
    return int(found.rss - getattr(found, "shared", 0))


def _memory(found: Estimate, prepared: Prepared, *, process: int, worker: int) -> int:
    """Bytes of the driver, the workers, Ray and its actors, and of the arrays that they share.

    A worker is taken for as large as this process was while it measured: it loads the same and does the same. Features
    are counted as if all of their pages were read, so this is an upper bound.
    """
    actors = len(prepared.categories) * len(prepared.plan.folds.seeds) + _AT_ONCE
    return process + found.workers * worker + _RAY + actors * _ACTOR + found.served + found.mapped


def _table(found: Estimate) -> Table:
    table = Table(title="estimate", title_justify="left")
    for name in ("", "to do", "in the cache", "seconds, one by one"):
        table.add_column(name, justify="right" if name else "left")
    for kind in dict.fromkeys([*KINDS, *found.there, *found.missing]):
        seconds = f"{found.builds.get(kind, 0.0):.0f}"
        table.add_row(f"build {kind}", str(found.missing.get(kind, 0)), str(found.there.get(kind, 0)), seconds)
    table.add_row("run folds", f"{found.left:.0f}", str(found.finished), _range(found.folds, "{:.0f}".format))
    return table


def _lines(found: Estimate, prepared: Prepared, memory: int) -> Iterator[str]:
    yield f"time     {_range(found.wall, duration)} with {found.workers} side by side, besides starting and reporting"
    there = psutil.virtual_memory().total
    yield f"memory   up to about {memory / 2**30:.1f} GiB, of {there / 2**30:.1f} GiB"
    yield f"disk     about {found.disk / 1e9:.1f} GB"
    yield "An estimate: each part was measured once, alone, at its real size, and scaled by how often it occurs."
    if found.folds.low < found.folds.high:
        yield "Pretraining stops somewhere between its first round and pretrain.max_rounds: hence the range."
    if not found.exact:
        yield "Which trials there will be is not known: they were taken for the base and the ends of each range."
    if prepared.plan.search.stops_by != "none":
        yield "Trials may be stopped early (search.stopping), which saves folds; they are counted as if none was."
    cpus = found.workers * prepared.plan.resources.cpus
    if cpus > 1:
        yield f"Side by side they share caches and memory: on {cpus} of {os.cpu_count()} CPUs expect up to twice that."
    if prepared.plan.resources.gpus:
        yield "Folds that share a GPU slow each other down, which is not counted."


def _range(seconds: Seconds, write: Callable[[float], str]) -> str:
    low, high = write(seconds.low), write(seconds.high)
    return low if low == high else f"{low} to {high}"


def duration(seconds: float) -> str:
    """`45 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
