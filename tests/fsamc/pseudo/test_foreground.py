from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image as Picture

from fsamc.config.pseudo import Segmentation
from fsamc.pseudo.foreground import Foregrounds, choose_foreground, find_object, foreground_mask

SIDE = 96
SETTINGS = Segmentation()
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE]


def disc(radius=0.3, centre=(0.5, 0.5)):
    return (ROWS / SIDE - centre[0]) ** 2 + (COLUMNS / SIDE - centre[1]) ** 2 < radius**2


def draw(truth, background, colour, seed=0, gradient=20, noise=5):
    rng = np.random.default_rng(seed)
    grey = np.where(truth, colour, background) + gradient * (COLUMNS / SIDE - 0.5) + rng.normal(0, noise, truth.shape)
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def surface(seed, grain=3.0, vignette=0.0):
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.normal(size=(SIDE, SIDE)), (0, 0), grain)
    falloff = 1 - vignette * ((ROWS / SIDE - 0.5) ** 2 + (COLUMNS / SIDE - 0.5) ** 2)
    grey = (130 + 30 * noise / noise.std()) * falloff
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def iou(one, other):
    return (one & other).sum() / (one | other).sum()


@pytest.mark.parametrize("method", ["flood", "grabcut"])
@pytest.mark.parametrize(("background", "colour"), [(120, 215), (245, 50), (30, 140)])
def test_a_drawn_disc_is_found(method, background, colour):
    truth = disc(0.3, (0.45, 0.55))
    found = foreground_mask(draw(truth, background, colour), method, SETTINGS)
    assert found.dtype == np.bool_
    assert iou(found, truth) > 0.97


def test_whole_is_the_whole_image():
    assert foreground_mask(draw(disc(), 245, 50), "whole", SETTINGS).all()


def test_flood_tolerance_is_measured_from_the_corner():
    image = draw(disc(), 200, 150, gradient=0, noise=0)
    assert find_object(image, "flood", SETTINGS) is None
    exact = find_object(image, "flood", Segmentation(flood=(49, 50)))
    np.testing.assert_array_equal(exact, disc())
    assert find_object(image, "flood", Segmentation(flood=(50, 50))) is None


def test_flood_does_not_creep_along_a_gradient():
    ramp = np.broadcast_to((60 + 2 * COLUMNS)[..., None], (SIDE, SIDE, 3)).astype(np.uint8)
    found = find_object(ramp, "flood", SETTINGS)
    # from 60 up to 110, and from 250 down to 170
    np.testing.assert_array_equal(found, (COLUMNS > 25) & (COLUMNS < 55))


def test_specks_and_hairs_are_tidied_away_and_a_second_part_is_kept():
    truth = disc(0.2, (0.3, 0.3)) | disc(0.15, (0.75, 0.75))
    dirty = truth.copy()
    dirty[80:84, 8:12] = True  # below a tenth of the largest part
    dirty[28, :] = True
    found = foreground_mask(draw(dirty, 245, 50, gradient=0, noise=0), "flood", SETTINGS)
    assert iou(found, truth) > 0.98
    assert not found[78:90, :20].any()
    assert not found[28, 60:].any()


def test_grabcut_keeps_the_hole_of_a_ring():
    truth = disc(0.4) & ~disc(0.18)
    assert iou(foreground_mask(draw(truth, 220, 60), "grabcut", SETTINGS), truth) > 0.95


def test_a_hole_is_closed_where_it_is_below_the_smallest_part():
    image = draw(disc(0.4) & ~disc(0.08), 220, 60)
    assert iou(find_object(image, "grabcut", Segmentation(part=0.1)), disc(0.4)) > 0.97
    assert not find_object(image, "grabcut", Segmentation(part=0.01))[disc(0.06)].any()


RING = disc(0.4) & ~disc(0.1)


def test_flood_centre_leaves_the_hole_of_a_ring_out_however_small():
    image = draw(RING, 220, 60)
    assert iou(find_object(image, "flood", SETTINGS), disc(0.4)) > 0.97
    assert iou(find_object(image, "flood_centre", SETTINGS), RING) > 0.97
    assert not find_object(image, "flood_centre", SETTINGS)[disc(0.08)].any()


def test_flood_centre_is_told_from_the_ring_by_its_own_tolerance():
    image = draw(RING, 220, 60, gradient=0, noise=0)
    image[disc(0.1)] = 25  # a hole in shadow: no flood from the corners would call it background
    np.testing.assert_array_equal(find_object(image, "flood_centre", SETTINGS), RING)
    beyond = Segmentation(centre=(0, 35))
    assert find_object(image, "flood_centre", beyond) is None, "at 35 above 25 the ring itself is flooded"


def test_without_a_hole_flood_centre_takes_the_object_for_one():
    assert find_object(draw(disc(), 245, 50), "flood_centre", SETTINGS) is None


def test_background_that_reaches_the_border_is_no_hole_however_small():
    truth = disc(0.48)
    assert iou(find_object(draw(truth, 245, 50), "flood", Segmentation(part=0.4)), truth) > 0.97


@pytest.mark.parametrize("method", ["flood", "grabcut"])
def test_where_nothing_is_found_the_foreground_is_the_whole_image(method):
    plain = np.full((SIDE, SIDE, 3), 128, np.uint8)
    assert find_object(plain, method, SETTINGS) is None
    assert foreground_mask(plain, method, SETTINGS).all()


def test_an_object_outside_the_area_is_none():
    image, share = draw(disc(), 245, 50), disc().mean()
    assert find_object(image, "flood", Segmentation(area=(share + 0.02, 1.0))) is None
    assert find_object(image, "flood", Segmentation(area=(0.0, share - 0.02))) is None
    assert find_object(image, "flood", Segmentation(area=(share - 0.02, share + 0.02))) is not None


def test_grabcut_depends_on_the_image_alone():
    image = surface(0, grain=15.0, vignette=1.2)  # OpenCV's generator decides between nothing and 39 % here
    masks = []
    for state in range(6):
        cv2.setRNGSeed(state)
        masks.append(foreground_mask(image, "grabcut", SETTINGS))
    assert all((mask == masks[0]).all() for mask in masks)


def test_the_image_is_left_as_it_was():
    image = draw(disc(), 245, 50)
    before = image.copy()
    for method in ("flood", "flood_centre", "grabcut"):
        foreground_mask(image, method, SETTINGS)
    np.testing.assert_array_equal(image, before)


def discs(background, colour, count=4):
    centres = [(0.5 + shift, 0.5 - shift / 2) for shift in np.linspace(-0.06, 0.06, count)]
    return [draw(disc(0.3, centre), background, colour, seed) for seed, centre in enumerate(centres)]


BAND = (COLUMNS > 0.3 * SIDE) & (COLUMNS < 0.7 * SIDE)
IN_A_CORNER = (COLUMNS > 0.5 * SIDE) & (ROWS < 0.5 * SIDE)
AUTO = {
    "bright on grey": (discs(120, 215), "flood"),
    "dark on bright": (discs(245, 50), "flood"),
    "grey on dark": (discs(30, 140), "flood"),
    "a band across the image": ([draw(BAND, 240, 60, seed) for seed in range(4)], "flood"),
    "in a corner, where flood looks for the background": (
        [draw(IN_A_CORNER, 240, 60, seed) for seed in range(4)],
        "whole",
    ),
    "within the tolerance of flood": (discs(120, 155), "grabcut"),
} | {
    f"a surface, grain {grain}, vignette {vignette}": ([surface(seed, grain, vignette) for seed in range(4)], "whole")
    for grain, vignette in ((1.0, 0.0), (8.0, 1.2))
}


@pytest.mark.parametrize("case", AUTO)
def test_auto_takes_what_finds_the_object_or_the_whole(case):
    images, method = AUTO[case]
    assert choose_foreground(images, SETTINGS) == method


def test_auto_needs_the_share_of_images_that_must_agree():
    mixed = [*discs(245, 50, count=3), surface(0)]
    assert choose_foreground(mixed, Segmentation(agree=0.75)) == "flood"
    assert choose_foreground(mixed, Segmentation(agree=0.76)) == "whole"


def test_foregrounds_finds_each_once_and_only_when_asked():
    images, asked = discs(245, 50), []

    class Watched:
        def __len__(self):
            return len(images)

        def __getitem__(self, index):
            asked.append(index)
            return images[index]

    foregrounds = Foregrounds(Watched(), "flood", SETTINGS)
    assert len(foregrounds) == 4
    assert asked == []
    for index in (2, 0, 2):
        np.testing.assert_array_equal(foregrounds[index], foreground_mask(images[index], "flood", SETTINGS))
    assert asked == [2, 0]


@pytest.mark.real
@pytest.mark.parametrize("category", ["magnetic_tile", "pcb"])
def test_auto_takes_the_whole_of_real_surfaces(shared, category):
    paths = sorted((shared / "datasets" / category / "train" / "good").iterdir())[:6]
    images = [np.asarray(Picture.open(path).convert("RGB").resize((224, 224))) for path in paths]
    assert choose_foreground(images, SETTINGS) == "whole"
