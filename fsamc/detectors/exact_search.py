"""Exact search for the nearest bank row on a CPU, which skips the rows that a narrow product rules out.

In an orthonormal basis whose first k axes are the principal ones of the bank, with a* the first k coordinates of a and
|a°| the norm of the others,

    |a - b|² >= |a* - b*|² + (|a°| - |b°|)²

so one narrow product bounds all distances from below. The distance to the row with the smallest bound is computed in
full; rows whose bound is larger are out of reach, and the few others are computed in full, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from math import inf

import numpy as np
import torch
from torch import Tensor

AXES = 94  # principal axes, but no more than a quarter of the channels; these numbers change the time only
SAMPLE = 2048  # rows that the principal axes are computed from
ITERATIONS = 3  # of the subspace iteration that computes them
CROWD = 16  # where more than 1/16 of the rows are within reach of a query, the full product is faster
CELLS = 1 << 22  # products held at once
PANEL = 1024  # rows per matrix product, about
SEGMENT = 64  # rows that are passed over together where the smallest of their products is out of reach
PAIRS = 256  # differences of rows held at once; so few stay in a core's cache
PATCHES = 1024  # patches in double precision held at once
ROUNDING = 2.0**-24  # relative error of one float32 operation
SMALLEST, LARGEST = 2.0**-80, 2.0**120  # between which a float32 sum of squares has no underflow or overflow


class ExactSearch:
    """Search for the nearest row of a bank.

    A distance is the float32 norm of the float32 difference, as `numpy.linalg.norm` computes it; in double precision
    where float32 does not hold the squares. Of rows at equal distances the lowest number wins.

    Args:
        rows: float32 or float16 [K >= 1, D], may be memory-mapped.
    """

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows
        axes = min(AXES, rows.shape[1] // 4)
        self.narrow = Bounds(rows, np.arange(len(rows)), axes) if 0 < 4 * axes <= len(rows) else None

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
        size = min(PATCHES, max(1, CELLS // len(self.rows)))
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
        query, row = query[~crowded[query]], row[~crowded[query]]
        parts = [slice(start, start + PAIRS) for start in range(0, len(query), PAIRS)]
        others = [lengths(queries[query[part]], self.rows[row[part]]) for part in parts]
        distances = np.concatenate([distances, *others])
        query, row = np.append(np.arange(len(queries)), query), np.append(first, row)
        order = np.lexsort((row, distances, query))
        best = order[np.searchsorted(query[order], np.arange(len(queries)))]
        return distances[best], row[best], crowded


class Bounds:
    """Lower bounds of the distances to some rows of a bank, up to rounding errors, which are bounded as well.

    Args:
        bank: [K, D].
        numbers: int64 [n], ascending, which of its rows.
        axes: how many principal axes; None for all channels.

    Attributes:
        size: n.
        numbers: as given, the last repeated until panels of equal width are full.
        panels: float32 [p, width, c], the row's coordinates times -2, and the sum of their squares.
    """

    def __init__(self, bank: np.ndarray, numbers: np.ndarray, axes: int | None = None) -> None:
        rows, self.size = bank[numbers], len(numbers)
        count = -(-len(rows) // PANEL)
        width = -(-len(rows) // (count * SEGMENT)) * SEGMENT
        self.numbers = np.append(numbers, np.full(count * width - len(rows), numbers[-1]))
        self.centre = torch.stack([part.sum(dim=0, dtype=torch.float64) for part in _parts(rows)]).sum(dim=0) / len(
            rows
        )
        self.centre = self.centre.float()
        largest = max(float((part - self.centre).abs().max()) for part in _parts(rows))
        self.unit = 2.0 ** int(np.frexp(largest)[1]) if 0 < largest < np.inf else 1.0
        self.axes = None if axes is None else self._principal_axes(rows, axes)
        coordinates, squares = self._coordinates(rows)
        # n products and their sum have n rounding errors, each a share of at most |a|² + 2|b|²; the others are few.
        self.noise = (coordinates.shape[1] + 16) * ROUNDING
        self.margin = 1e-3 + 4 * rows.shape[1] * ROUNDING
        panels = torch.cat([-2 * coordinates, (squares * (1 - 4 * self.noise)).float()[:, None]], dim=1)
        padding = panels[-1:].expand(len(self.numbers) - len(rows), -1)
        self.panels = torch.cat([panels, padding]).view(count, width, -1)

    def compare(self, queries: np.ndarray) -> Products:
        """Bound the distances of queries float32 [m, D]."""
        coordinates, squares = self._coordinates(queries)
        extended = torch.cat([coordinates, torch.ones(len(queries), 1)], dim=1)
        count, width, _ = self.panels.shape
        products = torch.empty(count, len(queries), width // SEGMENT, SEGMENT)
        smallest = torch.empty(len(queries), count, width // SEGMENT)
        for number, panel in enumerate(self.panels):
            torch.mm(extended, panel.T, out=products[number].view(len(queries), width))
            torch.amin(products[number], dim=2, out=smallest[:, number])
        return Products(self, products.numpy(), smallest.flatten(1).numpy(), squares.numpy())

    def _principal_axes(self, rows: np.ndarray, count: int) -> Tensor:
        """Approximate the first principal axes by subspace iteration: orthonormal float64 [D, count]."""
        some = rows[:: -(-len(rows) // SAMPLE)]
        sample = torch.cat([(part - self.centre) / self.unit for part in _parts(some)])
        axes = sample[:count].T
        for _ in range(ITERATIONS):
            axes = torch.linalg.qr(sample.T @ (sample @ axes)).Q
        return torch.linalg.qr(axes.double()).Q

    def _coordinates(self, features: np.ndarray) -> tuple[Tensor, Tensor]:
        """Return the first coordinates of features [n, D] and the norm of the others, float32 [n, k + 1].

        Without axes all coordinates, [n, D]. Also the sums of their squares, float64 [n].
        """
        coordinates = []
        for part in _parts(features):
            centred = part.sub_(self.centre)
            if self.axes is not None:
                wide = centred.double()
                first = wide @ self.axes
                others = (wide.square_().sum(dim=1) - first.square().sum(dim=1)).clamp_(min=0).sqrt_()
                centred = torch.cat([first, others[:, None]], dim=1).div_(self.unit).float()
            else:
                centred = centred.div_(self.unit)
            coordinates.append(centred)
        together = torch.cat(coordinates)
        return together, torch.cat([part.double().square_().sum(dim=1) for part in coordinates])


class Products:
    """What the bounds say of some queries.

    Args:
        bounds: whose they are.
        products: float32 [p, m, s, `SEGMENT`], |b|² - 2ab of each query a and row b.
        minima: float32 [m, p * s], the smallest of each segment.
        squares: float64 [m], |a|².
    """

    def __init__(self, bounds: Bounds, products: np.ndarray, minima: np.ndarray, squares: np.ndarray) -> None:
        self.bounds, self.products, self.minima, self.squares = bounds, products, minima, squares

    def smallest(self) -> np.ndarray:
        """Return the number of the row with each query's smallest bound, int64 [m]."""
        segment = self.minima.argmin(axis=1)
        place = self._segments(np.arange(len(segment)), segment).argmin(axis=1)
        return self.bounds.numbers[segment * SEGMENT + place]

    def reach(self, distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the pairs of a query and the number of a row that may be no farther away than float32 [m]."""
        with np.errstate(over="ignore"):
            near = np.square(distances.astype(np.float64) / self.bounds.unit) * (1 + self.bounds.margin)
            most = (near - self.squares * (1 - 4 * self.bounds.noise) + 1e-30).astype(np.float32)
        query, segment = np.nonzero(~(self.minima > most[:, None]))
        pair, place = np.nonzero(~(self._segments(query, segment) > most[query, None]))
        query, column = query[pair], segment[pair] * SEGMENT + place
        once = column < self.bounds.size
        return query[once], self.bounds.numbers[column[once]]

    def _segments(self, query: np.ndarray, segment: np.ndarray) -> np.ndarray:
        panel, place = np.divmod(segment, self.products.shape[2])
        segments: np.ndarray = self.products[panel, query, place]
        return segments


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


def _parts(features: np.ndarray) -> Iterator[Tensor]:
    """Yield copies of features as float32, `PATCHES` rows at a time."""
    for start in range(0, len(features), PATCHES):
        yield torch.from_numpy(np.array(features[start : start + PATCHES])).float()
