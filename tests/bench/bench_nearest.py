"""Seconds of an image's search for its nearest bank rows: the search that skips, torch's full product and faiss.

    python -m tests.bench.bench_nearest --data CATEGORY --backbone F.pt2

The bank is the coreset of CATEGORY's good images, the queries are its last good images, which are not in the bank.
Processor seconds are printed beside wall seconds, which mean little on a machine that others use too.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from fsamc.detectors.bank import MemoryBank
from fsamc.detectors.exact_search import ExactSearch
from tests.bench.bench_coreset import patches_of

Answer = tuple[np.ndarray, np.ndarray]
Search = Callable[[np.ndarray], Answer]


def main() -> None:
    """Parse, run, print."""
    options = _options()
    torch.set_num_threads(options.threads)
    features = patches_of(options.data, options.backbone, options.images).half().numpy()
    per_image = len(features) // options.images
    features, queries = features[: -options.queries * per_image], features[-options.queries * per_image :]
    bank = MemoryBank.build(features, options.ratio).rows
    print(f"{options.data.name}: {len(bank)} rows, {per_image} patches an image, {options.threads} thread(s)")
    expected = None
    ways: dict[str, Callable[[], Search]] = {
        "bounds in float32": lambda: ExactSearch(bank, coarse=False),
        "bounds in bfloat16": lambda: ExactSearch(bank, coarse=True),
        "torch, full product": lambda: _torch(bank),
        "faiss, flat": lambda: _faiss(bank, options.threads),
    }
    for name, prepare in ways.items():
        started = time.process_time()
        search = prepare()
        prepared = time.process_time() - started
        wall, processor, (_, indices) = _timed(search, queries, options.repeats)
        expected = indices if expected is None else expected
        each, of_processors = (1e3 * seconds / options.queries for seconds in (wall, processor))
        print(f"{name:20} {each:7.1f} ms an image, of processors {of_processors:7.1f}, {1e3 * prepared:6.0f} ms once")
        print(f"{'':20} {int((indices != expected).sum())} rows differ from those of the first")


def _timed(search: Search, queries: np.ndarray, repeats: int) -> tuple[float, float, Answer]:
    """Wall and processor seconds of the best of some runs, and the answer."""
    walls, processors = [], []
    for _ in range(repeats):
        wall, processor = time.perf_counter(), time.process_time()
        answer = search(queries)
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - processor)
    return min(walls), min(processors), answer


def _torch(bank: np.ndarray) -> Search:
    rows = torch.from_numpy(bank.astype(np.float32))
    centre = rows.mean(dim=0)
    rows = rows - centre
    norms = rows.square().sum(dim=1)

    def search(queries: np.ndarray) -> Answer:
        parts = (torch.from_numpy(queries).float() - centre).split(784)
        nearest = [torch.addmm(norms, part, rows.T, alpha=-2).min(dim=1) for part in parts]
        return torch.cat([one.values for one in nearest]).numpy(), torch.cat([one.indices for one in nearest]).numpy()

    return search


def _faiss(bank: np.ndarray, threads: int) -> Search:
    import faiss

    faiss.omp_set_num_threads(threads)
    centre = bank.mean(axis=0, dtype=np.float32)
    index = faiss.IndexFlatL2(bank.shape[1])
    index.add(bank - centre)

    def search(queries: np.ndarray) -> Answer:
        distances, indices = index.search(queries - centre, 1)
        return distances[:, 0], indices[:, 0]

    return search


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a category's folder, with train/good")
    parser.add_argument("--backbone", type=Path, required=True, help="torch.export program")
    parser.add_argument("--images", type=int, default=160, help="good images used of --data")
    parser.add_argument("--queries", type=int, default=4, help="of them, how many are searched for")
    parser.add_argument("--ratio", type=float, default=0.1, help="share of the patches in the bank")
    parser.add_argument("--threads", type=int, default=1, help="of torch and faiss")
    parser.add_argument("--repeats", type=int, default=3, help="runs, of which the best counts")
    return parser.parse_args()


if __name__ == "__main__":
    main()
