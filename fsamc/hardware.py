"""Threads, and the memory of a card: the one place that sets what the arithmetic runs on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

import torch

from fsamc.config.compute import Compute

CONTEXT_BYTES = 512 << 20  # about what CUDA and its libraries keep of a card for each process
T = TypeVar("T")


def whole_machine() -> Compute:
    """Return a GPU, if there is one, and every core that this process may use: OMP_NUM_THREADS says if they are fewer.

    Ray sets that for a worker that has some of a machine's cores.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    most = os.environ.get("OMP_NUM_THREADS", "")
    cores = min(cores, int(most)) if most.isdecimal() and int(most) else cores
    return Compute(device="cuda" if torch.cuda.is_available() else "cpu", threads=cores)


@contextmanager
def threads(compute: Compute) -> Iterator[None]:
    """Limit torch and OpenCV to `compute.threads` inside the block, and put back what was.

    Sums change in their last bits with the number of threads, so a fold must never take whatever is free.
    """
    opencv = _opencv()
    before_torch, before_cv = torch.get_num_threads(), opencv.getNumThreads() if opencv else 0
    _limit(compute.threads, compute.threads)
    try:
        yield
    finally:
        _limit(before_torch, before_cv)


@contextmanager
def without_denormals() -> Iterator[None]:
    """Count floats below 1.2e-38 as zero inside the block.

    Adam's means of gradients that have ceased decay to such floats after some 750 steps, and the arithmetic on them
    is ten times slower; what they would add to a weight is far below its last bit.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def share_gpu(share: float, device: str) -> None:
    """Hold this process to its share of the card's memory: beyond it torch raises `OutOfMemoryError`.

    Ray's shares of a GPU are bookkeeping alone. Each process's context, which torch's allocator knows nothing of, is
    taken off beforehand. Nothing happens on a CPU, or where the share is a whole card or more.
    """
    if device == "cuda" and 0 < share < 1:
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(max(0.05, share - CONTEXT_BYTES / total), 0)


def shrinking_batches(compute: Callable[[int, int], T], count: int, batch: int) -> Iterator[tuple[int, T]]:
    """Yield what `compute(first, last)` gives for `count` things, `batch` at a time, with the first one's number.

    Where the card is too small for so many, half as many are tried, and no more from then on. Raises torch's
    `OutOfMemoryError` where one alone is too much.
    """
    first = 0
    while first < count:
        last = min(first + batch, count)
        try:
            result = compute(first, last)
        except torch.OutOfMemoryError:
            if last - first == 1:
                raise
            batch = (last - first) // 2
            torch.cuda.empty_cache()
            continue
        yield first, result
        first = last


def _limit(for_torch: int, for_cv: int) -> None:
    torch.set_num_threads(for_torch)
    if opencv := _opencv():
        opencv.setNumThreads(for_cv)


@cache
def _opencv() -> Any:
    """Return OpenCV; None on a machine that has none, where arithmetic on tensors can do without."""
    try:
        import cv2
    except ImportError:
        return None
    return cv2
