"""Threads and devices: the one place that sets what the arithmetic runs on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import torch

from fsamc.config import Compute


@contextmanager
def threads(compute: Compute) -> Iterator[None]:
    """Limit torch, OpenCV and faiss to `compute.threads` inside the block, and put back what was.

    Sums change in their last bits with the number of threads, so a fold must never take whatever is free.
    """
    before_torch, before_cv = torch.get_num_threads(), cv2.getNumThreads()
    faiss = _faiss()
    before_faiss = faiss.omp_get_max_threads() if faiss else 1
    _limit(compute.threads, compute.threads, compute.threads)
    try:
        yield
    finally:
        _limit(before_torch, before_cv, before_faiss)


@contextmanager
def without_denormals() -> Iterator[None]:
    """Floats below 1.2e-38 count as zero inside the block.

    Adam's means of gradients that have ceased decay to such floats after some 750 steps, and the arithmetic on them
    is ten times slower; what they would add to a weight is far below its last bit.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


class Stopwatch:
    """Seconds per named stage, added up over repeated visits. A stage within another one is part of that."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._within = False

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count what happens inside the block towards `name`."""
        if self._within:
            yield
            return
        started, self._within = time.perf_counter(), True
        try:
            yield
        finally:
            self._within = False
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started


def _limit(for_torch: int, for_cv: int, for_faiss: int) -> None:
    torch.set_num_threads(for_torch)
    cv2.setNumThreads(for_cv)
    if faiss := _faiss():
        faiss.omp_set_num_threads(for_faiss)


def _faiss():  # type: ignore[no-untyped-def]  # noqa: ANN202  faiss ships no types
    try:
        import faiss
    except ImportError:
        return None
    return faiss
