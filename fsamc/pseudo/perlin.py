"""Perlin's gradient noise on a square of any side (Perlin: Improving noise, 2002), as in the authors' program."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Noise = NDArray[np.float64]


def perlin_noise(side: int, cells: tuple[int, int], rng: np.random.Generator) -> Noise:
    """Draw smooth noise, float64 [side, side], between -1 and 1, and 0 wherever a pixel lies on a corner of a cell.

    Each corner has a random unit gradient. A pixel's value is the mean of what the gradients of its cell's corners
    predict, weighted by a quintic fade, times the square root of 2, which makes the range what it is.

    Args:
        side: pixels; the cells need not divide it.
        cells: how many there are down and across.
        rng: draws the gradients.
    """
    angles = rng.uniform(0.0, 2.0 * np.pi, (cells[0] + 1, cells[1] + 1))
    downward, rightward = np.cos(angles), np.sin(angles)
    row, y = _cells(side, cells[0])
    column, x = _cells(side, cells[1])

    def predicted(down: int, right: int) -> Noise:
        corner = np.ix_(row + down, column + right)
        return downward[corner] * (y - down)[:, None] + rightward[corner] * (x - right)

    across, along = _fade(x), _fade(y)[:, None]
    top, bottom = (_between(predicted(down, 0), predicted(down, 1), across) for down in (0, 1))
    return np.sqrt(2.0) * _between(top, bottom, along)


def _cells(side: int, count: int) -> tuple[NDArray[np.intp], Noise]:
    """Return of each pixel along a side of `count` cells its cell, and how far into it it lies, in [0, 1)."""
    scaled = np.arange(side) * count
    return scaled // side, scaled % side / side


def _fade(t: Noise) -> Noise:
    """Return 6t^5 - 15t^4 + 10t^3, whose first two derivatives vanish at 0 and 1: no cell shows its edges."""
    return t * t * t * (t * (6.0 * t - 15.0) + 10.0)


def _between(start: Noise, end: Noise, weight: Noise) -> Noise:
    return start + weight * (end - start)
