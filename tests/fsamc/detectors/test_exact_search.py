"""Search that skips, beside the norms of all differences: the same distances and numbers, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fsamc.detectors import distance_bounds, exact_search
from fsamc.detectors.distance_bounds import Bounds
from fsamc.detectors.exact_search import ExactSearch


def by_definition(queries: np.ndarray, bank: np.ndarray, precision=np.float32) -> tuple[np.ndarray, np.ndarray]:
    rows = bank.astype(precision)
    apart = np.stack([np.linalg.norm(query - rows, axis=1) for query in queries.astype(precision)])
    return apart.min(axis=1), apart.argmin(axis=1)


def smooth(seed: int, n: int, dim: int, decay: float = 0.1) -> np.ndarray:
    """Rows whose variance lies in few directions, as that of patches does."""
    generator = np.random.default_rng(seed)
    turn = np.linalg.qr(np.random.default_rng(99).normal(size=(dim, dim)))[0]
    return ((generator.normal(size=(n, dim)) * np.exp(-decay * np.arange(dim))) @ turn).astype(np.float32)


def copies(rows: np.ndarray, times: int) -> np.ndarray:
    return np.random.default_rng(5).permutation(np.repeat(rows, times, axis=0))


def jittered(rows: np.ndarray, by: float) -> np.ndarray:
    noise = np.random.default_rng(6).normal(size=rows.shape) * by
    return np.concatenate([rows, rows + noise]).astype(np.float32)


def on_a_sphere(n: int, dim: int) -> np.ndarray:
    rows = np.random.default_rng(7).normal(size=(n, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


CASES = {
    "smooth": (smooth(0, 90, 64), smooth(1, 700, 64)),
    "half precision": (smooth(0, 90, 64).astype("f2"), smooth(1, 700, 64).astype("f2")),
    "isotropic": (smooth(0, 90, 64, 0.0), smooth(1, 700, 64, 0.0)),
    "rows of the bank": (smooth(1, 700, 64)[::-7], smooth(1, 700, 64)),
    "duplicates": (smooth(0, 90, 64), copies(smooth(1, 70, 64), 10)),
    "duplicates and queries among them": (smooth(1, 70, 64), copies(smooth(1, 70, 64), 10)),
    "near-duplicates far from 0": (
        jittered(smooth(1, 60, 64) + 1e3, 1e-3)[::2],
        jittered(smooth(1, 300, 64) + 1e3, 1e-3),
    ),
    "one row many times": (smooth(0, 9, 64), np.repeat(smooth(1, 1, 64), 500, axis=0)),
    "one row, and queries that are it": (np.ones((5, 64), "f4"), np.ones((500, 64), "f4")),
    "equidistant": (np.zeros((3, 64), "f4"), on_a_sphere(600, 64)),
    "integers, many ties": tuple(
        np.random.default_rng(s).integers(0, 2, (n, 20)).astype("f4") for s, n in ((3, 80), (4, 600))
    ),
    "a row far off": (smooth(0, 90, 64), np.concatenate([smooth(1, 700, 64), np.full((1, 64), 1e6, "f4")])),
    "a query far off": (np.full((2, 64), 1e6, "f4"), smooth(1, 700, 64)),
    "a single row": (smooth(0, 5, 64), smooth(1, 1, 64)),
    "a single channel": (smooth(0, 90, 1), smooth(1, 700, 1)),
    "fewer channels than axes": (smooth(0, 90, 7), smooth(1, 700, 7)),
    "fewer rows than axes": (smooth(0, 90, 256), smooth(1, 30, 256)),
    "a constant channel": (smooth(0, 90, 64) * (np.arange(64) != 3), smooth(1, 700, 64) * (np.arange(64) != 3)),
}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=[False, True], ids=["float32", "bfloat16"])
def coarse(request):
    return request.param


@pytest.mark.parametrize("case", CASES)
def test_distances_and_numbers_are_those_of_all_differences(case, coarse):
    queries, bank = CASES[case]
    distances, indices = ExactSearch(bank, coarse)(queries)
    expected_distances, expected_indices = by_definition(queries, bank)
    assert np.array_equal(indices, expected_indices)
    assert np.array_equal(distances, expected_distances)


@pytest.mark.parametrize("scale", [1e-38, 1e-30, 1e-20, 1e18, 1e30])
def test_numbers_whose_squares_float32_does_not_hold(scale, coarse):
    queries, bank = ((part * np.float32(scale)).astype("f4") for part in (smooth(0, 90, 64), smooth(1, 700, 64)))
    distances, indices = ExactSearch(bank, coarse)(queries)
    expected_distances, expected_indices = by_definition(queries, bank, np.float64)
    assert np.array_equal(indices, expected_indices)
    np.testing.assert_allclose(distances, expected_distances, rtol=1e-6)


@pytest.mark.parametrize("decay", [0.0, 0.02, 0.2])
def test_no_bound_is_above_the_distance(decay, coarse):
    queries, bank = smooth(0, 40, 128, decay), smooth(1, 900, 128, decay)
    for axes in (1, 8, 32, None):
        within = Bounds(bank, np.arange(len(bank)), axes, coarse).compare(queries)
        apart = np.linalg.norm(queries[:, None].astype("f8") - bank[None], axis=2)
        for rank in (0, 3, 400):
            distances = np.sort(apart, axis=1)[:, rank].astype("f4")
            query, row = within.reach(distances)
            reached = np.zeros(apart.shape, bool)
            reached[query, row] = True
            assert reached[apart <= distances[:, None]].all(), (axes, rank)


def test_rounding_moves_coordinates_no_farther_than_is_said(coarse):
    queries, bank = smooth(0, 40, 512, 0.02), smooth(1, 900, 512, 0.02)
    bounds = Bounds(bank, np.arange(len(bank)), 100, coarse)
    coordinates, _, apart = bounds._coordinates(queries)
    centred = (torch.from_numpy(queries).double() - bounds.centre) / bounds.unit
    first = centred @ bounds.axes.double()
    left = (centred.square().sum(dim=1) - first.square().sum(dim=1)).sqrt()
    moved = (coordinates.double() - torch.cat([first, left[:, None]], dim=1)).norm(dim=1)
    assert (moved > 0).all()
    assert (moved <= apart).all()
    assert (apart < 0.02 * centred.norm(dim=1)).all()


def test_a_row_in_the_middle_of_the_bank_bounds_as_others_do(coarse):
    rows = np.random.default_rng(8).integers(-9, 9, (400, 64)).astype("f4")
    bank = np.concatenate([rows, -rows, rows[:1] * 0])
    bounds = Bounds(bank, np.arange(len(bank)), 16, coarse)
    assert not bounds.centre.any()
    assert np.isfinite(bounds.apart)


def test_few_rows_are_compared_in_full_where_the_variance_lies_in_few_directions(monkeypatch, coarse):
    queries, bank = smooth(0, 200, 256), smooth(1, 4000, 256)
    rows = []
    real = exact_search.lengths
    monkeypatch.setattr(exact_search, "lengths", lambda left, right: (rows.append(len(left)), real(left, right))[1])
    search = ExactSearch(bank, coarse)
    search(queries)
    assert sum(rows) < 4 * len(queries)
    assert "full" not in vars(search)


def test_what_many_rows_are_in_reach_of_is_searched_by_the_full_product_of_distinct_rows():
    bank = copies(smooth(1, 60, 64), 20)
    search = ExactSearch(bank)
    search(smooth(0, 5, 64))
    assert len(np.unique(search.full.numbers)) == 60


def test_blocks_and_threads_change_nothing(monkeypatch, coarse):
    queries, bank = CASES["smooth"]
    whole = ExactSearch(bank, coarse)(queries)
    torch.set_num_threads(2)
    monkeypatch.setattr(exact_search, "CELLS", 5000)
    monkeypatch.setattr(exact_search, "PAIRS", 3)
    monkeypatch.setattr(distance_bounds, "PATCHES", 32)
    monkeypatch.setattr(distance_bounds, "PANEL", 128)
    assert all(np.array_equal(a, b) for a, b in zip(ExactSearch(bank, coarse)(queries), whole, strict=True))


def test_no_memory_map_is_written_to_or_held(tmp_path):
    queries, bank = CASES["half precision"]
    np.save(tmp_path / "bank.npy", bank)
    mapped = np.load(tmp_path / "bank.npy", mmap_mode="r")
    assert all(
        np.array_equal(a, b) for a, b in zip(ExactSearch(mapped)(queries), ExactSearch(bank)(queries), strict=True)
    )
