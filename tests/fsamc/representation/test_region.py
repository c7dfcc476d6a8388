from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, label

from fsamc.config.representation import Representation
from fsamc.representation.region import anomalous_patches, masked_patches, profiles, ranked, stable_count


def floats(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float32)


@pytest.mark.parametrize(
    ("settings", "distances", "places", "weights"),
    [
        ({"patches": 2, "weights": "uniform"}, [3, 1, 6, 2], [2, 0], [1 / 2, 1 / 2]),
        ({"patches": 2}, [3, 1, 6, 2], [2, 0], [4 / 5, 1 / 5]),  # beyond the distance 2 of the third
        ({"patches": 1}, [3, 1, 6, 2], [2], [1]),
        ({"patches": 2}, [5, 5, 5, 5], [0, 1], [1 / 2, 1 / 2]),  # no excess, and ties go to the lower patch
        ({"patches": 3}, [1, 7, 7, 7], [1, 2, 3], [1 / 3, 1 / 3, 1 / 3]),
        ({"patches": 1}, [1, 7, 7, 7], [1], [1]),
        ({"patches": 4}, [3, 1, 6, 2], [2, 0, 3, 1], [1 / 4] * 4),  # all: there is no next one to exceed
        ({"patches": 99}, [3, 1, 6, 2], [2, 0, 3, 1], [1 / 4] * 4),
        ({"patches": 0.5}, [3, 1, 6, 2], [2, 0], [4 / 5, 1 / 5]),
        ({"patches": 0.01}, [3, 1, 6, 2], [2], [1]),  # a share of the grid, and one at least
    ],
)
def test_the_most_anomalous_patches_by_hand(settings: dict[str, Any], distances, places, weights):
    """The second image has the same distances one up and three times as far: nothing changes but the places."""
    both = floats(distances, [3 * one for one in distances])
    chosen, share = anomalous_patches(both, Representation(**settings))
    assert chosen.tolist() == [places, places]
    np.testing.assert_allclose(share, [weights, weights], rtol=1e-6)
    assert share.dtype == np.float32


@pytest.mark.parametrize(("patches", "count"), [(40, 40), (1000, 784), (0.05, 39), (0.999, 783), (1e-6, 1), (1, 1)])
def test_a_number_of_patches_or_a_share_of_the_grid(patches, count):
    assert Representation(patches=patches).count(784) == count


def test_ranks_grow_geometrically():
    """Of 784 patches: the powers 784^(i/7), rounded down, for i from 0 to 6."""
    distances = np.random.default_rng(0).permutation(784).astype(np.float32)[None]
    assert ranked(distances).tolist() == [[784.0 - rank for rank in (1, 2, 6, 17, 45, 116, 302)]]
    assert ranked(floats([3, 1, 6, 2])).tolist() == [[6, 6, 6, 6, 3, 3, 2]]  # 4^(i/7): 1, 1, 1, 1, 2, 2, 3


def test_a_profile_by_hand():
    """Mean variance 4, so deviations are counted in units of 2."""
    covariance = floats([3, 1], [1, 5])
    found = profiles(floats([0, 2, 6]), covariance)
    np.testing.assert_allclose(found, [[0, math.log(2), math.log(4)]], rtol=1e-6)
    assert found.dtype == np.float32


def test_profiles_are_finite_where_normal_patches_never_vary():
    found = profiles(floats([0, 1]), np.zeros((2, 2), np.float32))
    np.testing.assert_allclose(found, [[0, math.log(2)]], rtol=1e-6)


def test_masked_patches_by_hand():
    places, weights = masked_patches(floats([0, 1, 0.5, 0.5], [1, 1, 1, 1]))
    assert places.tolist() == [[0, 1, 2, 3]] * 2
    assert weights.tolist() == [[0, 0.5, 0.25, 0.25], [0.25] * 4]


def spread(*rows: list[float]) -> np.ndarray:
    """One anomaly map, as distances [1, P]."""
    return floats(*rows).reshape(1, -1)


def test_the_longest_stable_number_of_regions_by_hand():
    """Two regions from 7 to 2, growing by 6 and 3; before them one, from 9 to 7; after them three."""
    grid = np.array([[9, 8, 0, 2], [0, 1, 0, 0], [0, 0, 3, 7], [0, 0, 0, 6]], np.float32)
    assert stable_count(grid, 8) == 5
    assert stable_count(grid, 3) == 2, "where three patches are the most, two regions last from 7 to 6 alone"
    one_peak = np.array([[9, 8, 7], [0, 1, 0], [0.5, 0, 1.5]], np.float32)
    assert stable_count(one_peak, 8) == 3, "one region from 9 to 1.5, then a second"


def test_ties_and_flat_maps_have_a_region():
    assert stable_count(np.full((3, 3), 2.0), 4) in range(1, 5)
    _, weights = anomalous_patches(np.full((2, 9), 2.0, np.float32), Representation(patches="stable"))
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-6)


def slowly_stable(grid: np.ndarray, most: int) -> float:
    """The threshold at the lower end of the longest stretch, of a map without ties, by labelling at every threshold."""
    falling = np.sort(grid.ravel())[::-1][: most + 1]
    counts = [label(grid >= one)[1] for one in falling[:-1]]
    ends = [i for i in range(1, len(counts)) if counts[i] != counts[i - 1]] + [len(counts)]
    starts = [0, *ends[:-1]]
    best = max(range(len(ends)), key=lambda i: falling[starts[i]] - falling[ends[i]])
    return ends[best]


@pytest.mark.parametrize("seed", range(20))
def test_a_stable_count_is_that_of_labelling_at_every_threshold(seed):
    grid = gaussian_filter(np.random.default_rng(seed).random((8, 8)), seed % 3 / 2).astype(np.float32)
    assert stable_count(grid, 32) == slowly_stable(grid, 32)


def test_weights_of_a_stable_region_are_soft_and_zero_beyond_it():
    settings = Representation(patches="stable")
    places, weights = anomalous_patches(spread([9, 8, 7], [0, 1, 0], [0.5, 0, 1.5]), settings)
    assert places.tolist() == [[0, 1, 2, 8]]
    np.testing.assert_allclose(weights, [[7.5 / 19.5, 6.5 / 19.5, 5.5 / 19.5, 0]], rtol=1e-6)
    uniform = settings.model_copy(update={"weights": "uniform"})
    np.testing.assert_allclose(
        anomalous_patches(spread([9, 8, 7], [0, 1, 0], [0.5, 0, 1.5]), uniform)[1], [[1 / 3] * 3 + [0]]
    )
