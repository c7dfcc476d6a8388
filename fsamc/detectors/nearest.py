"""Nearest bank row of each query, by exact L2 (k = 1)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch

from fsamc.detectors.exact_search import ExactSearch

QUERIES_PER_BLOCK = 4096  # bounds the memory only
CLOSE_CALLS = 4  # candidates whose distances are computed again; the fast ones are rounded sums of large numbers
GPU_SCRATCH_BYTES = 256 << 20
_gpu_lock = threading.Lock()  # faiss' GPU resources serve one thread at a time

Search = Callable[[np.ndarray, int], np.ndarray]


def nearest(queries: np.ndarray, bank: np.ndarray, *, device: str = "cpu") -> tuple[np.ndarray, np.ndarray]:
    """Find the distance to the nearest bank row and its number; ties go to the lower number.

    A query that is in the bank has distance 0. Queries are read in blocks: a memory-mapped array is never held as a
    whole.

    Args:
        queries: float32 or float16 [M, D].
        bank: float32 or float16 [K, D].
        device: `cpu` or `cuda`.

    Returns:
        distances float32 [M], indices int64 [M].

    Raises:
        ValueError: an empty bank, or queries of another dimension.
    """
    check_shapes(queries, bank)
    return ExactSearch(bank)(queries) if device == "cpu" else _nearest_on_gpu(queries, bank, device)


def check_shapes(queries: np.ndarray, bank: np.ndarray) -> None:
    """Raise ValueError for an empty bank, or queries of another dimension."""
    if bank.ndim != 2 or not len(bank) or queries.ndim != 2 or queries.shape[1] != bank.shape[1]:
        raise ValueError(f"expected queries [M, D] and a bank [K >= 1, D], found {queries.shape} and {bank.shape}")


def _nearest_on_gpu(queries: np.ndarray, bank: np.ndarray, device: str) -> tuple[np.ndarray, np.ndarray]:
    """Compare the few best rows by the fast formula again, by the norm of the difference."""
    rows = np.ascontiguousarray(bank, dtype=np.float32)
    centre = rows.mean(axis=0)
    search = _search(rows - centre, device)
    distances = np.empty(len(queries), dtype=np.float32)
    indices = np.empty(len(queries), dtype=np.int64)
    for start in range(0, len(queries), QUERIES_PER_BLOCK):
        block = slice(start, start + QUERIES_PER_BLOCK)
        these = np.asarray(queries[block], dtype=np.float32)
        candidates = np.sort(search(these - centre, min(CLOSE_CALLS, len(rows))), axis=1)
        distances[block], indices[block] = _closest(these, rows, candidates)
    return distances, indices


def _closest(queries: np.ndarray, rows: np.ndarray, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Choose the best of each query's candidates [M, k], sorted by number: the first minimum is the lowest."""
    distances = np.stack([np.linalg.norm(queries - rows[column], axis=1) for column in candidates.T], axis=1)
    best = distances.argmin(axis=1)[:, None]
    return np.take_along_axis(distances, best, 1)[:, 0], np.take_along_axis(candidates, best, 1)[:, 0]


def _search(rows: np.ndarray, device: str) -> Search:
    """Make a function that returns the numbers int64 [M, k] of the k best rows for queries float32 [M, D]."""
    faiss = _faiss_of_gpus()
    if faiss is None:
        return _torch_search(rows, device)
    index = faiss.IndexFlatL2(rows.shape[1])
    index.add(rows)
    on_gpu = faiss.index_cpu_to_gpu(_gpu_resources(), 0, index)

    def search(queries: np.ndarray, k: int) -> np.ndarray:
        with _gpu_lock:
            numbers: np.ndarray = on_gpu.search(queries, k)[1]
            return numbers

    return search


def _torch_search(rows: np.ndarray, device: str) -> Search:
    bank = torch.from_numpy(rows).to(device)
    norms = bank.square().sum(dim=1)

    def search(queries: np.ndarray, k: int) -> np.ndarray:
        # The query's own norm is the same for every row, so it decides nothing.
        apart = torch.addmm(norms, torch.from_numpy(queries).to(device), bank.T, alpha=-2)
        return apart.topk(k, dim=1, largest=False).indices.cpu().numpy()

    return search


def _faiss_of_gpus() -> Any:
    """Return faiss where it sees a GPU, else None: torch gives the same answer."""
    try:
        import faiss
    except ImportError:
        return None
    return faiss if hasattr(faiss, "get_num_gpus") and faiss.get_num_gpus() else None


@cache
def _gpu_resources() -> Any:
    """Make one per process: each takes its scratch memory from the card for good."""
    import faiss

    resources = faiss.StandardGpuResources()
    resources.setTempMemory(GPU_SCRATCH_BYTES)
    return resources
