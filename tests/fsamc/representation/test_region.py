from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from fsamc.config.representation import Representation
from fsamc.representation.region import anomalous_patches, masked_patches, profiles, ranked


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
