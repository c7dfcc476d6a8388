"""Foreground masks: the object, on which pseudo-defects are pasted, without its background (paper 3.5)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from fsamc.config.pseudo import Segmentation

ImageArray = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Segmenter = Literal["flood", "flood_centre", "grabcut"]
Method = Segmenter | Literal["whole"]

_NEIGHBOURS = np.ones((3, 3), np.uint8)


class Images(Protocol):
    """Square images by index, uint8 [S, S, 3]: one array [G, S, S, 3], a list, or something that decodes on demand."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> ImageArray: ...


class Foregrounds:
    """The foreground of each of a category's images, bool [S, S] by index, found at its first use."""

    def __init__(self, images: Images, method: Method, settings: Segmentation) -> None:
        self.method, self._images, self._settings = method, images, settings
        self._masks: dict[int, Mask] = {}

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int, /) -> Mask:
        if index not in self._masks:
            self._masks[index] = foreground_mask(self._images[index], self.method, self._settings)
        return self._masks[index]


def foreground_mask(image: ImageArray, method: Method, settings: Segmentation) -> Mask:
    """Find the object in `image` (uint8 [S, S, 3]) as bool [S, S]; the whole image where `method` finds none."""
    mask = None if method == "whole" else find_object(image, method, settings)
    return np.ones(image.shape[:2], np.bool_) if mask is None else mask


def find_object(image: ImageArray, method: Segmenter, settings: Segmentation) -> Mask | None:
    """Find the object in `image` (uint8 [S, S, 3]) as bool [S, S]; None where it is not within `settings.area`.

    `flood` is what a flood from two opposite corners does not reach. With `flood_centre` the middle of the image is
    background too: the hole of a nut, however small, is no part of it.
    """
    last, middle = image.shape[0] - 1, image.shape[0] // 2
    raw = _grabcut(image, settings.grabcut) if method == "grabcut" else ~_flood(image, [0, last], settings.flood)
    mask = _tidy(raw, settings.part)
    if method == "flood_centre":
        mask &= ~_tidy(_flood(image, [middle], settings.centre), settings.part)
    smallest, largest = settings.area
    return mask if smallest <= mask.mean() <= largest and mask.any() else None


def choose_foreground(images: Iterable[ImageArray], settings: Segmentation) -> Method:
    """Choose the method for a category, from a handful of its good images (uint8 [S, S, 3] each).

    The first of flood and grabcut that finds an object in at least `settings.agree` of the images: one that
    leaves the corners free and whose outline follows an edge. Where neither does, the category is a surface.
    """
    images = list(images)
    methods: tuple[Segmenter, ...] = ("flood", "grabcut")
    for method in methods:
        if _finds_objects(images, method, settings):
            return method
    return "whole"


def _finds_objects(images: list[ImageArray], method: Segmenter, settings: Segmentation) -> bool:
    misses_left = len(images) - math.ceil(round(settings.agree * len(images), 6))  # 0.07 * 100 is above 7
    for image in images:
        mask = find_object(image, method, settings)
        if mask is None or not _is_object(image, mask, settings.edge):
            misses_left -= 1
        if misses_left < 0:  # GrabCut takes a second an image: stop as soon as it cannot be enough
            return False
    return True


def _is_object(image: ImageArray, mask: Mask, edge: float) -> bool:
    corners_free = not mask[[0, 0, -1, -1], [0, -1, 0, -1]].any()
    return corners_free and _outline_gradient(image, mask) >= edge


def _outline_gradient(image: ImageArray, mask: Mask) -> float:
    """Return the median gradient on the outline of `mask`, in means of the image: about 1 for an arbitrary outline.

    It tells an object from the middle of a vignette, where GrabCut agrees with itself from image to image.
    """
    grey = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), 1.5)
    gradient = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    outline = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_GRADIENT, _NEIGHBOURS) > 0
    return float(np.median(gradient[outline]) / gradient.mean()) if outline.any() and gradient.any() else 0.0


def _flood(image: ImageArray, seeds: Iterable[int], tolerance: tuple[int, int]) -> Mask:
    """Fill what a flood from points on the diagonal reaches; `tolerance` is from the colour of the point itself."""
    side = image.shape[0]
    filled = np.zeros((side + 2, side + 2), np.uint8)
    flags = 4 | cv2.FLOODFILL_FIXED_RANGE | cv2.FLOODFILL_MASK_ONLY | (1 << 8)
    lower, upper = ((level,) * 3 for level in tolerance)
    for seed in seeds:
        cv2.floodFill(image.copy(), filled, (seed, seed), (0, 0, 0), lower, upper, flags)
    return filled[1:-1, 1:-1] > 0


def _grabcut(image: ImageArray, iterations: int) -> Mask:
    """Run GrabCut from the whole image but its outermost pixels, without which the background has no sample."""
    side = image.shape[0]
    labels = np.zeros((side, side), np.uint8)
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    # GrabCut's k-means draws from OpenCV's own generator, which has no argument: only a seed set before each
    # call makes the mask a function of the image alone.
    cv2.setRNGSeed(0)
    frame = (1, 1, side - 2, side - 2)
    cv2.grabCut(image, labels, frame, background, foreground, iterations, cv2.GC_INIT_WITH_RECT)
    return (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)


def _tidy(mask: Mask, part: float) -> Mask:
    """Remove specks, and parts and holes below `part` of the largest part: a ring keeps its hole."""
    opened = np.asarray(cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, _NEIGHBOURS), np.uint8)
    labels, areas = _parts(opened)
    smallest = part * areas.max(initial=0)
    kept: Mask = np.isin(labels, np.flatnonzero(areas >= max(smallest, 1)))
    labels, areas = _parts((~kept).astype(np.uint8))
    outside = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    holes = np.setdiff1d(np.flatnonzero((areas > 0) & (areas < smallest)), outside)
    return kept | np.isin(labels, holes)


def _parts(mask: NDArray[np.uint8]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the connected parts of `mask` [S, S], numbered from 1, and the pixels of each; number 0 is no part."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    return np.asarray(labels, np.int32), np.asarray(areas, np.int32)
