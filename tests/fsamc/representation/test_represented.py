from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from fsamc.config.representation import Part
from fsamc.representation.represented import (
    MapSet,
    PartsOf,
    Represented,
    RepresentedSet,
    VectorSet,
    concatenate,
    mean,
)
from fsamc.representation.units import ChannelScaling

N, P, D, K, V, R = 5, 6, 7, 9, 4, 3
SCALE = np.linspace(0.5, 3, D, dtype=np.float32)
RNG = np.random.default_rng(0)
FEATURES, NORMAL, MEAN = (RNG.normal(size=size).astype(np.float16) for size in ((N, P, D), (K, D), D))
INDICES = RNG.integers(0, K, (N, P)).astype(np.int32)
PATCHES, NEAREST = RNG.normal(size=(2, N, V, D)).astype(np.float32)
PROFILES = RNG.normal(size=(N, R)).astype(np.float32)
EVERY: tuple[Part, ...] = ("residual", "centred", "raw")
PARTS = pytest.mark.parametrize("parts", [("residual",), ("centred",), ("raw",), ("raw", "residual"), EVERY], ids=str)
SCALES = pytest.mark.parametrize("scale", [None, SCALE], ids=["plain", "scaled"])


def parts_of(parts: tuple[Part, ...], scale: np.ndarray | None = None) -> PartsOf:
    centre = MEAN.astype(np.float32) if "centred" in parts else None
    return PartsOf(parts, centre, None if scale is None else ChannelScaling(scale, "cpu"), "cpu")


def by_hand(part: Part, patch: np.ndarray, normal: np.ndarray, scale: np.ndarray | None) -> np.ndarray:
    away = {"residual": normal.astype(np.float32), "centred": MEAN.astype(np.float32), "raw": 0}[part]
    return (patch.astype(np.float32) - away) / (1 if scale is None else scale)


def map_set(parts: tuple[Part, ...] = ("residual", "raw"), scale: np.ndarray | None = None) -> MapSet:
    return MapSet(FEATURES, NORMAL, INDICES, parts_of(parts, scale))


def vector_set(parts: tuple[Part, ...] = ("residual", "raw"), scale: np.ndarray | None = None) -> VectorSet:
    return VectorSet(PATCHES, NEAREST, PROFILES, parts_of(parts, scale))


@PARTS
@SCALES
def test_maps_are_their_parts_patch_by_patch(parts, scale):
    taken = map_set(parts, scale).take([3, 0, 3])
    assert taken.values.dtype == torch.float32
    assert taken.profiles.shape == (3, 0)
    for place, row in enumerate([3, 0, 3]):
        for patch in range(P):
            normal = NORMAL[INDICES[row, patch]]
            expected = np.concatenate([by_hand(part, FEATURES[row, patch], normal, scale) for part in parts])
            np.testing.assert_allclose(taken.values[place, patch], expected, rtol=1e-6)


@PARTS
@SCALES
def test_vectors_are_unit_vectors_of_parts_that_weigh_alike(parts, scale):
    taken = vector_set(parts, scale).take([3, 0])
    np.testing.assert_allclose(taken.values.norm(dim=-1), 1, rtol=1e-6)
    assert np.array_equal(taken.profiles, PROFILES[[3, 0]])
    for place, row in enumerate([3, 0]):
        for view in range(V):
            all_parts = [by_hand(part, PATCHES[row, view], NEAREST[row, view], scale) for part in parts]
            expected = np.concatenate([one / np.linalg.norm(one) for one in all_parts]) / len(parts) ** 0.5
            np.testing.assert_allclose(taken.values[place, view], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("images", [map_set(), vector_set()], ids=["maps", "vectors"])
def test_any_order_and_any_kind_of_rows_give_copies(images: RepresentedSet):
    everything = images.take(range(N))
    assert len(images) == len(everything) == N
    assert everything.values.shape == (N, *images.shape[:2])
    assert everything.profiles.shape == (N, images.shape[2])
    for rows in ([4, 1], (4, 1), np.array([4, 1]), np.array([4, 1], np.int32)):
        taken = images.take(rows)
        assert torch.equal(taken.values, everything.values[[4, 1]])
        assert torch.equal(taken.profiles, everything.profiles[[4, 1]])
        taken.values.zero_()
        taken.profiles.zero_()
    assert images.take([]).values.shape == (0, *images.shape[:2])


@pytest.mark.parametrize("images", [map_set(), vector_set()], ids=["maps", "vectors"])
def test_some_of_the_images_and_some_of_their_values(images: RepresentedSet):
    everything = images.take(range(N))
    some = images.only(np.array([4, 0, 2])).only(np.array([2, 0])).part(slice(1, 3))
    assert len(some) == 2
    assert some.shape == (2, *images.shape[1:])
    assert torch.equal(some.take([1, 0]).values, everything.values[[4, 2], 1:3])
    assert torch.equal(some.take([1, 0]).profiles, everything.profiles[[4, 2]])


def test_views_are_chosen_in_any_order():
    images = vector_set()
    chosen = images.part([3, 0]).part([1, 0])
    assert torch.equal(chosen.take([2]).values, images.take([2]).values[:, [0, 3]])


def test_a_vector_of_nothing_is_nothing():
    """A patch that is its own normal row has no direction."""
    same = VectorSet(PATCHES, PATCHES, PROFILES, parts_of(("residual", "raw"))).take([0])
    assert not same.values[..., :D].any()
    torch.testing.assert_close(same.values[..., D:] * 2**0.5, F.normalize(torch.from_numpy(PATCHES[:1]), dim=-1))


def test_take_concatenate_and_mean_by_hand():
    one = Represented(torch.tensor([[[1.0, 2.0]], [[3.0, 6.0]]]), torch.tensor([[1.0], [5.0]]))
    assert mean(one).values.tolist() == [[[2.0, 4.0]]]
    assert mean(one).profiles.tolist() == [[3.0]]
    both = concatenate([one.take([1]), one])
    assert both.values.tolist() == [[[3.0, 6.0]], [[1.0, 2.0]], [[3.0, 6.0]]]
    assert both.profiles.tolist() == [[5.0], [1.0], [5.0]]
    assert len(both) == 3
