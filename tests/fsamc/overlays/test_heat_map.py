"""A heat map lies where the network looked, whatever the picture's size, and equal colours mean equal distances."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsamc.config.features import Features
from fsamc.data.images import kept_share, to_square
from fsamc.overlays.heat_map import HeatScale, heat_map, overlay

SIDE, GRID = 32, 8
FITS = [Features(size=SIDE), Features(size=SIDE, fit="letterbox"), Features(size=SIDE, fit="crop", resize=40)]
shapes = st.tuples(st.integers(20, 90), st.integers(20, 90))


def distances_of(square: np.ndarray) -> np.ndarray:
    """How bright each patch of the square is, for how far from normal it is."""
    return square[..., 0].reshape(GRID, SIDE // GRID, GRID, SIDE // GRID).mean((1, 3)).reshape(-1).astype(np.float32)


@given(st.sampled_from(FITS), shapes, st.floats(0.3, 0.7), st.floats(0.3, 0.7))
def test_what_is_far_from_normal_is_hot_where_it_lies_in_the_picture(features, shape, down, across):
    picture = np.zeros((*shape, 3), np.uint8)
    middle = int(down * shape[0]), int(across * shape[1])
    reach = max(shape) / GRID
    top, left = (max(0, round(place - reach)) for place in middle)
    picture[top : round(middle[0] + reach) + 1, left : round(middle[1] + reach) + 1] = 255
    heat = heat_map(distances_of(to_square(picture, features)), shape, features)
    assert heat.shape == shape
    hottest = np.unravel_index(np.nanargmax(heat), shape)
    assert np.abs(np.subtract(hottest, middle)).max() <= 2 * reach
    assert picture[hottest][0] == 255


@given(shapes)
def test_pixels_that_a_crop_leaves_out_have_no_heat_and_all_others_have(shape):
    features = FITS[2]
    seen = ~np.isnan(heat_map(np.ones(GRID**2, np.float32), shape, features))
    for place in [(0, 0), (shape[0] // 2, shape[1] // 2), (0, shape[1] // 2), (shape[0] // 2, 0)]:
        pixel = np.zeros(shape, bool)
        pixel[place] = True
        assert seen[place] == kept_share(pixel, features)


@given(st.sampled_from(FITS[:2]), shapes, st.floats(0, 9, width=32))
def test_a_picture_that_is_alike_everywhere_is_as_hot_everywhere(features, shape, distance):
    np.testing.assert_allclose(
        heat_map(np.full(GRID**2, distance, np.float32), shape, features), distance, rtol=1e-5, atol=1e-30
    )


def test_the_centre_of_a_patch_has_its_distance_and_between_two_centres_is_their_mean():
    heat = heat_map(np.arange(4, dtype=np.float32), (6, 6), FITS[0])
    assert heat[1::3, 1::3].tolist() == [[0, 1], [2, 3]]
    assert heat_map(np.arange(4, dtype=np.float32), (1, 1), FITS[0]).tolist() == [[1.5]]


def test_patches_on_no_square_and_pictures_of_another_size_are_refused():
    with pytest.raises(ValueError, match="6 patches lie on no square grid"):
        heat_map(np.zeros(6, np.float32), (4, 4), FITS[0])
    with pytest.raises(ValueError, match="expected the same"):
        overlay(np.zeros((4, 4, 3), np.uint8), np.zeros((5, 4), np.float32), HeatScale(0, 1))


def test_half_of_the_patches_are_not_coloured_and_the_farthest_are_the_brightest():
    distances = np.arange(1001, dtype=np.float32)
    scale = HeatScale.of(distances)
    assert (scale.low, scale.high) == (500, 995)
    shares = scale.shares(distances)
    assert (shares[:501] == 0).all()
    assert (shares[995:] == 1).all()
    assert (np.diff(shares) >= 0).all()
    assert HeatScale.of(distances, low=0.1, high=1.0) == HeatScale(100, 1000)
    assert (HeatScale.of(np.full(9, 2.0)).shares(np.full((2, 2), 2.0)) == 0).all(), "nothing stands out"


def test_equal_distances_have_equal_colours_in_all_pictures_of_a_scale_and_normal_pixels_stay_as_they_are():
    rng = np.random.default_rng(0)
    picture, scale = rng.integers(0, 256, (5, 7, 3), np.uint8), HeatScale(2, 4)
    heat = np.array([np.nan, 0, 2, 3, 3, 4, 9], np.float32)[None].repeat(5, 0)
    shown = overlay(picture, heat, scale)
    assert (shown[:, :3] == picture[:, :3]).all()
    grey = overlay(np.full_like(picture, 90), heat, scale)
    assert (grey[:, 3] == grey[:, 4]).all()
    assert (grey[:, 5] == grey[:, 6]).all()
    brightness = grey.sum(-1, dtype=int)[0]
    assert brightness[2] < brightness[5]
    covered = overlay(picture, heat, scale, strength=1.0)
    assert len(np.unique(covered[:, 5], axis=0)) == 1, "the picture shines through no more"
    assert (overlay(picture, heat, scale, strength=0.0) == picture).all()
