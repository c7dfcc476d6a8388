"""Exact search for the nearest bank row on a CPU, which skips the rows that a narrow product rules out.

One product of a few principal axes bounds all distances from below (`distance_bounds`). The distance to the row with
the smallest bound is computed in full; rows whose bound is larger are out of reach, and the few others are computed in
full, too.
"""

from __future__ import annotations

from functools import cached_property
from math import inf

import numpy as np
import torch

from fsamc.detectors.distance_bounds import Bounds, bfloat16_is_fast

AXES = 125  # principal axes, but no more than a quarter of the channels; these numbers change the time only
COARSE_AXES = 185  # of a product in bfloat16, which costs less
CROWD = 16  # where more than 1/16 of the rows are within reach of a query, the full product is faster
QUERIES, CELLS = 1024, 1 << 22  # queries and products held at once
PAIRS = 256  # differences of rows held at once; so few stay in a core's cache
SMALLEST, LARGEST = 2.0**-80, 2.0**120  # between which a float32 sum of squares has no underflow or overflow


class ExactSearch:
    """Search for the nearest row of a bank.

    A distance is the float32 norm of the float32 difference, as `numpy.linalg.norm` computes it; in double precision
    where float32 does not hold the squares. Of rows at equal distances the lowest number wins.

    Args:
        rows: float32 or float16 [K >= 1, D], may be memory-mapped.
        coarse: bound the distances in bfloat16; as is faster on this processor by default. The answers are the same.
    """

    def __init__(self, rows: np.ndarray, coarse: bool | None = None) -> None:
        self.rows = rows
        coarse = bfloat16_is_fast() if coarse is None else coarse
        axes = min(COARSE_AXES if coarse else AXES, rows.shape[1] // 4)
        self.narrow = Bounds(rows, np.arange(len(rows)), axes, coarse) if 0 < 4 * axes <= len(rows) else None

    @cached_property
    def full(self) -> Bounds:
        """The plain search, by the product of all channels, of the rows that are no copies of a lower one."""
        rows = np.ascontiguousarray(self.rows)
        _, distinct = np.unique(rows.view(f"V{rows[0].nbytes}")[:, 0], return_index=True)
        return Bounds(rows, np.sort(distinct))

    def __call__(self, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the distances float32 [M] of queries [M, D] to their nearest rows, and these rows' numbers int64 [M].

        Queries are read in blocks: a memory-mapped array is never held as a whole.
        """
        distances, indices = np.empty(len(queries), np.float32), np.empty(len(queries), np.int64)
        size = min(QUERIES, max(1, CELLS // len(self.rows)))
        for start in range(0, len(queries), size):
            block = slice(start, start + size)
            distances[block], indices[block] = self._search(float32(queries[block]))
        return distances, indices

    def _search(self, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self.narrow is None:
            return self._nearest(queries, self.full)[:2]
        distances, indices, crowded = self._nearest(queries, self.narrow, len(self.rows) // CROWD)
        if crowded.any():
            distances[crowded], indices[crowded], _ = self._nearest(queries[crowded], self.full)
        return distances, indices

    def _nearest(
        self, queries: np.ndarray, bounds: Bounds, crowd: float = inf
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Search among the rows of the bounds.

        Returns:
            distances, numbers of the rows, and the queries that have more than `crowd` rows within reach, bool: what is
            said of those is wrong.
        """
        within = bounds.compare(queries)
        first = within.smallest()
        distances = lengths(queries, self.rows[first])
        query, row = within.reach(distances)
        crowded = np.bincount(query, minlength=len(queries)) > crowd
        others = ~crowded[query] & (row != first[query])
        query, row = query[others], row[others]
        parts = [slice(start, start + PAIRS) for start in range(0, len(query), PAIRS)]
        further = [lengths(queries[query[part]], self.rows[row[part]]) for part in parts]
        distances = np.concatenate([distances, *further])
        query, row = np.append(np.arange(len(queries)), query), np.append(first, row)
        order = np.lexsort((row, distances, query))
        best = order[np.searchsorted(query[order], np.arange(len(queries)))]
        return distances[best], row[best], crowded


def lengths(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Compute the norms of the differences of rows, float32 [n]; in double precision where float32 is too narrow."""
    with np.errstate(over="ignore", under="ignore"):
        apart = left - float32(right)
        squares = np.square(apart, out=apart).sum(axis=1)
        distances: np.ndarray = np.sqrt(squares)
        outside = np.flatnonzero(~((squares > SMALLEST) & (squares < LARGEST)))
        if len(outside):
            distances[outside] = np.linalg.norm(left[outside].astype(np.float64) - right[outside], axis=1)
    return distances


def float32(features: np.ndarray) -> np.ndarray:
    """Return features as float32. torch widens half precision twenty times as fast as NumPy."""
    return torch.from_numpy(np.require(features, requirements=("C", "W"))).float().numpy()
