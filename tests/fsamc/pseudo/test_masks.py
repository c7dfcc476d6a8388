from __future__ import annotations

import cv2
import numpy as np
import pytest

from fsamc.config.pseudo import Pseudo
from fsamc.errors import BadInput
from fsamc.pseudo.masks import draw_mask, perlin_mask, poisson_mask, polygon_mask
from fsamc.pseudo.perlin import perlin_noise

SIDE = 112
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE] / SIDE
DISC = (ROWS - 0.5) ** 2 + (COLUMNS - 0.5) ** 2 < 0.3**2
DEFAULTS = Pseudo()
WHOLE = np.ones((SIDE, SIDE), bool)
PERLIN = Pseudo(mask="perlin")
POLYGON = Pseudo(mask="polygon")
BAND = np.abs(COLUMNS - 0.5) < 0.06


def rng(seed=0):
    return np.random.default_rng(seed)


def test_without_blur_the_mask_is_the_thresholded_noise():
    config = Pseudo(blur=0.0, rate=3.0, threshold=0.5)
    noise = rng(7).poisson(3.0, (SIDE, SIDE))
    standardised = (noise - noise.mean()) / noise.std()
    np.testing.assert_array_equal(poisson_mask(SIDE, rng(7), config), standardised > 0.5)


@pytest.mark.parametrize("side", [SIDE, 224])
def test_with_blur_the_mask_is_the_thresholded_blurred_noise(side):
    noise = rng(7).poisson(DEFAULTS.rate, (side, side)).astype(np.float64)
    blurred = cv2.GaussianBlur(noise, (0, 0), DEFAULTS.blur * side)
    standardised = (blurred - blurred.mean()) / blurred.std()
    clear = np.abs(standardised - DEFAULTS.threshold) > 1e-3
    mask = poisson_mask(side, rng(7), DEFAULTS)
    np.testing.assert_array_equal(mask[clear], (standardised > DEFAULTS.threshold)[clear])


def test_noise_without_any_count_gives_no_mask():
    assert not poisson_mask(SIDE, rng(), Pseudo(rate=1e-9)).any()


@pytest.mark.parametrize("foreground", [WHOLE, DISC], ids=["whole", "disc"])
@pytest.mark.parametrize("config", [DEFAULTS, PERLIN], ids=["poisson", "perlin"])
def test_drawn_masks_lie_in_the_foreground_and_in_the_area(config, foreground):
    for seed in range(100):
        mask = draw_mask(foreground, rng(seed), config)
        assert not (mask & ~foreground).any()
        assert 0.1 <= mask.sum() / foreground.sum() <= 0.4


@pytest.mark.parametrize(
    ("draw", "config", "foreground", "least"),
    [(poisson_mask, DEFAULTS, WHOLE, 0.85), (poisson_mask, DEFAULTS, DISC, 0.85), (perlin_mask, PERLIN, WHOLE, 0.7)],
)
def test_a_redraw_is_rare_with_the_defaults(draw, config, foreground, least):
    shares = [draw(SIDE, rng(seed), config)[foreground].mean() for seed in range(200)]
    assert np.mean([0.1 <= share <= 0.4 for share in shares]) > least


def test_a_mask_out_of_range_is_drawn_again_from_the_same_generator():
    config = Pseudo(area=(0.25, 0.4))
    generator, expected = rng(3), None
    while expected is None or not 0.25 <= expected.mean() <= 0.4:
        expected = poisson_mask(SIDE, generator, config)
    first = poisson_mask(SIDE, rng(3), config)
    drawn = draw_mask(np.ones((SIDE, SIDE), bool), rng(3), config)
    assert first.mean() < 0.25
    np.testing.assert_array_equal(drawn, expected)


@pytest.mark.parametrize(
    ("settings", "foreground", "parts"),
    [
        ({"threshold": 3.0}, WHOLE, ["`pseudo.area`", "9 masks covered", "lower `pseudo.threshold`"]),
        ({"threshold": -2.0}, WHOLE, ["`pseudo.area`", "9 masks covered", "raise `pseudo.threshold`"]),
        ({"area": (0.24, 0.24)}, WHOLE, ["`pseudo.threshold`", "9 masks covered", "widen `pseudo.area`"]),
        (
            {"mask": "perlin", "perlin": {"threshold": 0.99}},
            WHOLE,
            ["`pseudo.perlin.threshold` 0.99", "9 masks covered", "lower `pseudo.perlin"],
        ),
        (
            {"mask": "perlin", "perlin": {"threshold": -0.99}},
            WHOLE,
            ["`pseudo.perlin.threshold` -0.99", "9 masks covered", "raise `pseudo.perlin"],
        ),
        *(
            (
                {"mask": "polygon", "polygon": {"size": size, "inside": 0.99}},
                BAND,
                ["`pseudo.polygon.inside` 0.99", "9 polygons", "`pseudo.polygon.size`"],
            )
            for size in (0.001, 0.9)
        ),
    ],
)
def test_a_mask_that_cannot_be_had_is_one_line_with_keys_shares_and_mend(settings, foreground, parts):
    with pytest.raises(BadInput) as error:
        draw_mask(foreground, rng(), Pseudo(tries=9, **settings), corners=3)
    message = str(error.value)
    assert "\n" not in message
    assert [part for part in parts if part not in message] == []


# --- perlin


def test_the_perlin_mask_is_the_thresholded_noise_of_drawn_powers_of_two():
    config = Pseudo(mask="perlin", perlin={"scales": (1, 3), "threshold": 0.2})
    generator = rng(2)
    down, across = 2 ** generator.integers(1, 4, 2)
    assert down != across
    noise = perlin_noise(SIDE, (int(down), int(across)), generator)
    np.testing.assert_array_equal(perlin_mask(SIDE, rng(2), config), noise > 0.2)


def test_every_power_between_the_two_scales_is_drawn_in_each_direction(monkeypatch):
    seen = []
    monkeypatch.setattr(
        "fsamc.pseudo.masks.perlin_noise", lambda side, cells, rng: seen.append(cells) or np.zeros((side,) * 2)
    )
    for seed in range(300):
        perlin_mask(SIDE, rng(seed), PERLIN)
    assert set(seen) == {(2**a, 2**b) for a in range(6) for b in range(6)}


# --- polygon


def test_polygons_lie_everywhere_on_the_image_and_never_across_its_border():
    masks = [polygon_mask(WHOLE, 4, rng(seed), POLYGON) for seed in range(300)]
    areas = [mask.sum() for mask in masks]
    assert max(areas) < 1.1 * min(areas)  # pixels are coarse; half a polygon at most would be left by a border
    centres = np.array([np.argwhere(mask).mean(axis=0) for mask in masks]) / SIDE
    assert centres.min() < 0.13
    assert centres.max() > 0.87
    assert np.abs(centres.mean(axis=0) - 0.5).max() < 0.03


def test_polygons_turn():
    masks = [polygon_mask(WHOLE, 3, rng(seed), Pseudo(mask="polygon", polygon={"size": 1.0})) for seed in range(30)]
    assert len({mask.tobytes() for mask in masks}) == 30


@pytest.mark.parametrize("inside", [0.5, 0.95])
@pytest.mark.parametrize("foreground", [DISC, BAND], ids=["disc", "band"])
def test_drawn_polygons_are_cut_to_the_foreground_of_which_they_leave_little(foreground, inside):
    config = Pseudo(mask="polygon", polygon={"size": 0.1, "inside": inside})
    whole = 2 * (0.1 * SIDE / 2) ** 2
    for seed in range(100):
        mask = draw_mask(foreground, rng(seed), config, corners=4)
        assert not (mask & ~foreground).any()
        assert mask.sum() >= (inside - 0.05) * whole


def test_a_polygon_too_far_outside_is_drawn_again_from_the_same_generator():
    config = Pseudo(mask="polygon", polygon={"inside": 0.9})
    generator, redraws, whole = rng(14), 0, polygon_mask(DISC, 5, rng(14), config)
    assert (whole & DISC).sum() < 0.9 * whole.sum()
    while (whole & DISC).sum() < 0.9 * whole.sum():
        whole, redraws = polygon_mask(DISC, 5, generator, config), redraws + 1
    assert redraws > 1
    np.testing.assert_array_equal(draw_mask(DISC, rng(14), config, corners=5), whole & DISC)


def test_a_polygon_as_large_as_the_image_has_its_centre_in_the_middle():
    for foreground in (WHOLE, ~DISC):
        mask = polygon_mask(foreground, 6, rng(), Pseudo(mask="polygon", polygon={"size": 1.0}))
        assert np.argwhere(mask).mean(axis=0) == pytest.approx([(SIDE - 1) / 2] * 2, abs=0.6)


@pytest.mark.parametrize("config", [DEFAULTS, PERLIN, POLYGON], ids=["poisson", "perlin", "polygon"])
def test_the_same_generator_gives_the_same_mask_of_every_kind(config):
    one, same, other = (draw_mask(DISC, rng(seed), config, corners=4) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
