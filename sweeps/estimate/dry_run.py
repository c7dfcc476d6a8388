"""Dry run: the size of a sweep, and the time, memory and disk that it would take here."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import psutil
from rich.console import Console
from rich.table import Table

from sweeps.estimate.estimate import Estimate, Seconds, estimate
from sweeps.report.document.numbers import duration
from sweeps.request import CheckedRequest
from sweeps.results.usage import KINDS
from sweeps.search import Proposer
from sweeps.trials.monitor import Monitor

_ACTOR = 100 << 20  # bytes of a process that runs Ray and no torch: an actor, a trial
_RAY = 700 << 20  # bytes of Ray's own processes
_AT_ONCE = 3  # trials under way, and the fold service


def dry_run(checked: CheckedRequest, proposer: Proposer, console: Console) -> None:
    """Measure a fold of each kind and print what the sweep adds up to. Starts no Ray and leaves nothing behind."""
    process = psutil.Process()
    before, peaks = process.memory_info().rss, [_unshared(process)]
    with (
        console.status("measuring what a fold of each kind takes on this machine"),
        Monitor(lambda: peaks.append(_unshared(process)), period=0.05, share=0.5),
    ):
        size = estimate(checked, proposer)
    console.print(_table(size))
    for line in _lines(checked, size, before + _beside_the_driver(checked, size, worker=max(peaks))):
        console.print(line, soft_wrap=True, highlight=False, markup=False)


def _unshared(process: psutil.Process) -> int:
    """Count the process's bytes that are not a file's: the libraries' are shared by all processes that load them."""
    memory = process.memory_info()
    return int(memory.rss - getattr(memory, "shared", 0))


def _beside_the_driver(checked: CheckedRequest, size: Estimate, *, worker: int) -> int:
    """Count the bytes of the workers, Ray and its actors, and of the arrays that they share.

    A worker is taken for as large as this process was while it measured: it loads the same and does the same. Features
    are counted as if all of their pages were read, so this is an upper bound.
    """
    actors = len(checked.prepared.categories) * len(checked.prepared.plan.folds.seeds) + _AT_ONCE
    return size.workers * worker + _RAY + actors * _ACTOR + size.served + size.mapped


def _table(size: Estimate) -> Table:
    table = Table(title="estimate", title_justify="left")
    for name in ("", "to do", "in the cache", "seconds, one by one"):
        table.add_column(name, justify="right" if name else "left")
    for kind in dict.fromkeys([*KINDS, *size.cached, *size.missing]):
        table.add_row(
            f"build {kind}", str(size.missing[kind]), str(size.cached[kind]), f"{size.builds.get(kind, 0.0):.0f}"
        )
    table.add_row("run folds", str(size.left), str(size.finished), _range(size.folds, "{:.0f}".format))
    return table


def _lines(checked: CheckedRequest, size: Estimate, memory: int) -> Iterator[str]:
    plan = checked.prepared.plan
    yield f"time     {_range(size.wall, duration)} with {size.workers} side by side, besides starting and reporting"
    yield f"memory   up to about {memory / 2**30:.1f} GiB, of {psutil.virtual_memory().total / 2**30:.1f} GiB"
    kinds = ", ".join(f"{kind} {kept / 1e9:.1f}" for kind, kept in size.disk.items() if kept >= 5e7)
    yield f"disk     about {sum(size.disk.values()) / 1e9:.1f} GB: {kinds}"
    yield "An estimate: a fold of each head and number of shots was run, alone; all others are taken to be like it."
    if size.folds.least < size.folds.most:
        yield "Pretraining stops somewhere between its first rounds and pretrain.max_rounds: hence the range."
    if not size.exact:
        yield "Trials are not known yet, or too many to look at: builds are those of the base and of each range's ends."
    if plan.search.stops_by != "none":
        yield "Trials may be stopped early (search.stopping), which saves folds; they are counted as if none was."
    cpus = size.workers * plan.resources.cpus
    if cpus > 1:
        yield f"Side by side they share caches and memory: on {cpus} of {os.cpu_count()} CPUs expect up to twice that."
    if plan.resources.gpus:
        yield "Folds that share a GPU slow each other down, which is not counted."


def _range(seconds: Seconds, write: Callable[[float], str]) -> str:
    least, most = write(seconds.least), write(seconds.most)
    return least if least == most else f"{least} to {most}"
