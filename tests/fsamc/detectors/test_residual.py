from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from fsamc.detectors.residual import Maps, ResidualMaps, channel_scale, concatenate, mean

N, P, D, K = 5, 6, 7, 9


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float16)


def residual_maps(*, residual: bool = True, scale: np.ndarray | None = None) -> ResidualMaps:
    indices = np.random.default_rng(2).integers(0, K, (N, P)).astype(np.int32)
    return ResidualMaps(
        features=numbers(N, P, D),
        normal=numbers(K, D, seed=1),
        indices=indices,
        residual=residual,
        scale=scale,
        device="cpu",
    )


def slowly(maps: ResidualMaps, row: int) -> tuple[np.ndarray, np.ndarray]:
    """Values [P, D] and distances [P] of one image, patch by patch."""
    values, distances = np.empty((P, D), np.float32), np.empty(P, np.float32)
    for patch in range(P):
        feature = maps.features[row, patch].astype(np.float32)
        difference = feature - maps.normal[maps.indices[row, patch]].astype(np.float32)
        distances[patch] = np.sqrt(sum(float(one) ** 2 for one in difference))
        values[patch] = (difference if maps.residual else feature) / (1.0 if maps.scale is None else maps.scale)
    return values, distances


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("scale", [None, np.linspace(0.5, 3, D, dtype=np.float32)], ids=["plain", "scaled"])
def test_taken_images_are_the_definitions(residual, scale):
    maps = residual_maps(residual=residual, scale=scale)
    taken = maps.take([3, 0, 3])
    assert (taken.values.dtype, taken.distances.dtype) == (torch.float32, torch.float32)
    for place, row in enumerate([3, 0, 3]):
        values, distances = slowly(maps, row)
        np.testing.assert_allclose(taken.values[place], values, rtol=1e-6)
        np.testing.assert_allclose(taken.distances[place], distances, rtol=1e-6)


def test_a_detectors_own_distances_are_taken_as_they_are():
    plain, own = residual_maps(), np.arange(N * P, dtype=np.float32).reshape(N, P)
    measured = replace(plain, distances=own)
    assert measured.take([3, 0, 3]).distances.tolist() == own[[3, 0, 3]].tolist()
    assert torch.equal(measured.take([3, 0]).values, plain.take([3, 0]).values)


def test_any_order_and_any_kind_of_rows_give_copies():
    maps = residual_maps(residual=False)
    everything = maps.take(range(N))
    assert len(maps) == len(everything) == N
    for rows in ([4, 1], (4, 1), np.array([4, 1]), np.array([4, 1], np.int32)):
        taken = maps.take(rows).values
        assert torch.equal(taken, everything.values[[4, 1]])
        taken.zero_()
    assert maps.take([]).values.shape == (0, P, D)


def test_channel_scale_by_hand():
    rows = np.array([[1, 5, 0.0], [3, 5, 0.0], [1, 5, 6.0], [3, 5, 6.0]], np.float16)
    scale = channel_scale(rows)
    assert scale.dtype == np.float32
    assert scale.tolist() == [1, 1, 3]  # the second never varies


def test_channel_scale_of_many_rows_does_not_lose_them_in_float16():
    rows = (numbers(20000, 2) * np.float16(0.1) + np.float16(50)).astype(np.float16)
    np.testing.assert_allclose(channel_scale(rows), rows.astype(np.float64).std(0), rtol=1e-3)


def test_take_concatenate_and_mean_by_hand():
    one = Maps(torch.tensor([[[1.0, 2.0]], [[3.0, 6.0]]]), torch.tensor([[1.0], [5.0]]))
    assert mean(one).values.tolist() == [[[2.0, 4.0]]]
    assert mean(one).distances.tolist() == [[3.0]]
    both = concatenate([one.take([1]), one])
    assert both.values.tolist() == [[[3.0, 6.0]], [[1.0, 2.0]], [[3.0, 6.0]]]
    assert both.distances.tolist() == [[5.0], [1.0], [5.0]]
    assert len(both) == 3
