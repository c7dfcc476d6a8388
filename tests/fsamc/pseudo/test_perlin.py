from __future__ import annotations

import math

import numpy as np
import pytest

from fsamc.pseudo.perlin import perlin_noise


def rng(seed=0):
    return np.random.default_rng(seed)


def value_at(row, column, side, cells, angles):
    """The definition, pixel by pixel: a weighted sum over the four corners of the cell."""
    y, x = row * cells[0] / side, column * cells[1] / side
    total = 0.0
    for i in (math.floor(y), math.floor(y) + 1):
        for j in (math.floor(x), math.floor(x) + 1):
            gradient = math.cos(angles[i, j]), math.sin(angles[i, j])
            away = [1 - abs(y - i), 1 - abs(x - j)]
            weight = math.prod(6 * t**5 - 15 * t**4 + 10 * t**3 for t in away)
            total += weight * (gradient[0] * (y - i) + gradient[1] * (x - j))
    return math.sqrt(2) * total


@pytest.mark.parametrize(("side", "cells"), [(24, (4, 8)), (23, (4, 5)), (17, (1, 1)), (10, (32, 2))])
def test_the_noise_is_its_definition_whether_or_not_cells_divide_the_side(side, cells):
    noise = perlin_noise(side, cells, rng(3))
    angles = rng(3).uniform(0, 2 * math.pi, (cells[0] + 1, cells[1] + 1))
    slow = [[value_at(row, column, side, cells, angles) for column in range(side)] for row in range(side)]
    assert noise.shape == (side, side)
    np.testing.assert_allclose(noise, slow, atol=1e-12)
