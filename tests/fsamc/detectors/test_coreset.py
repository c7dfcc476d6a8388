from __future__ import annotations

import numpy as np
import pytest
import torch

from fsamc.detectors.coreset import choose_bank, greedy_coreset


def initial_distance(points: np.ndarray, starts: np.ndarray) -> np.ndarray:
    wide = points.astype(np.float64)
    return np.linalg.norm(wide[:, None] - wide[None, starts], axis=2).mean(axis=1)


def farthest_first(points: np.ndarray, count: int, starts: np.ndarray) -> np.ndarray:
    """The definition, one at a time: chosen rows masked, the lowest number on ties."""
    wide, distances, chosen = points.astype(np.float64), initial_distance(points, starts), []
    for _ in range(count):
        masked = distances.copy()
        masked[chosen] = -np.inf
        chosen.append(int(masked.argmax()))
        distances = np.minimum(distances, np.linalg.norm(wide - wide[chosen[-1]], axis=1))
    return np.array(chosen)


def assert_each_choice_is_the_farthest(points: np.ndarray, starts: np.ndarray, chosen: np.ndarray) -> None:
    """Replays the choices: each within 1e-5 of the largest distance given the ones before it, no row twice."""
    assert len(np.unique(chosen)) == len(chosen)
    wide, distances = points.astype(np.float64), initial_distance(points, starts)
    left = np.ones(len(points), dtype=bool)
    for pick in chosen:
        assert distances[pick] >= distances[left].max() * (1 - 1e-5)
        left[pick] = False
        distances = np.minimum(distances, np.linalg.norm(wide - wide[pick], axis=1))


def assert_right(points: np.ndarray, count: int, starts: np.ndarray, *, block: int = 64) -> None:
    points = points.astype(np.float32)
    chosen = greedy_coreset(points, count, starts, block=block)
    assert chosen.dtype == np.int64
    assert len(chosen) == count
    if not np.array_equal(chosen, farthest_first(points, count, starts)):
        assert_each_choice_is_the_farthest(points, starts, chosen)


def clusters(rng: np.random.Generator, n: int, dim: int, *, spread: float, apart: float) -> np.ndarray:
    centres = rng.normal(size=(5, dim)) * apart
    return centres[rng.integers(5, size=n)] + rng.normal(size=(n, dim)) * spread


@pytest.mark.parametrize("seed", range(15))
def test_random_points(seed):
    rng = np.random.default_rng(seed)
    n, dim = int(rng.integers(1, 900)), int(rng.integers(1, 40))
    count, starts = int(rng.integers(1, n + 1)), rng.integers(n, size=int(rng.integers(1, 11)))
    points = rng.normal(size=(n, dim)) * rng.uniform(0.01, 100) + rng.uniform(-10, 10)
    assert_right(points, count, starts, block=int(rng.choice([1, 7, 64, 4096])))


@pytest.mark.parametrize("block", [3, 4096])
@pytest.mark.parametrize(
    "case",
    [
        "duplicates",
        "all equal",
        "all equal, far from 0",
        "grid",
        "one line",
        "two values",
        "corners",
        "offset",
        "offset duplicates",
        "clusters",
        "tight clusters far apart",
        "near-duplicates far apart",
        "an outlier",
        "many rows of few kinds",
    ],
)
def test_adversarial_points(case, block):
    rng = np.random.default_rng(0)
    normal = rng.normal(size=(300, 8))
    points = {
        "duplicates": np.repeat(normal[:60], 5, axis=0),
        "all equal": np.full((200, 3), 0.1),
        "all equal, far from 0": np.full((200, 3), 12345.678),
        "grid": np.stack(np.meshgrid(range(7), range(7), range(7)), axis=-1).reshape(-1, 3),
        "one line": rng.permutation(400)[:, None],
        "two values": rng.integers(2, size=(250, 1)),
        "corners": np.stack(np.meshgrid(*[range(2)] * 8), axis=-1).reshape(-1, 8),
        "offset": normal + 1e4,
        "offset duplicates": np.tile(normal[:100] * 1e-2 + 1e4, (3, 1)),
        "clusters": clusters(rng, 400, 8, spread=0.1, apart=3.0),
        "tight clusters far apart": clusters(rng, 400, 8, spread=1e-3, apart=10.0),
        "near-duplicates far apart": clusters(rng, 400, 3, spread=2e-3, apart=1e4),
        "an outlier": np.concatenate([normal * 1e-3, np.full((1, 8), 1e3)]),
        "many rows of few kinds": normal[rng.integers(12, size=500)],
    }[case]
    for count in (1, len(points) // 3, len(points)):
        assert_right(points, count, np.array([0, 5, 17]), block=block)


def test_more_choices_than_one_product_takes():
    rng = np.random.default_rng(3)
    assert_right(rng.normal(size=(2500, 4)), 2000, np.arange(10), block=100)
    assert_right(clusters(rng, 2500, 4, spread=1e-4, apart=10.0), 2000, np.arange(10), block=2000)


def test_worked_example():
    points = np.array([[0.0], [1.0], [4.0], [10.0], [11.0]], dtype=np.float32)
    # Means of the distances to rows 0 and 1: 0.5 0.5 3.5 9.5 10.5, then 0.5 0.5 3.5 1, then 0.5 0.5 1: row 2 at 4
    # from 0 is never compared with the starts again, its distance stays the smaller initial one.
    assert greedy_coreset(points, 5, np.array([0, 1])).tolist() == [4, 2, 3, 0, 1]


def test_the_initial_distance_stays():
    points = np.array([[0.0], [3.0], [8.0]], dtype=np.float32)
    # Row 0 is the start: its initial distance 0 holds against the 3 and 8 to every row chosen.
    assert greedy_coreset(points, 3, np.array([0])).tolist() == [2, 1, 0]


@pytest.mark.parametrize("block", [1, 2, 9, 100, 4096])
def test_ties_go_to_the_lower_number_whatever_the_block(block):
    grid = np.stack(np.meshgrid(range(15), range(15)), axis=-1).reshape(-1, 2).astype(np.float32)
    points = np.random.default_rng(1).permutation(grid)[:211]
    expected = farthest_first(points, len(points), np.array([0]))
    assert np.array_equal(greedy_coreset(points, len(points), np.array([0]), block=block), expected)


def test_ties_do_not_widen_the_block():
    equal = np.ones((300_000, 1), dtype=np.float32)  # as one block they would need 360 GB
    assert greedy_coreset(equal, 150, np.array([7]), block=100).tolist() == list(range(150))


def test_what_is_left_of_duplicates_comes_in_order_of_its_numbers():
    points = np.repeat(np.array([[0.0], [5.0]], dtype=np.float32), 100, axis=0)
    chosen = greedy_coreset(points, 200, np.array([0]), block=16)
    assert chosen.tolist() == [100, *range(100), *range(101, 200)]


def test_a_smaller_count_is_a_prefix():
    points = np.random.default_rng(4).normal(size=(2000, 8)).astype(np.float32)
    whole = greedy_coreset(points, 2000, np.arange(10))
    for count in (1, 10, 513, 1999):
        assert np.array_equal(greedy_coreset(points, count, np.arange(10)), whole[:count])


def test_numpy_and_torch_agree_and_the_points_stay_as_they_are():
    points = np.random.default_rng(6).normal(size=(300, 8)).astype(np.float32)
    before = points.copy()
    chosen = greedy_coreset(torch.from_numpy(points), 50, np.arange(3))
    assert np.array_equal(chosen, greedy_coreset(points, 50, np.arange(3)))
    assert np.array_equal(points, before)


@pytest.mark.parametrize("count", [0, -1, 11])
def test_a_count_outside_the_rows_is_refused(count):
    with pytest.raises(ValueError, match=r"count in 1\.\.N"):
        greedy_coreset(np.zeros((10, 2), dtype=np.float32), count, np.array([0]))


@pytest.mark.parametrize("starts", [[], [10], [-1], [[0]]])
def test_starts_outside_the_rows_are_refused(starts):
    with pytest.raises(ValueError, match=r"starts in 0\.\.9"):
        greedy_coreset(np.zeros((10, 2), dtype=np.float32), 1, np.array(starts, dtype=np.int64))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_points_that_are_not_finite_are_refused(value):
    points = np.zeros((10, 2), dtype=np.float32)
    points[4, 1] = value
    with pytest.raises(ValueError, match="finite"):
        greedy_coreset(points, 1, np.array([0]))


class TestChooseBank:
    features = np.random.default_rng(7).normal(size=(400, 30)).astype(np.float16)

    def choose(self, *, seed=1, starts=10):
        return choose_bank(self.features, count=40, projection=8, starts=starts, seed=seed)

    def test_the_seed_decides_the_choice(self):
        assert np.array_equal(self.choose(), self.choose())
        assert not np.array_equal(self.choose(), self.choose(seed=2))

    def test_more_starts_than_rows_are_all_rows(self):
        assert np.array_equal(self.choose(starts=400)[:5], self.choose(starts=1000)[:5])

    def test_half_precision_is_read_as_it_is(self):
        wide = choose_bank(self.features.astype(np.float32), count=40, projection=8, starts=10, seed=1)
        assert np.array_equal(self.choose(), wide)


@pytest.mark.parametrize("scale", [1e25, 3e37, 1e-25, 1e-38, 2.0**60])
def test_points_of_any_finite_size_are_chosen_as_small_ones_are(scale):
    points = np.random.default_rng(0).standard_normal((200, 8)).astype(np.float32)
    chosen = greedy_coreset((points * np.float32(scale)).astype(np.float32), 60, np.array([0, 5]))
    assert len(set(chosen.tolist())) == 60
    if scale == 2.0**60:
        assert chosen.tolist() == greedy_coreset(points, 60, np.array([0, 5])).tolist()


def test_one_point_far_beyond_the_others_is_chosen_first_and_none_twice():
    points = np.random.default_rng(0).standard_normal((100, 8)).astype(np.float32)
    points[70] = 1e25
    chosen = greedy_coreset(points, 100, np.array([0]))
    assert chosen[0] == 70
    assert sorted(chosen.tolist()) == list(range(100))
