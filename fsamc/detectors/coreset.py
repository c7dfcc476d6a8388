"""Exact greedy k-centre (farthest-first) coreset, lazily and in blocks (paper 3.2, 4.1.3; PatchCore, Algorithm 1).

The definition: a row's distance starts as its mean distance to the starting points and is then the smaller of that
and its distance to the nearest row chosen so far. The next row chosen is the one with the largest distance.

Distances only shrink, so an old distance is an upper bound. Each round takes the rows with the largest bounds and
brings only these up to date, with one matrix product per `SEGMENT` of the choices they have missed; a row that falls
below the smallest bound of the round, the level, needs no more of them. Farthest-first among the rest, as long as the
best is not below the level, is farthest-first among all: no row outside can overtake. A row whose bound never comes
to the top again is never looked at again, which leaves less than half of the products that an update of every row
for every choice would take.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from fsamc.detectors.good_images import PatchRows
from fsamc.seeds import numpy_generator, torch_generator

BLOCK = 4096  # rows brought up to date in a round
SEGMENT = 512  # choices per matrix product; these numbers change the time only
CHUNK = 2048  # rows per matrix product
GROUP = 64  # choices of which only the nearest is looked at first
NOISE = 4 * float(np.finfo(np.float32).eps)  # error of |a|^2 + |b|^2 - 2ab, as a share of |a|^2 + |b|^2
TOLERANCE = 1e-5  # relative error of a squared distance from which on it is computed again
SAMPLE = 4096  # rows among which the centre is one
SMALLEST, LARGEST = 2.0**-40, 2.0**50  # between which squares of distances are far from float32's ends
PAIRS = 16384  # differences of rows held at once


def choose_bank(
    features: PatchRows,
    *,
    count: int,
    projection: int,
    starts: int,
    seed: int,
    candidates: int | None = None,
    device: str = "cpu",
) -> np.ndarray:
    """Which patches make the bank (paper 4.1.3).

    Args:
        features: float32 or float16 [N, D], may be memory-mapped.
        count: how many rows, 1 to N, and no more than there are candidates.
        projection: channels of the Gaussian random projection in which distances are compared.
        starts: random rows whose mean distance decides the first choice.
        seed: changes the projection, the starting rows and the candidates.
        candidates: rows that are drawn beforehand, among which the bank is chosen; all by default.
        device: where the arithmetic runs, `cpu` or `cuda`.

    Returns:
        int64 [K], row numbers in order of choice.

    Raises:
        ValueError: `count` is outside 1..N.
    """
    channels = features.shape[1]
    drawn = _candidates(len(features), candidates, seed)
    n = len(features) if drawn is None else len(drawn)
    gaussian = torch.randn(channels, projection, generator=torch_generator(seed, "coreset projection"))
    matrix = (gaussian / projection**0.5).to(device)
    points = torch.empty(n, projection, device=device)
    for begin in range(0, n, PAIRS):
        rows = slice(begin, begin + PAIRS)
        part = torch.from_numpy(np.array(features[rows if drawn is None else drawn[rows]], dtype=np.float32))
        torch.mm(part.to(device), matrix, out=points[rows])
    first = numpy_generator(seed, "coreset starts").choice(n, size=min(starts, n), replace=False)
    chosen = greedy_coreset(points, count, first)
    return chosen if drawn is None else drawn[chosen]


def _candidates(rows: int, count: int | None, seed: int) -> np.ndarray | None:
    """Draw `count` of so many rows, int64 ascending; None for all of them, where there are no more."""
    if count is None or count >= rows:
        return None
    return np.sort(numpy_generator(seed, "coreset candidates").choice(rows, size=count, replace=False))


def greedy_coreset(points: Tensor | np.ndarray, count: int, starts: np.ndarray, *, block: int = BLOCK) -> np.ndarray:
    """Farthest-first choice of `count` rows, in order of choice.

    Where distances are equal the lower row number comes first; where they agree to 1e-5 either may. No row comes
    twice, not even when all that is left are duplicates.

    Args:
        points: float32 [N, D]; a tensor is worked on where it lies.
        count: how many rows, 1 to N.
        starts: int [S], the rows whose mean distance is the initial distance. They are not chosen by that.
        block: rows brought up to date in a round; changes the time only.

    Returns:
        int64 [count].

    Raises:
        ValueError: `count` is outside 1..N, `starts` is empty or outside 0..N-1, or a point is not finite.
    """
    if isinstance(points, np.ndarray):
        points = torch.from_numpy(np.require(points, np.float32, "W"))
    rows = points.detach().float()
    first = np.asarray(starts, dtype=np.int64)
    if rows.ndim != 2 or not 1 <= count <= len(rows):
        raise ValueError(f"expected points [N, D] and a count in 1..N, found {tuple(rows.shape)} and {count}")
    if first.ndim != 1 or not len(first) or first.min() < 0 or first.max() >= len(rows):
        raise ValueError(f"expected one or more starts in 0..{len(rows) - 1}, found {first.tolist()}")
    largest = float(torch.stack(rows.aminmax()).abs().max())
    if not math.isfinite(largest):
        raise ValueError("expected finite points, found NaN or infinity")
    search = _FarthestFirst(_within_range(rows, largest), count, torch.from_numpy(first))
    while search.done < count:
        search.play_round(block)
    return search.chosen


def _within_range(rows: Tensor, largest: float) -> Tensor:
    """Scale rows by a power of two, which changes no choice, where float32 does not hold the squares of distances."""
    if largest == 0 or SMALLEST < largest < LARGEST:
        return rows
    halvings = math.frexp(largest)[1]
    return rows.ldexp(torch.tensor(-(halvings // 2))).ldexp(torch.tensor(-(halvings - halvings // 2)))


class _Rows(NamedTuple):
    """Some of the points [n, D], less the centre [n, D], and the squared norms of these [n]; float32."""

    points: Tensor
    centred: Tensor
    norms: Tensor

    def at(self, places: np.ndarray) -> _Rows:
        """Copy those at these places, int64 [m]."""
        index = torch.from_numpy(places).to(self.points.device)
        return _Rows(*(one.index_select(0, index) for one in self))


class _FarthestFirst:
    """A choice under way. Distances are squared, float32.

    Attributes:
        chosen: int64 [count], the first `done` are valid.
        choices: these points. The rest are infinitely far from everything.
        bounds: [N], upper bounds of the distances to the nearest choice; -inf for a row that is chosen.
        seen: int64 [N], how many choices each bound takes into account.
    """

    def __init__(self, points: Tensor, count: int, starts: Tensor) -> None:
        self.points = points
        # Small numbers have small rounding errors. A row of the data as the centre keeps integers integers.
        some = points[:: -(-len(points) // SAMPLE)]
        self.centre = some[(some - points.mean(dim=0)).square().sum(dim=1).argmin()]
        self.bounds = _initial_distances(points, starts)
        self.seen = np.zeros(len(points), dtype=np.int64)
        self.chosen = np.zeros(count, dtype=np.int64)
        blank = points.new_zeros(count + GROUP, points.shape[1])
        self.choices = _Rows(blank, blank.clone(), points.new_full((len(blank),), torch.inf))
        self.scratch = points.new_empty(CHUNK * SEGMENT)
        self.done = 0

    def play_round(self, block: int) -> None:
        """Choose at least one row, or lower at least one bound."""
        numbers, level, outside = self._largest_bounds(min(block, len(self.bounds) - self.done))
        points = self.points.index_select(0, torch.from_numpy(numbers).to(self.points.device))
        centred = points - self.centre
        rows = _Rows(points, centred, centred.square().sum(dim=1))
        self._refresh(numbers, rows, level)
        high = np.flatnonzero(self.bounds[numbers] >= level)
        if len(high):
            self._choose(numbers[high], rows.at(high), level, outside)

    def _largest_bounds(self, size: int) -> tuple[np.ndarray, float, int]:
        """Return the `size` first rows by (bound, row number), sorted by number.

        Also the smallest bound among them, the level, and the first row outside whose bound is the level (N if none).
        """
        level = np.partition(self.bounds, -size)[-size]
        reach = np.flatnonzero(self.bounds >= level)
        if len(reach) == size:
            return reach, level, len(self.bounds)
        tied = reach[self.bounds[reach] == level]
        outside = tied[len(tied) - (len(reach) - size)]
        return reach[(self.bounds[reach] > level) | (reach < outside)], level, int(outside)

    def _refresh(self, numbers: np.ndarray, rows: _Rows, level: float) -> None:
        """Lower the bounds of `rows` by the choices they have missed, each until it is true or below the level."""
        seen, bounds = self.seen[numbers], self.bounds[numbers]
        for begin in range(seen.min(), self.done, SEGMENT):
            end = min(begin + SEGMENT, self.done)
            behind = np.flatnonzero((seen < end) & (bounds >= level) & (bounds > 0))
            for start in range(0, len(behind), CHUNK):
                part = behind[start : start + CHUNK]
                bounds[part] = self._lowered(bounds[part], rows, part, begin, end)
            seen[behind] = end
        self.seen[numbers], self.bounds[numbers] = seen, bounds

    def _lowered(self, bounds: np.ndarray, rows: _Rows, part: np.ndarray, begin: int, end: int) -> np.ndarray:
        """Lower the bounds of a part of `rows` to their distances to the nearest of the choices begin..end-1."""
        index = torch.from_numpy(part).to(rows.norms.device)
        centred, norms = rows.centred.index_select(0, index), rows.norms.index_select(0, index)
        width = -(-(end - begin) // GROUP) * GROUP
        choices = _Rows(*(one[begin : begin + width] for one in self.choices))
        apart = self.scratch[: len(bounds) * width].view(len(bounds), width)
        torch.addmm(choices.norms, centred, choices.centred.T, alpha=-2, out=apart)
        groups = apart.view(len(bounds), -1, GROUP)
        smallest = groups.amin(dim=2)
        nearest = smallest.amin(dim=1)
        upper, distances = torch.from_numpy(bounds).to(apart.device), nearest + norms
        noise = NOISE * (norms + choices.norms[: end - begin].max())
        close = ((distances < noise / TOLERANCE) & (distances < upper + noise)).nonzero()[:, 0]
        if len(close):
            reach = (nearest + 2 * noise)[close, None]
            row, group = (smallest[close] <= reach).nonzero(as_tuple=True)
            pair, choice = (groups[close[row], group] <= reach[row]).nonzero(as_tuple=True)
            row, choice = row[pair], group[pair] * GROUP + choice
            exact = _difference(rows.points, index[close[row]], choices.points, choice)
            distances[close] = torch.full_like(noise[close], torch.inf).scatter_reduce(0, row, exact, "amin")
        return torch.minimum(upper, distances).cpu().numpy()

    def _choose(self, numbers: np.ndarray, rows: _Rows, level: float, outside: int) -> None:
        """Farthest-first among `rows`, whose bounds are true, while no row outside can come before."""
        apart = torch.addmm(rows.norms, rows.centred, rows.centred.T, alpha=-2)
        apart.add_(rows.norms[:, None]).fill_diagonal_(torch.inf)
        between, sizes, distances = apart.cpu().numpy(), rows.norms.cpu().numpy(), self.bounds[numbers]
        picks: list[int] = []
        while self.done + len(picks) < len(self.chosen):
            pick = int(distances.argmax())
            if distances[pick] < level or (distances[pick] == level and numbers[pick] > outside):
                break
            noise = NOISE * (sizes + sizes[pick])
            may_shrink = (between[pick] <= distances + noise) & (distances > 0)
            close = np.flatnonzero((between[pick] < noise / TOLERANCE) & may_shrink)
            if len(close):
                others = torch.from_numpy(close).to(apart.device)
                exact = _difference(rows.points, others, rows.points, torch.full_like(others, pick))
                between[pick, close] = exact.cpu().numpy()
            np.minimum(distances, between[pick], out=distances)
            distances[pick] = -np.inf
            picks.append(pick)
        now = slice(self.done, self.done + len(picks))
        self.chosen[now] = numbers[picks]
        for choice, row in zip(self.choices, rows.at(np.array(picks, dtype=np.int64)), strict=True):
            choice[now] = row
        self.done += len(picks)
        self.bounds[numbers], self.seen[numbers] = distances, self.done


def _difference(left: Tensor, rows: Tensor, right: Tensor, others: Tensor) -> Tensor:
    """Squared norms of differences left[rows] - right[others]: slow, and right for near-duplicates far from 0."""
    pairs = zip(rows.split(PAIRS), others.split(PAIRS), strict=True)
    return torch.cat([(left[a] - right[b]).square_().sum(dim=1) for a, b in pairs])


def _initial_distances(points: Tensor, starts: Tensor) -> np.ndarray:
    """Squared means of the distances to the starting points, float32 [N].

    Roots and squares in double precision: the distance to a single start is again what it was before the root.
    """
    wide = points[starts].double()
    direct = "donot_use_mm_for_euclid_dist"
    means = [torch.cdist(part.double(), wide, compute_mode=direct).mean(dim=1) for part in points.split(PAIRS)]
    squares: np.ndarray = torch.cat(means).square().float().cpu().numpy()
    return squares
