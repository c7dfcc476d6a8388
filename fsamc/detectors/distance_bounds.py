"""Lower bounds of the distances between queries and the rows of a bank, by one matrix product.

In an orthonormal basis whose first k axes are the principal ones of the bank, with a* the first k coordinates of a and
|a°| the norm of the others,

    |a - b|² >= |a* - b*|² + (|a°| - |b°|)²

so a product of k + 1 coordinates bounds the distances of all channels. The product may be in bfloat16, which processors
with matrix units multiply ten times as fast: with the coordinates rounded to â and b̂, by the triangle inequality,

    |a - b| >= |â - b̂| - |a - â| - |b - b̂|

where the last two are computed, not estimated. Products of bfloat16 numbers are exact in float32 and are summed there.
Coordinates themselves are float32, and how far rounding may have moved them is bounded for each row.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

SAMPLE = 2048  # rows that the principal axes are computed from; these numbers change the time only
ITERATIONS = 3  # of the subspace iteration that computes them
PANEL = 1024  # rows per matrix product, about
SEGMENT = 64  # rows that are passed over together where the smallest of their products is out of reach
PATCHES = 256  # patches in float32 held at once: so few stay in a core's cache
CHANNELS = 128  # channels that are summed apart: a sum of n terms has a rounding error of n
ROUNDING = 2.0**-24  # relative error of one float32 operation
COARSE = 2.0**-7  # relative error of a sum that was rounded to bfloat16, with one bit to spare
TINY = 2.0**-56  # more than underflow takes from the norm of a row
BEYOND = 2.0**100  # squared distances above it may have overflowed


def bfloat16_is_fast() -> bool:
    """Whether the processor multiplies matrices of bfloat16 in hardware (AMX)."""
    return bool(torch.cpu.get_capabilities().get("amx_bf16", False))


class Bounds:
    """Lower bounds of the distances to some rows of a bank, up to rounding errors, which are bounded as well.

    Args:
        bank: [K, D].
        numbers: int64 [n], ascending, which of its rows.
        axes: how many principal axes; None for all channels.
        coarse: multiply in bfloat16, not in float32.

    Attributes:
        size: n.
        numbers: as given, the last repeated until panels of equal width are full.
        panels: [p, width, c], the row's coordinates times -2, the sum of their squares, and ones.
    """

    def __init__(self, bank: np.ndarray, numbers: np.ndarray, axes: int | None = None, coarse: bool = False) -> None:
        rows, self.size, self.coarse = bank[numbers], len(numbers), coarse
        count = -(-len(rows) // PANEL)
        width = -(-len(rows) // (count * SEGMENT)) * SEGMENT
        self.numbers = np.append(numbers, np.full(count * width - len(rows), numbers[-1]))
        sums = [part.sum(dim=0, dtype=torch.float64) for part in _parts(rows)]
        self.centre = (torch.stack(sums).sum(dim=0) / len(rows)).float()
        largest = max(float((part - self.centre).abs().max()) for part in _parts(rows))
        self.unit = 2.0 ** int(np.frexp(largest)[1]) if 0 < largest < np.inf else 1.0
        self.margin = 1e-3 + 4 * rows.shape[1] * ROUNDING
        self.axes = None if axes is None else self._principal_axes(rows, axes)
        coordinates, squares, apart = self._coordinates(rows)
        self.apart = float(apart.max())
        # n products and their sum have n rounding errors, each a share of at most 2|a|² + 2|b|²; the others are few.
        self.noise = (coordinates.shape[1] + 16) * ROUNDING
        pieces = self._pieces(squares)
        panels = torch.cat([-2 * coordinates, pieces, torch.ones_like(pieces)], dim=1)
        padding = panels[-1:].expand(len(self.numbers) - len(rows), -1)
        self.panels = torch.cat([panels, padding]).view(count, width, -1)

    def compare(self, queries: np.ndarray) -> Products:
        """Bound the distances of queries float32 [m, D]."""
        coordinates, squares, apart = self._coordinates(queries)
        pieces = self._pieces(squares)
        extended = torch.cat([coordinates, torch.ones_like(pieces), pieces], dim=1).T
        count, width, _ = self.panels.shape
        products = torch.empty(count, width // SEGMENT, SEGMENT, len(queries), dtype=self.panels.dtype)
        # Of numbers that are not negative the bits are ordered as the numbers, and as integers they compare faster.
        ordered = products.view(torch.int16) if self.coarse else products
        smallest = torch.empty(count, width // SEGMENT, len(queries), dtype=ordered.dtype)
        for number, panel in enumerate(self.panels):
            torch.mm(panel, extended, out=products[number].view(width, len(queries)))
            torch.amin(ordered[number], dim=1, out=smallest[number])
        return Products(self, ordered.numpy(), smallest.flatten(0, 1).numpy(), apart.numpy())

    def _principal_axes(self, rows: np.ndarray, count: int) -> Tensor:
        """Approximate the first principal axes by subspace iteration: orthonormal float32 [D, count]."""
        some = rows[:: -(-len(rows) // SAMPLE)]
        sample = torch.cat([(part - self.centre) / self.unit for part in _parts(some)])
        axes = sample[:count].T
        for _ in range(ITERATIONS):
            axes = torch.linalg.qr(sample.T @ (sample @ axes)).Q
        return torch.linalg.qr(axes.double()).Q.float()

    def _coordinates(self, features: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        """Return the first coordinates of features and the norm of the others, as they are multiplied, [n, k + 1].

        Without axes all coordinates, [n, D]. Also the sums of their squares, and how far they are at most from where
        exact arithmetic puts them, float64 [n].
        """
        coordinates, apart = [], []
        for part in _parts(features):
            centred = part.sub_(self.centre).div_(self.unit)
            computed, moved = (centred, 0.0) if self.axes is None else _projected(centred, self.axes)
            coordinates.append(computed.bfloat16() if self.coarse else computed)
            rounded = torch.linalg.vector_norm(computed - coordinates[-1], dim=1).double()
            apart.append((rounded + moved) * (1 + self.margin))
        together = torch.cat(coordinates)
        return together, _sums_of_squares(together), torch.cat(apart)

    def _pieces(self, squares: Tensor) -> Tensor:
        """Return sums of squares [n], less what rounding may add, as terms [n, 1 or 3] in the product's precision."""
        rest = (squares * (1 - 4 * self.noise)).float()
        if not self.coarse:
            return rest[:, None]
        pieces = []
        for _ in range(3):
            pieces.append(rest.bfloat16())
            rest = rest - pieces[-1].float()
        return torch.stack(pieces, dim=1)


class Products:
    """What the bounds say of some queries.

    Args:
        bounds: whose they are.
        products: [p, s, `SEGMENT`, m], |a - b|² of each query a and row b: float32, or the bits of bfloat16 as int16.
        minima: [p * s, m], the smallest of each segment.
        apart: float64 [m], how far rounding moved the queries.
    """

    def __init__(self, bounds: Bounds, products: np.ndarray, minima: np.ndarray, apart: np.ndarray) -> None:
        self.bounds, self.products, self.minima, self.apart = bounds, products, minima, apart

    def smallest(self) -> np.ndarray:
        """Return the number of the row with each query's smallest bound, int64 [m]."""
        segment = self.minima.argmin(axis=0)
        place = self._segments(segment, np.arange(len(segment))).argmin(axis=1)
        return self.bounds.numbers[segment * SEGMENT + place]

    def reach(self, distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the pairs of a query and the number of a row that may be no farther away than float32 [m].

        The pairs come in the order of the queries.
        """
        most = self._largest(distances.astype(np.float64) / self.bounds.unit)
        query, segment = np.nonzero(~(most[:, None] < self.minima.T))
        pair, place = np.nonzero(~(self._segments(segment, query) > most[query, None]))
        query, column = query[pair], segment[pair] * SEGMENT + place
        once = column < self.bounds.size
        return query[once], self.bounds.numbers[column[once]]

    def _largest(self, distances: np.ndarray) -> np.ndarray:
        """Return the largest product that rows at these distances can have, float32 or int16 [m]."""
        with np.errstate(over="ignore"):
            moved = distances + self.apart + self.bounds.apart
            most = (np.square(moved) * (1 + self.bounds.margin) + 1e-30).astype(np.float32)
            if not self.bounds.coarse:
                return most
            bits = ((most * np.float32(1 + COARSE)).view(np.int32) >> 16) + 1
        return np.where(most < BEYOND, bits, np.iinfo(np.int16).max).astype(np.int16)

    def _segments(self, segment: np.ndarray, query: np.ndarray) -> np.ndarray:
        panel, place = np.divmod(segment, self.products.shape[1])
        segments: np.ndarray = self.products[panel, place, :, query]
        return segments


def _projected(centred: Tensor, axes: Tensor) -> tuple[Tensor, Tensor]:
    """Return coordinates on the axes and the norm of what is left, [n, k + 1], and how far they may be off, [n].

    With e the error of the coordinates of x, what is left is the root of |x|² - |x*|², whose error is at most
    2|x|e + e² and that of the sums; of a root it is at most the error's root, and the error over the root.
    """
    first, squares = centred.new_zeros(len(centred), axes.shape[1]), centred.new_zeros(len(centred))
    for part, of_axes in zip(centred.split(CHANNELS, dim=1), axes.split(CHANNELS), strict=True):
        first.addmm_(part, of_axes)
        squares += part.square().sum(dim=1)
    left = (squares - first.square().sum(dim=1)).clamp_(min=0).sqrt_()
    norm = squares.double().sqrt()
    terms = CHANNELS + centred.shape[1] / CHANNELS + 4
    moved = terms * ROUNDING * axes.shape[1] ** 0.5 * norm
    error = 2 * norm * moved + moved**2 + 2 * (terms + axes.shape[1]) * ROUNDING * norm**2
    moved = moved + torch.minimum(error.sqrt(), error / left.double().clamp(min=TINY)) + TINY
    return torch.cat([first, left[:, None]], dim=1), moved


def _sums_of_squares(features: Tensor) -> Tensor:
    """Sum the squares of each row in double precision, `PATCHES` rows at a time."""
    return torch.cat([part.double().square_().sum(dim=1) for part in features.split(PATCHES)])


def _parts(features: np.ndarray) -> Iterator[Tensor]:
    """Yield copies of features as float32, `PATCHES` rows at a time."""
    for start in range(0, len(features), PATCHES):
        yield torch.from_numpy(np.array(features[start : start + PATCHES])).float()
