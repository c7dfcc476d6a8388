from __future__ import annotations

import cv2
import numpy as np
import pytest

from fsamc.config.fold import Pseudo
from fsamc.errors import BadInput
from fsamc.masks import draw_mask, poisson_mask

SIDE = 112
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE] / SIDE
DISC = (ROWS - 0.5) ** 2 + (COLUMNS - 0.5) ** 2 < 0.3**2
DEFAULTS = Pseudo()


def rng(seed=0):
    return np.random.default_rng(seed)


def test_without_blur_the_mask_is_the_thresholded_noise():
    config = Pseudo(blur=0.0, rate=3.0, threshold=0.5)
    noise = rng(7).poisson(3.0, (SIDE, SIDE))
    standardised = (noise - noise.mean()) / noise.std()
    np.testing.assert_array_equal(poisson_mask(SIDE, rng(7), config), standardised > 0.5)


def test_with_blur_the_mask_is_the_thresholded_blurred_noise():
    noise = rng(7).poisson(DEFAULTS.rate, (SIDE, SIDE)).astype(np.float64)
    blurred = cv2.GaussianBlur(noise, (0, 0), DEFAULTS.blur * SIDE)
    standardised = (blurred - blurred.mean()) / blurred.std()
    clear = np.abs(standardised - DEFAULTS.threshold) > 1e-3
    mask = poisson_mask(SIDE, rng(7), DEFAULTS)
    np.testing.assert_array_equal(mask[clear], (standardised > DEFAULTS.threshold)[clear])


def test_a_higher_threshold_gives_a_mask_inside_the_lower_one():
    low, high = (poisson_mask(SIDE, rng(), Pseudo(threshold=threshold)) for threshold in (0.3, 1.0))
    assert (low | high).sum() == low.sum()
    assert 0 < high.sum() < low.sum()


def test_blur_scales_with_the_side():
    def blobs(side):
        masks = (poisson_mask(side, rng(seed), DEFAULTS) for seed in range(20))
        return np.mean([cv2.connectedComponents(mask.astype(np.uint8))[0] - 1 for mask in masks])

    assert blobs(56) == pytest.approx(blobs(224), rel=0.25)


def test_blobs_not_specks():
    masks = [poisson_mask(224, rng(seed), DEFAULTS) for seed in range(20)]
    surviving = [cv2.erode(mask.astype(np.uint8), np.ones((5, 5))).sum() / mask.sum() for mask in masks]
    assert min(surviving) > 0.5


def test_noise_without_any_count_gives_no_mask():
    assert not poisson_mask(SIDE, rng(), Pseudo(rate=1e-9)).any()


@pytest.mark.parametrize("foreground", [np.ones((SIDE, SIDE), bool), DISC], ids=["whole", "disc"])
def test_drawn_masks_lie_in_the_foreground_and_in_the_area(foreground):
    for seed in range(200):
        mask = draw_mask(foreground, rng(seed), DEFAULTS)
        assert not (mask & ~foreground).any()
        assert 0.1 <= mask.sum() / foreground.sum() <= 0.4


@pytest.mark.parametrize("foreground", [np.ones((SIDE, SIDE), bool), DISC], ids=["whole", "disc"])
def test_a_redraw_is_rare_with_the_defaults(foreground):
    shares = [(poisson_mask(SIDE, rng(seed), DEFAULTS) & foreground).sum() / foreground.sum() for seed in range(200)]
    in_range = [0.1 <= share <= 0.4 for share in shares]
    assert np.mean(in_range) > 0.85


def test_a_mask_out_of_range_is_drawn_again_from_the_same_generator():
    config = Pseudo(area=(0.25, 0.4))
    generator, expected = rng(3), None
    while expected is None or not 0.25 <= expected.mean() <= 0.4:
        expected = poisson_mask(SIDE, generator, config)
    first = poisson_mask(SIDE, rng(3), config)
    drawn = draw_mask(np.ones((SIDE, SIDE), bool), rng(3), config)
    assert first.mean() < 0.25
    np.testing.assert_array_equal(drawn, expected)


def test_the_same_generator_gives_the_same_mask_and_another_seed_another():
    one, same, other = (draw_mask(DISC, rng(seed), DEFAULTS) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


@pytest.mark.parametrize(
    ("settings", "mend"),
    [
        ({"threshold": 3.0}, "lower `pseudo.threshold`"),
        ({"threshold": -2.0}, "raise `pseudo.threshold`"),
        ({"area": (0.24, 0.24)}, "widen `pseudo.area`"),
    ],
)
def test_an_area_that_cannot_be_had_is_one_line_with_keys_shares_and_mend(settings, mend):
    with pytest.raises(BadInput) as error:
        draw_mask(np.ones((SIDE, SIDE), bool), rng(), Pseudo(tries=9, **settings))
    message = str(error.value)
    assert "\n" not in message
    for part in ("`pseudo.threshold`", "`pseudo.area`", "9 masks covered", mend):
        assert part in message
