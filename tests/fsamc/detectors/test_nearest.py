from __future__ import annotations

import tracemalloc
from functools import partial

import numpy as np
import pytest
import torch

from fsamc.detectors import exact_search
from fsamc.detectors.nearest import _nearest_on_gpu
from fsamc.detectors.nearest import nearest as on_cpu


@pytest.fixture(params=["cpu", "gpu"])
def nearest(request):
    """The search of a CPU, and that of a GPU on torch's CPU."""
    return on_cpu if request.param == "cpu" else partial(_nearest_on_gpu, device="cpu")


def by_definition(queries: np.ndarray, bank: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    distances = np.linalg.norm(queries.astype(np.float64)[:, None] - bank.astype(np.float64)[None], axis=2)
    return distances.min(axis=1), distances.argmin(axis=1)


def random_rows(seed: int, n: int, dim: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)


@pytest.mark.parametrize(("m", "k", "dim"), [(1, 1, 1), (5, 2, 3), (300, 200, 16), (9000, 30, 8), (50, 600, 64)])
def test_it_is_the_definition(nearest, m, k, dim):
    queries, bank = random_rows(0, m, dim), random_rows(1, k, dim)
    distances, indices = nearest(queries, bank)
    expected_distances, expected_indices = by_definition(queries, bank)
    assert (distances.dtype, indices.dtype) == (np.float32, np.int64)
    np.testing.assert_allclose(distances, expected_distances, rtol=1e-6)
    assert np.array_equal(indices, expected_indices)


def test_a_worked_example(nearest):
    distances, indices = nearest(np.array([[0.0, 0.0], [4.0, 4.0]], "f4"), np.array([[3.0, 4.0], [6.0, 8.0]], "f4"))
    assert distances.tolist() == [5.0, 1.0]
    assert indices.tolist() == [0, 0]


@pytest.mark.parametrize("offset", [0.0, 100.0, 1e4])
def test_a_query_that_is_in_the_bank_has_distance_zero(nearest, offset):
    bank = random_rows(2, 400, 32) * np.float32(0.1) + np.float32(offset)
    distances, indices = nearest(bank[::-1], bank)
    assert not distances.any()
    assert np.array_equal(bank[indices], bank[::-1])


def test_the_closer_of_near_duplicates_wins(nearest):
    rng = np.random.default_rng(3)
    bank = random_rows(3, 100, 32) * 10
    pairs = np.concatenate([bank, bank + rng.normal(size=bank.shape).astype("f4") * 1e-4])
    _, indices = nearest(pairs, pairs)
    assert np.array_equal(indices, np.arange(200))


def test_ties_go_to_the_lower_number(nearest):
    bank = np.repeat(random_rows(4, 20, 8), 3, axis=0)
    _, indices = nearest(bank, bank)
    assert np.array_equal(indices, np.arange(60) // 3 * 3)
    assert nearest(np.zeros((1, 1), "f4"), np.array([[2.0], [1.0], [-1.0]], "f4"))[1].tolist() == [1]


def test_half_precision_memory_maps_are_read_in_blocks(nearest, tmp_path, monkeypatch):
    monkeypatch.setattr("fsamc.detectors.nearest.QUERIES_PER_BLOCK", 256)
    monkeypatch.setattr(exact_search, "QUERIES", 128)
    np.save(tmp_path / "queries.npy", random_rows(7, 20000, 64).astype(np.float16))
    queries = np.load(tmp_path / "queries.npy", mmap_mode="r")
    bank = random_rows(8, 100, 64).astype(np.float16)
    nearest(queries[:300], bank)
    tracemalloc.start()
    distances, indices = nearest(queries, bank)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < queries.size * 4 / 4, "all queries as float32 would be four times as much"
    np.testing.assert_allclose(distances[::97], by_definition(queries[::97], bank)[0], rtol=1e-6)
    assert np.array_equal(indices[::97], by_definition(queries[::97], bank)[1])


def test_no_queries_give_no_answers(nearest):
    distances, indices = nearest(np.zeros((0, 4), "f4"), np.zeros((2, 4), "f4"))
    assert len(distances) == len(indices) == 0


@pytest.mark.parametrize(("queries", "bank"), [((3, 4), (0, 4)), ((3, 4), (2, 5)), ((4,), (2, 4))])
def test_shapes_that_do_not_fit_are_refused(queries, bank):
    with pytest.raises(ValueError, match="expected queries"):
        on_cpu(np.zeros(queries, "f4"), np.zeros(bank, "f4"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_agrees_with_the_cpu():
    queries, bank = random_rows(9, 5000, 64), random_rows(10, 700, 64)
    assert np.array_equal(on_cpu(queries, bank, device="cuda")[1], on_cpu(queries, bank)[1])
